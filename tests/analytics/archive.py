"""Helpers of these tests: archive a history, and look at what is in the archive."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from analytics.files import Files
from analytics.manifest import SEGMENTS, STREAMS, load
from analytics.writer import EventLogWriter
from streams.ports import TopicPartition
from tests.analytics.history import History


class Hearing:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.used: list[int] = []
        self.written: list[tuple[str, int]] = []

    def wrote(self, stream: str, records: int, size_bytes: int) -> None:
        """Remember a segment."""
        self.written.append((stream, records))

    def failed(self, message: str) -> None:
        """Remember what went wrong."""
        self.failures.append(message)

    def measured(self, used_bytes: int, budget_bytes: int) -> None:
        """Remember what the data directory took."""
        self.used.append(used_bytes)


class Clock:
    """A wall clock that only moves when told to."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms


async def archive(history: History, directory: Path) -> Path:
    """Archive a whole history and return the directory."""
    with EventLogWriter(history.log, history.topics, directory) as writer:
        await writer.flush()
    return directory


async def archive_in_stages(history: History, directory: Path, stages: int, files: Files | None = None) -> None:
    """Archive a history piece by piece, looking after old segments in between, with the clock running fast."""
    stamps = [record.timestamp for held in history.log.records.values() for record in held]
    first, last = min(stamps), max(stamps)
    clock = Clock()
    try:
        with EventLogWriter(history.log, history.topics, directory, files=files, clock_ms=clock) as writer:
            for stage in range(1, stages + 1):
                history.log.horizon_ms = first + (last - first) * stage // stages
                clock.now_ms += 40_000
                await writer.flush()
                await writer.step()
    finally:
        history.log.horizon_ms = 1 << 62


def archived(directory: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Return offset and value of every raw row, in the order of the segments, and of offsets in each."""
    manifest = load(directory)
    found: dict[str, list[tuple[int, bytes]]] = {}
    for name in STREAMS:
        rows = found.setdefault(name, [])
        for file in manifest.files(name):
            table = pq.ParquetFile(directory / SEGMENTS / file.name).read(["kafka_offset", "kafka_value"])
            rows.extend(sorted((row["kafka_offset"], row["kafka_value"]) for row in table.to_pylist()))
    return found


def in_kafka(history: History) -> dict[str, list[tuple[int, bytes]]]:
    """Return offset and value of every record of the four topics."""
    topics = history.topics
    names = {
        "facts": topics.facts,
        "decisions": topics.decisions,
        "commands": topics.commands,
        "evidence": topics.evidence,
    }
    return {
        name: [(one.offset, one.value or b"") for one in history.log.records.get(TopicPartition(topic, 0), [])]
        for name, topic in names.items()
    }
