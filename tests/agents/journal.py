"""A stage for tests: writes down which records it was given, in a file that outlives kill -9.

Run as a program it hosts itself under Faust: ``python -m tests.agents.journal BROKERS GROUP INSTANCE FILE TOPIC...``.
Offset ``JOURNAL_FAIL_AT`` of the environment makes it fail.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from streams import telemetry
from streams.ports import Record, TopicPartition
from streams.runtime.app import build_app
from streams.runtime.host import run_faust
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

SESSION_MS = 3_000
Earliest = Callable[[Sequence[TopicPartition]], Awaitable[dict[TopicPartition, int]]]


class Entry(NamedTuple):
    """One slice of the journal: records of ``owner`` in [start, end), how many, and a hash of their bytes."""

    owner: str
    topic: str
    partition: int
    start: int
    end: int
    records: int
    digest: str


def digest(records: Sequence[Record]) -> str:
    """Return a hash over offsets, keys and values, as they came."""
    seen = hashlib.sha256()
    for record in records:
        seen.update(repr((record.offset, record.key, record.value, tuple(record.headers))).encode())
    return seen.hexdigest()[:16]


def read_entries(path: Path) -> list[Entry]:
    """Return all whole lines of a journal, whoever wrote them."""
    if not path.exists():
        return []
    rows = [line.split() for line in path.read_text().splitlines()]
    return [Entry(r[0], r[1], int(r[2]), int(r[3]), int(r[4]), int(r[5]), r[6]) for r in rows if len(r) == 7]


class Journal:
    """An ``Engine`` whose output is a file: one line a slice, appended in one write.

    It asks ``earliest`` from its second load on only, so that a first position may be out of range.
    """

    def __init__(self, path: Path, owner: str, earliest: Earliest, *, fail_at: int = -1) -> None:
        self.path = path
        self.owner = owner
        self.earliest = earliest
        self.fail_at = fail_at
        self.loads = 0
        self.idles = 0

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Go on where the file ends."""
        self.loads += 1
        ends = await self.earliest(partitions) if self.loads > 1 else dict.fromkeys(partitions, 0)
        for entry in read_entries(self.path):
            where = TopicPartition(entry.topic, entry.partition)
            if where in ends:
                ends[where] = max(ends[where], entry.end)
        return ends

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Write down each partition's slice; fails on offset ``fail_at``."""
        for where, records in batch:
            if any(record.offset == self.fail_at for record in records):
                raise ValueError(f"offset {self.fail_at}")
            start, end = records[0].offset, records[-1].offset + 1
            self._write(
                f"{self.owner} {where.topic} {where.partition} {start} {end} {len(records)} {digest(records)}\n"
            )
        await asyncio.sleep(0)

    async def idle(self) -> None:
        """Count."""
        self.idles += 1

    def _write(self, line: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


async def main(brokers: str, group: str, instance: str, path: str, *topics: str) -> None:
    """Host a journal under Faust until SIGTERM."""
    telemetry.configure_logging()
    logs = topics[:1]  # a producers' topic; the others count as ours
    settings = Settings(brokers=brokers, session_timeout_ms=SESSION_MS, data_dir=Path(path).parent, logs=logs)

    async def earliest(partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        async with KafkaLog(settings) as log:
            return {where: (await log.bounds(where))[0] for where in partitions}

    engine = Journal(Path(path), instance, earliest, fail_at=int(os.environ.get("JOURNAL_FAIL_AT", "-1")))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    telemetry.process_started("journal")
    await run_faust(engine, build_app(settings, group, instance), topics, "journal", stop)
    telemetry.process_stopped("journal", "asked to")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
