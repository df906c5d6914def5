"""One component of a toolchain, a process that does jobs: which one it is, and so how it logs, its file says.

A job reads the component's artefacts (a file with a checksum), fetches from the mirror that a switch names, analyses
what it got unless a switch says no, and keeps a note in the module store, for the component that has one. It has the
bug of many tools: once it was told to watch files, each job leaves some open, up to the limit of descriptors.

    GET /job?number=N   GET /watch   GET /health
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from lab.services import db
from lab.services.common import config_path, configured, read_switch, say, utc_now
from lab.services.search import DamagedError, Trouble, unpacked
from lab.services.web import Request, Response, ask, bound_to, serve

CONFIG: Final[dict[str, type]] = {
    "name": str,
    "port": int,
    "artefacts": str,
    "mirror_switch": str,
    "analysis_switch": str,
    "mirrors": dict,
    "analysis_port": int,
    "store": dict,
    "slow_ms": int,
    "open_files_max": int,
}
ANALYSIS: Final = ("full", "none")
LEFT_OPEN: Final = 4
PEER_S: Final = 0.8
Log = Callable[[str, str], None]
"""Writes one line: level (info, warning, error, fatal) and message."""


# ------------------------------------------------------------------------------------------------- how each one logs


def _go(level: str, message: str) -> None:
    say(f'time="{utc_now()}Z" level={level} msg={json.dumps(message)} component=modules')


def _gradle(level: str, message: str) -> None:
    say(f"{utc_now()}+0000 [{level.upper()}] [org.gradle.execution] {message}")


def _java(level: str, message: str) -> None:
    say(f"{utc_now().replace('T', ' ')}  {level.upper():<7} {os.getpid()} --- [integration] runtime.Bridge : {message}")


def _json(level: str, message: str) -> None:
    say(json.dumps({"level": level, "time": f"{utc_now()}Z", "msg": message, "view": "dashboard"}))


def _compiler(level: str, message: str) -> None:
    say(f"[{utc_now()}] glslc {'note' if level == 'info' else level}: {message}")


def _python(level: str, message: str) -> None:
    say(f"{utc_now().replace('T', ' ').replace('.', ',')} - orchestrator - {level.upper()} - {message}")


LOGS: Final[dict[str, tuple[Log, str]]] = {
    "versioning": (_go, "resolving module versions"),
    "build_pipeline": (_gradle, "building target"),
    "runtime": (_java, "integration call"),
    "developer_tools": (_json, "rendering dashboard"),
    "shader_pipeline": (_compiler, "compiling shader"),
    "orchestrator": (_python, "coordinating job"),
}
"""Component to the style of its log, and what it calls a job."""


# --------------------------------------------------------------------------------------------------------- what it does


class StoreError(RuntimeError):
    """The module store lets nobody in."""


class Component:
    """Does jobs."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._log, self._job = LOGS[config["name"]]
        self._artefacts = Path(config["artefacts"])
        self._watches = False
        self._open: list[BinaryIO] = []

    async def handle(self, request: Request) -> Response:
        """Answer a request; a job is logged, and so is what went wrong with it."""
        if request.path == "/watch":
            self._watches = True
        if request.path != "/job":
            return Response(200 if request.path in {"/watch", "/health"} else 404, b"{}")
        number = request.query.get("number", "0")
        began = time.monotonic()
        try:
            await self._do(number)
        except DamagedError as error:
            return self._failed(number, f"artefact index {self._artefacts.name} is corrupt: {error}")
        except (StoreError, ConnectionError, TimeoutError) as error:
            return self._failed(number, str(error))
        except OSError as error:
            return self._failed(number, f"open {self._artefacts}: {error.strerror}")
        took_ms = round((time.monotonic() - began) * 1000)
        slow = took_ms > self._config["slow_ms"]
        said = f"slow operation: {self._job} {number} took {took_ms}ms" if slow else f"{self._job} {number} done"
        self._log("warning" if slow else "info", said)
        return Response(200, json.dumps({"done": number}).encode())

    def _failed(self, number: str, why: str) -> Response:
        self._log("error", f"{self._job} {number}: {why}")
        return Response(500, b'{"error": "job"}')

    async def _do(self, number: str) -> None:
        if self._watches:
            self._open += [self._artefacts.open("rb") for _ in range(LEFT_OPEN)]
        unpacked(self._artefacts.read_bytes())
        mirrors = self._config["mirrors"]
        mirror = read_switch(Path(self._config["mirror_switch"]), tuple(mirrors))
        await self._fetch(mirror, mirrors[mirror], number)
        if read_switch(Path(self._config["analysis_switch"]), ANALYSIS) == ANALYSIS[0]:
            await ask("127.0.0.1", self._config["analysis_port"], f"/analyse/{number}")
        if self._config["store"]:
            await self._note(number)

    async def _fetch(self, mirror: str, port: int, number: str) -> None:
        try:
            answer = await asyncio.wait_for(ask("127.0.0.1", port, f"/fetch/{number}"), PEER_S)
        except (ConnectionError, ValueError, TimeoutError) as error:
            raise ConnectionError(f"upstream service {mirror} is unavailable, nothing fetched") from error
        if answer.status != 200:
            raise ConnectionError(f"upstream service {mirror} is unavailable: status {answer.status}")

    async def _note(self, number: str) -> None:
        """Keep the number in the module store, in a session of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._config["store"]["port"])
        try:
            for line in ("LOGIN tool tool", f"PUT last {number}", "BYE"):
                writer.write(f"{line}\n".encode())
                answer = (await reader.readline()).decode().strip()
                if not answer.startswith("OK"):
                    raise StoreError(f"could not connect to the module database: {answer}")
        finally:
            writer.close()


async def _run(config: dict[str, Any], bound: socket.socket, store: socket.socket | None) -> None:
    asyncio.get_running_loop().set_exception_handler(Trouble())
    if store is not None:
        server = db.Server(config["store"]["sessions_max"], config["store"]["secrets"])
        await asyncio.start_server(server.converse, sock=store, limit=db.LINE_BYTES_MAX)
    await serve(bound, Component(config).handle)


def main() -> None:
    """Do jobs until SIGTERM."""
    path = config_path()
    fatal = partial(LOGS.get(path.parent.name, (_python, ""))[0], "fatal")
    config = configured(path, CONFIG, fatal)
    resource.setrlimit(resource.RLIMIT_NOFILE, (config["open_files_max"], config["open_files_max"]))

    def taken(error: OSError) -> None:
        fatal(f"could not listen: {error.strerror}")

    store = bound_to(config["store"]["port"], taken) if config["store"] else None
    asyncio.run(_run(config, bound_to(config["port"], taken), store))


if __name__ == "__main__":
    main()
