"""A log that says so after each answer of the broker: it tells a watchdog that whoever waits for one makes progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.ports import Log, Outgoing, Record, TopicPartition


class AnsweringLog:
    """A ``Log``; ``answered`` is called after each answer."""

    def __init__(self, log: Log, answered: Callable[[], None]) -> None:
        self._log = log
        self._answered = answered

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """See ``ports.Log.append``."""
        offsets = await self._log.append(records)
        self._answered()
        return offsets

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """See ``ports.ReadableLog.read``."""
        records = await self._log.read(where, start, end)
        self._answered()
        return records

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """See ``ports.ReadableLog.bounds``."""
        found = await self._log.bounds(where)
        self._answered()
        return found
