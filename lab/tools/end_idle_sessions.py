"""Ends a database's idle sessions: ``python -m lab.tools.end_idle_sessions CONFIG``, with the database's own file."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Final

IDLE_MS: Final = 250
TALK_S: Final = 5.0
WAIT_S: Final = 2.0
PAUSE_S: Final = 0.1


def ask(port: int, user: str, secret: str, *requests: str) -> list[str]:
    """Log in to the database, send requests and return the answers; ``PermissionError`` when it lets nobody in."""
    with socket.create_connection(("127.0.0.1", port), TALK_S) as connection, connection.makefile("rw") as talk:
        answers = []
        for request in (f"LOGIN {user} {secret}", *requests):
            talk.write(f"{request}\n")
            talk.flush()
            answers.append(talk.readline().strip())
            if not answers[0].startswith("OK"):
                raise PermissionError(answers[0] or "no answer")
        return answers[1:]


def main() -> int:
    """End them, as soon as there are any; exit status 0 when the database has been asked."""
    config = json.loads(Path(sys.argv[1]).read_bytes())
    deadline = time.monotonic() + WAIT_S
    ended = "OK 0"
    while ended == "OK 0" and time.monotonic() < deadline:
        ended = ask(config["port"], "admin", config["secrets"]["admin"], f"END_IDLE {IDLE_MS}")[0]
        time.sleep(PAUSE_S)
    print(ended)  # noqa: T201 - what a command line tool says
    return 0 if ended.startswith("OK") else 1


if __name__ == "__main__":
    sys.exit(main())
