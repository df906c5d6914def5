"""Everything that a fault may touch: the processes, the broker, the clock, the disk, and what is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from aiokafka.errors import KafkaError
from msgspec import Struct, field

from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.ports import TopicPartition
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.runtime.view import FactsView
from streams.settings import Settings
from tests.chaos.clock import Clock
from tests.chaos.disk import Disk
from tests.chaos.fleet import Fleet
from tests.chaos.load import Load
from tests.chaos.reading import Kept

LOOK_SECONDS = 0.03
SILENT_SECONDS_MAX = 2.0
DYING_SECONDS = 0.05
"""What a killed process had sent has landed by then."""
WAIT_SECONDS_MAX = 180.0


class Arena(Struct):
    """A run's surroundings. ``view`` follows the facts; ``decisions`` is looked at all the time."""

    settings: Settings
    broker: EmbeddedBroker
    clock: Clock
    disk: Disk
    fleet: Fleet
    load: Load
    log: KafkaLog
    view: FactsView
    timeline: Timeline
    random: Random
    kept: Kept = field(default_factory=Kept)

    @property
    def detects(self) -> list[str]:
        """Return the names of all detect processes."""
        return self.fleet.names("detect")

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Return when something holds. Raises ``TimeoutError``."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await holds():  # noqa: ASYNC110 - the broker has no event to wait for
                await asyncio.sleep(LOOK_SECONDS)

    async def read_up_to(self, wheres: Sequence[TopicPartition]) -> bool:
        """Say whether the facts account for all that is in these partitions now."""
        ends = [(await self.log.bounds(where))[1] for where in wheres]
        await self.view.refresh()
        ledger = self.view.directory.ledger
        return all(max(ledger.holding(*where).to_offset, 0) >= end for where, end in zip(wheres, ends, strict=True))

    @contextmanager
    def silent(self, topic: str) -> Iterator[None]:
        """Have nobody say anything to a topic meanwhile."""
        self.load.silent.add(topic)
        try:
            yield
        finally:
            self.load.silent.discard(topic)


def view_of(log: KafkaLog, settings: Settings) -> FactsView:
    """Return a view of the facts that has read nothing yet."""
    return FactsView(log, settings.topics, Directory())


class Timeline:
    """When the log of decisions ended where, looked at all the time, also while the broker is away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._where = TopicPartition(settings.topics.decisions, 0)
        self.seen: list[tuple[float, int]] = []
        """Monotonic seconds, and the offset after the last decision then."""

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            try:
                async with KafkaLog(self._settings, connect_seconds=1.0) as log:
                    while True:
                        async with asyncio.timeout(SILENT_SECONDS_MAX):
                            _, end = await log.bounds(self._where)
                        if not self.seen or self.seen[-1][1] < end:
                            self.seen.append((time.monotonic(), end))
                        await asyncio.sleep(LOOK_SECONDS)
            except (KafkaError, TimeoutError, InputError, OSError):
                await asyncio.sleep(LOOK_SECONDS)

    @property
    def end(self) -> int:
        """The offset after the last decision that was seen."""
        return self.seen[-1][1] if self.seen else 0

    def recovery(self, since: float) -> float | None:
        """Return the seconds from a moment to the first new decision after it; None while there is none."""
        return next((at - since for at, _ in self.seen if at > since + DYING_SECONDS), None)

    async def recovered(self, since: float) -> float:
        """Return the same, when there is one. Raises ``TimeoutError``."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (seconds := self.recovery(since)) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_SECONDS)
        return seconds
