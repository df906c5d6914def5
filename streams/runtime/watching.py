"""The watchdog for processes that host no engine: their event loop must turn, and whoever reads must get answers.

Neither clock runs while the machine sleeps: no lease is at stake, and what was asleep has not hung.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from streams.ports import PolledLog, Record, TopicPartition
from streams.runtime.answering import AnsweringLog
from streams.runtime.watchdog import STALL_SECONDS, Judge, Progress, Watchdog

BEAT_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 300.0
"""A reader asks the broker several times a second, and may work for minutes on what it got: merging large segments."""


@asynccontextmanager
async def turning(role: str, stall_seconds: float = STALL_SECONDS) -> AsyncIterator[None]:
    """End this process, with its stacks, when its event loop stands still for so long."""
    progress = Progress(clock=time.monotonic)
    progress.measured_at = 0.0
    beating = asyncio.ensure_future(_beat(progress))
    try:
        with _watched(role, Judge(progress, stall_seconds)):
            yield
    finally:
        beating.cancel()


@contextmanager
def reading(role: str, log: PolledLog, silent_seconds: float = SILENT_SECONDS) -> Iterator[PolledLog]:
    """Return a log that is to be used for all reading: when it answers nothing for so long, this process ends.

    Its user hangs then, or the client of the broker does, or there is no broker: who starts it again sees which.
    """
    progress = Progress(clock=time.monotonic)
    progress.beat_at = 0.0
    with _watched(role, Judge(progress, silent_seconds)):
        yield _PolledLog(log, progress.measured)


@contextmanager
def _watched(role: str, judge: Judge) -> Iterator[None]:
    watchdog = Watchdog(role, judge, asyncio.get_running_loop())
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


async def _beat(progress: Progress) -> None:
    while True:
        progress.beat()
        await asyncio.sleep(BEAT_SECONDS)


class _PolledLog(AnsweringLog):
    """One that can be waited on, too."""

    def __init__(self, log: PolledLog, answered: Callable[[], None]) -> None:
        super().__init__(log, answered)
        self._poller = log

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Record]]]:
        """See ``ports.Poller.poll``."""
        batch = await self._poller.poll(positions)
        self._answered()
        return batch
