"""W1 on what Logmend is built on: its transport under Faust, whole fetches, and its producer, acknowledged per fetch.

Nothing else of Logmend's is in it: no templates, no evidence, no accounting. A window's counts go out when the
partition that they are of is past it. What follows from a fetch is acknowledged while the next one comes, and before
what follows from that is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.engines.job import WINDOW_MS, Count, Job, Match
from streams.ports import Log, Outgoing, Record, TopicPartition
from streams.runtime import resident
from streams.runtime.app import build_app
from streams.runtime.host import run_faust
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

Window = Counter[tuple[str, str]]


class Engine:
    """See ``streams.ports.Engine``."""

    def __init__(self, log: Log, job: Job) -> None:
        self._log = log
        self._job = job
        self._match = job.matching()
        self._windows: dict[TopicPartition, dict[int, Window]] = {}
        self._sent: asyncio.Future[Sequence[int]] | None = None

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Begin every partition at its beginning."""
        self._windows = {where: {} for where in partitions}
        return {where: (await self._log.bounds(where))[0] for where in partitions}

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Match a fetch, and begin to append what follows from it when all before it is acknowledged."""
        match, encode, topic = self._match, msgspec.json.encode, self._job.matches
        matches: list[Outgoing] = []
        totals: list[Count] = []
        for where, records in batch:
            found = [one for record in records if (one := match(record.value or b""))]
            matches += [Outgoing(topic, encode(one)) for one in found]
            totals += self._count(self._windows[where], found)
        await self.idle()
        outgoing = [*matches, *(Outgoing(self._job.counts, encode(total)) for total in totals)]
        self._sent = asyncio.ensure_future(self._log.append(outgoing))

    async def idle(self) -> None:
        """Wait until what was sent is acknowledged."""
        if self._sent:
            await self._sent
            self._sent = None

    @staticmethod
    def _count(windows: dict[int, Window], found: Sequence[Match]) -> list[Count]:
        """Add matches of one partition, and return the counts of the windows that they have left behind."""
        for match in found:
            windows.setdefault(match.at_ms - match.at_ms % WINDOW_MS, Counter())[match.service, match.pattern] += 1
        newest = max(windows, default=0)
        past = [(begin, windows.pop(begin)) for begin in sorted(windows) if begin < newest]
        return [Count(begin, *key, count) for begin, window in past for key, count in window.items()]


async def run(job: Job) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings(
        brokers=job.brokers, fleet=job.group, logs=(job.source,), data_dir=Path(job.directory), poll_records=20_000
    )
    async with contextlib.AsyncExitStack() as stack:
        log = await stack.enter_async_context(KafkaLog(settings))
        app = build_app(settings, job.group, "w1")
        engine = Engine(app.guard(log), job)
        resident.keep()
        await run_faust(engine, app, settings.logs, "w1", stop)


if __name__ == "__main__":
    asyncio.run(run(Job.given()))
