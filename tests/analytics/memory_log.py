"""An in-memory ``ports.Log``: what the event-log writer needs of Kafka, and nothing of its failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.ports import Fetched, Outgoing, TopicPartition


@dataclass
class MemoryLog:
    """Appends get the next offset and the stamp ``now_ms``; a fetch returns at most ``fetch_max`` records.

    Records stamped after ``horizon_ms`` are not there yet.
    """

    now_ms: int = 1_800_000_000_000
    horizon_ms: int = 1 << 62
    fetch_max: int = 7
    records: dict[TopicPartition, list[Fetched]] = field(default_factory=dict)
    earliest: dict[TopicPartition, int] = field(default_factory=dict)

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append in order."""
        return [self.put(record) for record in records]

    def put(self, record: Outgoing) -> int:
        """Append one record and return its offset."""
        where = TopicPartition(record.topic, record.partition)
        held = self.records.setdefault(where, [])
        offset = held[-1].offset + 1 if held else self.earliest.get(where, 0)
        held.append(Fetched(*where, offset, self.now_ms, record.key, record.value, record.headers))
        return offset

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Fetched]:
        """Return up to ``fetch_max`` records."""
        wanted = [one for one in self.records.get(where, []) if start <= one.offset < end]
        return wanted[: self.fetch_max]

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest offset, offset after the last record)."""
        held = [one for one in self.records.get(where, []) if one.timestamp <= self.horizon_ms]
        earliest = self.earliest.get(where, 0)
        return earliest, held[-1].offset + 1 if held else earliest

    def delete_below(self, where: TopicPartition, offset: int) -> None:
        """Delete records as retention does."""
        self.earliest[where] = offset
        self.records[where] = [one for one in self.records.get(where, []) if one.offset >= offset]
