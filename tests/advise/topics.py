"""An in-memory Kafka that is waited on, and a loop of advisors over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

from streams.advise.desk import Desk
from streams.advise.loop import Loop
from streams.advise.scout import Scout
from streams.codec import decode, encode
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.base import Event
from streams.core.beside import Evidence
from streams.core.events import Decision
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog

E = TypeVar("E", bound=Event)
TOPICS = Topics()


class PolledLog(MemoryLog):
    """A ``MemoryLog`` whose end can be waited on; ``appended`` is set by each append."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append in order."""
        await asyncio.sleep(0)
        return await super().append(records)

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Fetched]]]:
        """Return what there is from these positions on."""
        await asyncio.sleep(0.001)
        found = []
        for where, start in positions.items():
            _, end = await self.bounds(where)
            if records := await self.read(where, start, end):
                found.append((where, records))
        return found

    def ask(self, question: Decision) -> None:
        """Append a question."""
        self.put(Outgoing(TOPICS.decisions, encode(question), b""))

    def said(self, kind: type[E], topic: str = TOPICS.inbox_advice) -> list[E]:
        """Return all events of a kind in a topic."""
        events = [decode(record.value or b"") for record in self.records.get(TopicPartition(topic, 0), [])]
        return [event for event in events if isinstance(event, kind)]

    @property
    def opinions(self) -> list[OpinionGiven]:
        """All opinions in the inbox."""
        return self.said(OpinionGiven)

    @property
    def reports(self) -> list[AdvisorsReported]:
        """All reports of who is there."""
        return self.said(AdvisorsReported)

    @property
    def rationales(self) -> list[Evidence]:
        """All evidence."""
        return self.said(Evidence, TOPICS.evidence)


async def until(condition: Callable[[], object]) -> None:
    """Return when a condition holds; the test's own time-out is far away."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def advising(
    log: PolledLog, desk: Desk, scout: Scout, clock_ms: Callable[[], int] | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a loop while the block lasts, and stop it as the process does."""
    stop, ready = asyncio.Event(), asyncio.Event()
    loop = Loop(log, TOPICS, desk, scout, "h1", clock_ms or (lambda: log.now_ms))
    task = asyncio.create_task(loop.run(stop, ready.set))
    try:
        await until(lambda: ready.is_set() or task.done())
        yield task
    finally:
        stop.set()
        await task
