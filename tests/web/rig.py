"""The web application in this process, over a fleet in memory whose fold answers what is said: no port, no broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from analytics.writer import EventLogWriter
from streams.codec import decode
from streams.ports import TopicPartition
from streams.settings import Settings
from streams.web.app import create_app
from streams.web.model import Model
from streams.web.serving import assembled
from streams.web.tokens import ROLES, TokenFile
from tests.web.fleet import Fleet

ORIGIN: Final = "http://localhost"
HEAR_S: Final = 0.002
PATIENCE_S: Final = 60.0


class Rig:
    """An application with its dependencies; ``client`` is a program on this machine without a token."""

    def __init__(self, fleet: Fleet, directory: Path, **settings: Any) -> None:
        self.fleet = fleet
        self.directory = directory
        self.settings = Settings(data_dir=directory, host="web-host", **settings)
        self.tokens = TokenFile(directory)
        inbox = fleet.topics.inbox_people
        self._inbox = TopicPartition(inbox, 0)
        self._begun = len(fleet.log.records.get(self._inbox, []))
        self.deps, self.following = assembled(self.settings, fleet.log, asyncio.Event())
        self.app = create_app(self.deps)
        self.client = self.as_client()

    @property
    def model(self) -> Model:
        """What the web knows."""
        return self.deps.model

    def said(self) -> list[Any]:
        """Return what was said in the inbox for people since it is served."""
        return [decode(one.value or b"") for one in self.fleet.log.records.get(self._inbox, [])[self._begun :]]

    def as_client(self, token: str = "", address: str = "127.0.0.1", **headers: str) -> httpx2.AsyncClient:
        """Return a client at an address; with a token if one is given."""
        given = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx2.ASGITransport(self.app, client=(address, 1234), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={**given, **headers})

    def roles(self) -> dict[str, httpx2.AsyncClient]:
        """Make a token of each role; return a client for each."""
        return {role: self.as_client(self.tokens.create(role, f"the {role}", 1)) for role in ROLES}

    async def archive(self) -> None:
        """Bring the files of the event log up to date."""
        with EventLogWriter(self.fleet.log, self.fleet.topics, self.directory / "log") as writer:
            await writer.flush()

    async def caught_up(self) -> None:
        """Wait until the model has every decision of the fleet."""
        last = len(self.fleet.decisions) - 1
        assert await self.model.until(lambda: self.model.last_seq >= last, PATIENCE_S)

    async def sees(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that no page is told of; ``Model.until`` waits for what pages are told."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if holds():
                    return
                await asyncio.sleep(HEAR_S)

    async def hear(self) -> None:
        """Fold what is said, for ever."""
        while True:
            self.fleet.catch_up()
            self.fleet.hear()
            await asyncio.sleep(HEAR_S)


@asynccontextmanager
async def served(fleet: Fleet, directory: Path, *, archived: bool = True, **settings: Any) -> AsyncIterator[Rig]:
    """Serve a fleet in this process; ``archived``: what it has is in the files already."""
    rig = Rig(fleet, directory, **settings)
    if archived:
        await rig.archive()
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(one) for one in (rig.following.run(), rig.deps.voice.run(), rig.hear())]
        assert await rig.model.until(lambda: rig.model.up_to_date, PATIENCE_S)
        try:
            yield rig
        finally:
            for task in work:
                task.cancel()
            rig.deps.history.close()
