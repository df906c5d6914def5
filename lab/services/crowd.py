"""Many small services that keep their orders in one database, all in one process: a stand-in for as many processes.

Each has a port, a log file and a way of its own to say what is wrong. Every 1.5 s each stores an order in the
real database; its health check fails while that does not work. ``POST /restart`` is how each may be restarted; it
counts that, and it helps nobody who has no database. ``GET /crowd`` of any of them tells of all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from lab.services.common import config_path, configured, say, utc_now
from lab.services.web import Handler, Request, Response, listen, serve

CONFIG: Final[dict[str, type]] = {"database_port": int, "ports": dict, "logs": dict}
EVERY_S: Final = 1.5
ANSWER_S: Final = 1.0
AT_ONCE: Final = 8
"""Sessions with the database at one time; it has a limit."""
TROUBLE: Final = (
    "{at} ERROR {name} could not connect to server: {error}; is the server running on 127.0.0.1 port {port}?",
    'level=error ts={at} service={name} msg="could not store order {number}" err="{error}"',
    "{at} [error] {name}: POST /orders/{number} 503 Service Unavailable: no database",
    "{at} ERROR {name} org.postgresql.util.PSQLException: Connection to 127.0.0.1:{port} refused",
)
"""How services of several makes say it: database_connection, connection_refused, service_unavailable."""


class Member:
    """One service of the crowd."""

    def __init__(self, place: int, name: str, log: Path, database_port: int, begins_s: float) -> None:
        self.name = name
        self.well = False
        self.restarts = 0
        self._place = place
        self._begins_s = begins_s
        self._numbers = count(1)
        self._log = log
        self._database_port = database_port

    async def work(self, turn: asyncio.Semaphore) -> None:
        """Store one order after the other, for ever; the crowd does not start all at once."""
        await asyncio.sleep(self._begins_s)
        while True:
            async with turn:
                await self._store(next(self._numbers))
            await asyncio.sleep(EVERY_S)

    async def _store(self, number: int) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._talk(f"PUT {self.name} {number}")
        except OSError as error:  # also of a time-out
            self.well = False
            form = TROUBLE[self._place % len(TROUBLE)]
            at, reason = utc_now(), error.strerror or "timed out"
            self._say(form.format(at=at, name=self.name, number=number, error=reason, port=self._database_port))
        else:
            self.well = True
            self._say(f"{utc_now()} INFO {self.name} stored order {number}")

    async def _talk(self, request: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._database_port)
        try:
            for line in ("LOGIN shop shop", request, "BYE"):
                writer.write(f"{line}\n".encode())
                if not (await reader.readline()).startswith(b"OK"):
                    raise ConnectionResetError(104, "connection reset by peer")
        finally:
            writer.close()

    def _say(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def status(self) -> dict[str, Any]:
        """Return what is true of it."""
        return {"name": self.name, "well": self.well, "restarts": self.restarts}


async def _run(config: Mapping[str, Any]) -> None:
    step_s = EVERY_S / len(config["ports"])
    members = [
        Member(place, name, Path(config["logs"][name]), config["database_port"], place * step_s)
        for place, name in enumerate(config["ports"])
    ]

    def handler(member: Member) -> Handler:
        async def answer(request: Request) -> Response:
            if request.path == "/restart" and request.method == "POST":
                member.restarts += 1
            said = [one.status() for one in members] if request.path == "/crowd" else member.status()
            ill = request.path == "/health" and not member.well
            return Response(503 if ill else 200, json.dumps(said).encode())

        return answer

    turn = asyncio.Semaphore(AT_ONCE)
    serving = [asyncio.create_task(serve(listen(config["ports"][one.name]), handler(one))) for one in members]
    working = [asyncio.create_task(one.work(turn)) for one in members]
    await asyncio.wait([*serving, *working], return_when=asyncio.FIRST_COMPLETED)  # the last to listen hears SIGTERM


def main() -> None:
    """Serve until SIGTERM."""
    asyncio.run(_run(configured(config_path(), CONFIG, say)))


if __name__ == "__main__":
    main()
