"""A fleet's facts in a log in memory, and a candidate that watches them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streams.catalogue import strategies
from streams.cli.files import applied
from streams.codec import encode
from streams.core.config import Policy
from streams.core.saved import Saved, pack
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.shadow.journal import Journal, shadow_dir
from streams.shadow.report import ShadowReport, report
from streams.shadow.watch import Watch
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog
from tests.core.test_fold import QUICK, a_world
from tests.core.world import World

TOPICS = Topics()
FACTS = TopicPartition(TOPICS.facts, 0)


def crashed(world: World, *services: str) -> World:
    """Have services crash one after the other; each is restarted and healed if the policy acts."""
    for service in services:
        for command in [one.command for one in world.detect(service, "process_crash") if one.command]:
            world.wait(2)
            world.outcome(command.id)
        for _ in range(4):
            world.wait(4)
            world.normal(service)
    return world


def settled(policy: Policy = QUICK) -> World:
    """Return a world with three services that are well."""
    return a_world("api", "web", "db", policy=policy)


class Scene:
    """A log, the snapshots of it, and a data directory."""

    def __init__(self, directory: Path) -> None:
        self.log = MemoryLog()
        self.directory = directory
        self.snapshots: list[bytes] = []
        self._appended = 0

    def append(self, world: World) -> None:
        """Append what a world has been fed since the last time."""
        for fact, _, ms in world.facts[self._appended :]:
            self.log.now_ms = ms
            self.log.put(Outgoing(TOPICS.facts, encode(fact)))
        self._appended = len(world.facts)

    def save(self, world: World) -> None:
        """Keep a snapshot of a world as decide does."""
        offset = world.fold.directory.facts_offset
        self.snapshots.insert(0, pack(Saved(offset, -1, world.fold.snapshot())))

    def watch(self, candidate: Policy, world: World | None = None) -> ShadowReport:
        """Watch a log, append what a world was fed once that has begun, and stop when all is compared."""
        asyncio.run(self._watch(candidate, world))
        return report(shadow_dir(self.directory))

    async def _watch(self, candidate: Policy, world: World | None) -> None:
        stop = asyncio.Event()

        async def snapshots() -> Sequence[bytes]:
            return self.snapshots

        def ready() -> None:
            if world is not None:
                self.append(world)

        journal = Journal.open(shadow_dir(self.directory))
        watch = Watch(_Ending(self.log, stop), TOPICS, snapshots, applied(candidate, "ada"), strategies(), journal)
        try:
            await watch.run(stop, ready)
        finally:
            journal.close()


class _Ending:
    """A log that may be read only, and that asks the reader to stop when it looks for more and finds nothing."""

    def __init__(self, log: MemoryLog, stop: asyncio.Event) -> None:
        self._log = log
        self._stop = stop
        self._looks = 0

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Fetched]:
        """See ``ports.ReadableLog.read``."""
        self._looks = 1
        return await self._log.read(where, start, end)

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """See ``ports.ReadableLog.bounds``."""
        self._looks += 1
        if self._looks > 4:
            self._stop.set()
        return await self._log.bounds(where)
