"""Sixty small services that keep their orders in one database, all in one process: a stand-in for sixty of them.

Each has a port, a log file and a way of its own to say what is wrong. Every 1.5 s each stores an order in the
real database; its health check fails while that does not work. ``POST /restart`` is how each may be restarted; it
counts that, and it helps nobody who has no database.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from lab.company import Company
from lab.health import get
from lab.scenarios.own import company, process
from lab.services.common import config_path, read_config, utc_now
from lab.services.web import Request, Response, listen, serve
from lab.site import DB, Site, free_ports
from streams.core.inventory import ProbeSpec, ServiceSpec

SIZE: Final = 60
HOST: Final = "crowd"
STAND_IN: Final = f"{SIZE} services with a port and a log each, in one process"
CONFIG: Final[dict[str, type]] = {"database_port": int, "ports": dict, "logs": dict}
EVERY_S: Final = 1.5
ANSWER_S: Final = 1.0
AT_ONCE: Final = 8
"""Sessions with the database at one time; it has a limit."""
PROBE_MS: Final = 2_000
PROBE_TIMEOUT_MS: Final = 1_500
TROUBLE: Final = (
    "{at} ERROR {name} could not connect to server: {error}; is the server running on 127.0.0.1 port {port}?",
    'level=error ts={at} service={name} msg="could not store order {number}" err="{error}"',
    "{at} [error] {name}: POST /orders/{number} 503 Service Unavailable: no database",
    "{at} ERROR {name} org.postgresql.util.PSQLException: Connection to 127.0.0.1:{port} refused",
)
"""How services of several makes say it: database_connection, connection_refused, service_unavailable."""


class Member:
    """One service of the crowd."""

    def __init__(self, place: int, name: str, log: Path, database_port: int) -> None:
        self.name = name
        self.well = False
        self.restarts = 0
        self._place = place
        self._numbers = count(1)
        self._log = log
        self._database_port = database_port

    async def work(self, turn: asyncio.Semaphore) -> None:
        """Store one order after the other, for ever; the crowd does not start all at once."""
        await asyncio.sleep(EVERY_S * self._place / SIZE)
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
    members = [
        Member(place, name, Path(config["logs"][name]), config["database_port"])
        for place, name in enumerate(config["ports"])
    ]

    def handler(member: Member) -> Any:
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


def invited(site: Site) -> Company:
    """Return the crowd as a company: each of the services declares that it depends on the database of the site."""
    home = site.root / HOST
    names = [f"crowd-{number:02}" for number in range(1, SIZE + 1)]
    ports = dict(zip(names, free_ports(SIZE), strict=True))
    logs = {name: str(home / f"{name}.log") for name in names}
    for log in logs.values():
        Path(log).unlink(missing_ok=True)
    config = {"database_port": site.ports[DB], "ports": ports, "logs": logs}
    host = process(site, HOST, "lab.scenarios.crowd", config)
    specs = tuple(_spec(site, name, ports[name], logs[name]) for name in names)
    return company(site, [host], specs, serves=Census(specs).all_well)


def _spec(site: Site, name: str, port: int, log: str) -> ServiceSpec:
    url = f"http://127.0.0.1:{port}"
    return ServiceSpec(
        name=name,
        host=site.host,
        type="http",
        mode="auto",
        owner="lab",
        depends_on=(DB,),
        log_file=log,
        port=port,
        base_url=url,
        calls={"restart": "POST /restart"},
        probes=(ProbeSpec(kind="http", target=f"{url}/health", every_ms=PROBE_MS, timeout_ms=PROBE_TIMEOUT_MS),),
    )


class Census:
    """The ground truth of the crowd, asked of itself."""

    def __init__(self, specs: tuple[ServiceSpec, ...]) -> None:
        self._port = specs[0].port
        self.troubled: set[str] = set()
        """All that did not work at some time since the last ``clear``."""

    def well(self) -> int:
        """Return how many services work now."""
        members = self._ask()
        self.troubled.update(one["name"] for one in members if not one["well"])
        return sum(one["well"] for one in members)

    def all_well(self) -> bool:
        """Say whether all of them answer and work."""
        try:
            return self.well() == SIZE
        except OSError:
            return False

    def restarts(self) -> int:
        """Return how many restarts all services have had together."""
        return sum(one["restarts"] for one in self._ask())

    def _ask(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(get(self._port, "/crowd")[1])
        return found


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    asyncio.run(_run(read_config(config_path(), CONFIG)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
