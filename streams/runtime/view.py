"""What a process must know of the fleet, followed from the log: inventory, kill switch, epoch, policy, rules, terms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiokafka.errors import OffsetOutOfRangeError

from streams import telemetry
from streams.codec import decode_fact
from streams.core.directory import Directory
from streams.core.errors import InputError, InvariantError, OtherVersionError
from streams.core.events import Fact
from streams.core.fold import directory_of
from streams.core.saved import unpack
from streams.core.slices import Verdict
from streams.ports import Log, Poller, Record, SnapshotStore, TopicPartition
from streams.runtime.snapshots import TopicSnapshots
from streams.topics import Topics

Heard = Callable[[Fact, Verdict], None]


class FactsView:
    """The directory of a fleet as of the last ``refresh``; ``heard`` is told of each fact once it is in there."""

    def __init__(self, log: Log, topics: Topics, directory: Directory, heard: Heard | None = None) -> None:
        self.directory = directory
        self._heard = heard
        self._log = log
        self._where = TopicPartition(topics.facts, 0)
        self._reading = asyncio.Lock()

    @classmethod
    async def open(cls, log: Log, topics: Topics) -> FactsView:
        """Start from the newest whole snapshot in the topic (or from the beginning) and read to the end of facts.

        Raises ``InvariantError`` when facts are missing, ``OtherVersionError`` as ``newest_directory``.
        """
        view = cls(log, topics, await newest_directory(TopicSnapshots(log, topics.snapshots)))
        await view.refresh()
        return view

    async def refresh(self) -> None:
        """Read to the end of the facts as it is now. Raises ``InvariantError`` when facts are missing."""
        known = self.directory.facts_offset  # ``follow`` may read on while the broker says where facts end
        earliest, end = await self._log.bounds(self._where)
        if self.directory.facts_offset < earliest:
            raise InvariantError(
                f"{self._where.topic} begins at {earliest}, and no snapshot reaches there: run logmend restore"
            )
        if known > end:
            raise InvariantError(f"{self._where.topic} ends at {end} and facts up to {known} are known: it was cut")
        while self.directory.facts_offset < end:
            async with self._reading:
                await self._read_on(end)

    async def follow(self, poller: Poller) -> None:
        """Read facts as they come, for ever; ``refresh`` then has hardly anything left to read."""
        while True:
            async with self._reading:
                try:
                    batch = await poller.poll({self._where: self.directory.facts_offset})
                except OffsetOutOfRangeError:
                    batch = None
                for _, records in batch or ():
                    self._take_all(records)
            if batch is None:
                await self.refresh()  # says what is wrong with the log

    async def _read_on(self, end: int) -> None:
        start = self.directory.facts_offset
        if start >= end:
            return
        records = await self._log.read(self._where, start, end)
        if not records:
            raise InvariantError(f"{self._where.topic}: facts from {start} on are missing")
        self._take_all(records)

    def _take_all(self, records: Sequence[Record]) -> None:
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        try:
            fact = decode_fact(record.value or b"")
        except InputError:
            self.directory.facts_offset = record.offset + 1  # decide rejects it, so it counts for nobody
            return
        verdict = self.directory.take(fact, record.offset)
        if verdict is not Verdict.ACCEPTED:
            telemetry.fact_dropped(verdict.value)
        if self._heard is not None:
            self._heard(fact, verdict)


async def newest_directory(store: SnapshotStore) -> Directory:
    """Return the directory in the newest whole snapshot, a new one when there is none.

    Raises ``OtherVersionError`` when that snapshot is of another version of ours.
    """
    for snapshot in await store.newest():
        try:
            return directory_of(unpack(snapshot).fold)
        except OtherVersionError:
            raise
        except InputError as error:
            telemetry.snapshot_damaged("topic", "newest", str(error))
    return Directory()
