"""Questions to the event log from the web: off the event loop, a connection for each thread, so many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from analytics.manifest import MANIFEST
from analytics.tables import Row
from analytics.views import EventLog
from streams.core.errors import InputError
from streams.web.problems import WebError

A = TypeVar("A")
THREADS: Final = 2
WAITING_MAX: Final = 32
"""Questions that are under way or wait for a thread; more are told to come again."""
PATIENCE_S: Final = 20.0
NO_LOG: Final = "no event log in this data directory (yet): run logmend web where logmend eventlog runs"


class NoLogError(WebError):
    """There is no event log here."""

    def __init__(self) -> None:
        super().__init__(503, NO_LOG)


class History:
    """The event log of one directory. What is asked sees everything that is archived, up to ten seconds ago."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, "history")
        self._mine = threading.local()
        self._waiting = 0

    async def ask(self, question: Callable[[EventLog], A]) -> A:
        """Return what a question comes to.

        Raises ``WebError`` 503 when there is no event log here, too many ask, or it takes too long; ``InputError`` as
        the question does.
        """
        if self._waiting >= WAITING_MAX:
            raise WebError(503, "too many questions to the event log: ask again in a moment", {"Retry-After": "2"})
        self._waiting += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)
        asked.add_done_callback(self._answered)
        return await asyncio.shield(asked)

    async def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """Return the rows of a SELECT with ``$name`` parameters."""
        return await self.ask(lambda log: log.query(sql, parameters or None).to_dicts())

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, asked: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not asked.cancelled():
            asked.exception()  # whoever asked may be gone

    def _answer(self, question: Callable[[EventLog], A]) -> A:
        log: EventLog | None = getattr(self._mine, "log", None)
        if log is None:
            if not (self._directory / MANIFEST).exists():
                raise NoLogError
            log = self._mine.log = EventLog(self._directory)
        watch = threading.Timer(PATIENCE_S, log.connection.interrupt)
        watch.start()
        try:
            return question(log)
        except InputError as error:
            if isinstance(error.__cause__, duckdb.InterruptException):
                raise WebError(503, f"no answer within {PATIENCE_S:.0f} s: ask for less") from error
            raise
        finally:
            watch.cancel()
