"""A process that is in the way: it listens on a port, or holds the exclusive lock of a SQLite file.

It goes when it is killed, when the process that started it is gone, or after five minutes.
"""

from __future__ import annotations

import argparse
import os
import socket
import sqlite3
import sys
import time
from typing import Final

LIFE_S: Final = 300.0
TAKE_S: Final = 10.0
"""How long it tries to get what it is after: the service may be holding it for another moment."""


def take_port(port: int) -> socket.socket:
    """Listen on the loopback port and never accept; ``OSError`` when somebody else keeps it."""
    deadline = time.monotonic() + TAKE_S
    while True:
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
            taken.listen(1)
        except OSError:
            taken.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return taken


def take_lock(database: str) -> sqlite3.Connection:
    """Begin an exclusive transaction that nobody will end; ``sqlite3.OperationalError`` after ten seconds."""
    connection = sqlite3.connect(database, timeout=TAKE_S, isolation_level=None)
    connection.execute("begin exclusive")
    return connection


def main() -> int:
    """Take it, say ``ready`` on standard output, and hold it."""
    parser = argparse.ArgumentParser(description="A process of the Logmend lab that is in the way.")
    parser.add_argument("what", choices=("port", "lock"))
    parser.add_argument("which", help="a port number, or the path of a SQLite file")
    arguments = parser.parse_args()
    parent = os.getppid()
    held = take_port(int(arguments.which)) if arguments.what == "port" else take_lock(arguments.which)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    end = time.monotonic() + LIFE_S
    while os.getppid() == parent and time.monotonic() < end:
        time.sleep(0.2)
    held.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
