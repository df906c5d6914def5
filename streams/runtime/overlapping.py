"""Work on a batch while the output of the one before is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.ports import Engine, Record, TopicPartition


class Overlapping:
    """An engine that returns from ``process`` while the batch is under way, one at most.

    Only for an engine that takes its position from the log and orders its writes by itself, as detect does: what was
    not appended when its process dies is read again. An error of a batch is raised by the call that follows.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: asyncio.Task[None] | None = None

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """See ``ports.Engine.load``."""
        await self.settle()
        return await self._engine.load(partitions)

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Begin with a batch; return when the one before is done."""
        before, self._under_way = self._under_way, None
        begun = asyncio.ensure_future(self._engine.process(batch))
        if before is not None:
            try:
                await before
            except BaseException:
                begun.cancel()
                raise
        self._under_way = begun

    async def idle(self) -> None:
        """See ``ports.Engine.idle``."""
        await self.settle()
        await self._engine.idle()

    async def settle(self) -> None:
        """See ``ports.Settling.settle``."""
        before, self._under_way = self._under_way, None
        if before is not None:
            await before
