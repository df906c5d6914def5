from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from analytics.files import Files
from analytics.views import EventLog
from analytics.writer import EventLogWriter
from tests.analytics.archive import Clock, Hearing, archive
from tests.analytics.history import History, story


class MakesWriters(Protocol):
    """Returns an open writer; it is closed with the test."""

    def __call__(
        self,
        history: History,
        directory: Path,
        *,
        files: Files | None = None,
        clock: Clock | None = None,
        hearing: Hearing | None = None,
    ) -> EventLogWriter:
        """Open one."""
        ...


@pytest.fixture
def writer_of() -> Iterator[MakesWriters]:
    """Return a maker of open writers."""
    with ExitStack() as stack:

        def make(
            history: History,
            directory: Path,
            *,
            files: Files | None = None,
            clock: Clock | None = None,
            hearing: Hearing | None = None,
        ) -> EventLogWriter:
            writer = EventLogWriter(
                history.log, history.topics, directory, files=files, clock_ms=clock or Clock(), observer=hearing
            )
            return stack.enter_context(writer)

        yield make


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[History, EventLog]]:
    """Return the story and a reader of its archive, for all tests that only ask: making all its views takes 0.2 s."""
    history, directory = story(), tmp_path_factory.mktemp("told")
    asyncio.run(archive(history, directory))
    with EventLog(directory) as log:
        yield history, log


@pytest.fixture
async def damageable(tmp_path: Path) -> AsyncIterator[EventLog]:
    """Return a reader of an archive of the story that the test may damage."""
    await archive(story(), tmp_path)
    with EventLog(tmp_path) as log:
        yield log
