"""The real web application on a free port of this machine, over a fleet in memory, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import uvicorn

from analytics.writer import EventLogWriter
from streams.settings import Settings
from streams.web.app import create_app
from streams.web.model import Model
from streams.web.serving import assembled
from streams.web.tokens import TokenFile
from tests.web.fleet import Fleet

A = TypeVar("A")
PATIENCE_S: Final = 60.0
HEAR_S: Final = 0.02
BEAT_S: Final = 0.5


class Site:
    """A running web. ``do`` calls something where the web runs; ``archive`` writes what the fleet has into the log."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self.fleet = fleet
        self.directory = directory
        self.tokens = TokenFile(directory)
        self._settings = Settings(data_dir=directory, host="web-host")
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="site")

    @property
    def address(self) -> str:
        """Where it is."""
        assert self._server is not None
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def token(self, role: str, name: str) -> str:
        """Make a token."""
        return self.tokens.create(role, name, 1)

    def do(self, change: Callable[[], A]) -> A:
        """Call something in the web's loop, where the fleet lives."""

        async def called() -> A:
            return change()

        return self.wait(called())

    def wait(self, work: Coroutine[Any, Any, A]) -> A:
        """Do something in the web's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def archive(self) -> None:
        """Bring the event log's files up to date."""
        self.wait(self._archived())

    async def _archived(self) -> None:
        with EventLogWriter(self.fleet.log, self.fleet.topics, self.directory / "log") as writer:
            await writer.flush()

    def start(self) -> None:
        """Begin, and wait until pages are served."""
        self._thread.start()
        if not self._ready.wait(PATIENCE_S):
            raise TimeoutError("the web did not start")

    def stop(self) -> None:
        """End."""
        if self._server is not None and self._thread.is_alive():
            self.do(self._stopping.set)
            self._server.should_exit = True
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        await self._archived()
        deps, following = assembled(self._settings, self.fleet.log, self._stopping)
        config = uvicorn.Config(
            create_app(deps), host="127.0.0.1", port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        beside = [
            asyncio.ensure_future(work)
            for work in (
                following.run(),
                deps.voice.run(),
                self._hear(),
                self._beat(),
            )
        ]
        serving = asyncio.ensure_future(self._server.serve())
        ready = asyncio.ensure_future(self._until_ready(deps.model))
        await asyncio.wait((ready, *beside, serving), return_when=asyncio.FIRST_COMPLETED)
        self._ready.set()
        await asyncio.wait((*beside, serving), return_when=asyncio.FIRST_COMPLETED)
        for one in beside:
            one.cancel()
        for done in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(done, Exception):
                raise done
        deps.history.close()

    async def _until_ready(self, model: Model) -> None:
        """Return when everything is read, and pages are served."""
        await model.until(lambda: model.up_to_date, PATIENCE_S)
        while self._server is not None and not self._server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
            await asyncio.sleep(HEAR_S)

    async def _beat(self) -> None:
        while True:
            self.fleet.all_beat()
            await asyncio.sleep(BEAT_S)

    async def _hear(self) -> None:
        while True:
            self.fleet.catch_up()
            self.fleet.hear()
            await asyncio.sleep(HEAR_S)


@contextmanager
def running(fleet: Fleet, directory: Path) -> Iterator[Site]:
    """Serve a fleet."""
    site = Site(fleet, directory)
    site.start()
    try:
        yield site
    finally:
        with suppress(TimeoutError):
            site.stop()
