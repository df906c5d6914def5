"""The log as the pool writes to it: an append that has begun is never cut short.

After a cancelled append nobody knows what is in the log, so the log refuses all that follow. A clean stop cancels the
pool's loops, and then has outcomes to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from streams.ports import Outgoing, PolledLog, Record, TopicPartition


class Appends:
    """A ``ports.PolledLog`` whose appends go on when the one who asked for them is cancelled."""

    def __init__(self, log: PolledLog) -> None:
        self._log = log
        self._open: set[asyncio.Task[Sequence[int]]] = set()

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """See ``ports.Log.append``."""
        task = asyncio.create_task(self._append(records))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait for the appends that were begun; raises what they raise."""
        await asyncio.gather(*self._open)

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """See ``ports.Log.read``."""
        return await self._log.read(where, start, end)

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """See ``ports.Log.bounds``."""
        return await self._log.bounds(where)

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Record]]]:
        """See ``ports.Poller.poll``."""
        return await self._log.poll(positions)

    async def _append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        return await self._log.append(records)
