"""The shop's front door, with a limit of requests at one time; logs as nginx does, in files of its own format.

It has a real bug: a request for a page without a number is answered, but its place is never given back, so that enough
of them leave no place for anybody. Its switch admits everybody, or known customers (loopback's first address) only.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab.services.common import config_path, configured, read_switch, say
from lab.services.web import Request, Response, bound_to, serve

CONFIG: Final[dict[str, type]] = {"name": str, "port": int, "places": int, "switch": str}
TRAFFIC: Final = ("everybody", "known")
KNOWN: Final = frozenset({"127.0.0.1"})


def log(level: str, message: str) -> None:
    """Write a line as nginx's error log has it."""
    say(f"{datetime.now(UTC):%Y/%m/%d %H:%M:%S} [{level}] {os.getpid()}#0: {message}")


def log_access(request: Request, response: Response) -> None:
    """Write a line of the access log, in the common format."""
    stamp = datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    asked = f"{request.method} {request.target} HTTP/1.1"
    say(f'{request.peer} - - [{stamp}] "{asked}" {response.status} {len(response.body)}')


class Gate:
    """Answers ``/page?number=``."""

    def __init__(self, places: int, switch: Path) -> None:
        self._places = places
        self._switch = switch
        self._taken = 0

    def admits(self, address: str) -> bool:
        """Say whether a connection from an address may ask for anything."""
        return address in KNOWN or read_switch(self._switch, TRAFFIC) == TRAFFIC[0]

    async def handle(self, request: Request) -> Response:
        """Answer a request and log it."""
        response = self._route(request)
        log_access(request, response)
        return response

    def _route(self, request: Request) -> Response:
        if request.path != "/page":
            return Response(200 if request.path == "/health" else 404, b"{}")
        if self._taken >= self._places:
            log("error", f"*{self._taken} 503 Service Unavailable: all places are taken, client: {request.peer}")
            return Response(503, b'{"error": "no place"}')
        self._taken += 1
        try:
            body = f'{{"page": {int(request.query["number"])}}}'
        except (KeyError, ValueError):
            return Response(400, b'{"error": "number"}')
        self._taken -= 1
        return Response(200, body.encode())


def main() -> None:
    """Run the gate until it is told to stop."""
    path = config_path()
    config = configured(path, CONFIG, lambda why: log("emerg", why))
    bound = bound_to(
        config["port"],
        lambda error: log("emerg", f"bind() to 127.0.0.1:{config['port']} failed ({error.errno}: {error.strerror})"),
    )
    log("notice", f"start worker processes, listening on 127.0.0.1:{config['port']}")
    gate = Gate(config["places"], Path(config["switch"]))
    asyncio.run(serve(bound, gate.handle, gate.admits))
    log("notice", "exit")


if __name__ == "__main__":
    main()
