"""What a process must know of the fleet, followed from the log: inventory, kill switch, epoch, policy, rules, terms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiokafka.errors import OffsetOutOfRangeError

from streams import telemetry
from streams.codec import decode_fact
from streams.core.directory import Directory
from streams.core.errors import InputError, InvariantError, OlderEpochError, OtherVersionError
from streams.core.events import Fact
from streams.core.fold import check_epoch, directory_of
from streams.core.saved import unpack
from streams.core.slices import Verdict
from streams.ports import Log, Poller, Record, SnapshotStore, TopicPartition
from streams.runtime.snapshots import TopicSnapshots
from streams.topics import Topics

Heard = Callable[[Fact, Verdict, int], None]
"""Told of a fact, whether it counts, and the broker's stamp in milliseconds."""


class FactsView:
    """The directory of a fleet as of the last ``refresh``; ``heard`` is told of each fact once it is in there.

    A fleet in another epoch than ours raises ``OtherEpochError``, unless ``any_epoch``.
    """

    def __init__(
        self, log: Log, topics: Topics, directory: Directory, heard: Heard | None = None, *, any_epoch: bool = False
    ) -> None:
        self.directory = directory
        self._any_epoch = any_epoch
        self._heard = heard
        self._log = log
        self._where = TopicPartition(topics.facts, 0)
        self._reading = asyncio.Lock()

    @classmethod
    async def open(cls, log: Log, topics: Topics, *, any_epoch: bool = False) -> FactsView:
        """Start from the newest whole snapshot in the topic (or from the beginning) and read to the end of facts.

        Raises as ``refresh`` and ``newest_directory``.
        """
        directory = await newest_directory(TopicSnapshots(log, topics.snapshots))
        view = cls(log, topics, directory, any_epoch=any_epoch)
        await view.refresh()
        return view

    async def refresh(self) -> None:
        """Read to the end of the facts as it is now.

        Raises ``InvariantError`` when facts are missing, ``OtherEpochError`` when the fleet is in another epoch.
        """
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
        self._check_epoch()

    async def follow(self, poller: Poller, pause_seconds: float = 0.0) -> None:
        """Read facts as they come, for ever, with a pause after each look; ``refresh`` then has little left to read."""
        while True:
            async with self._reading:
                try:
                    batch = await poller.poll({self._where: self.directory.facts_offset})
                except OffsetOutOfRangeError:
                    batch = None
                for _, records in batch or ():
                    self._take_all(records)
                    self._check_epoch()
            if batch is None:
                await self.refresh()  # says what is wrong with the log
            await asyncio.sleep(pause_seconds)

    def _check_epoch(self) -> None:
        """Refuse a fleet in another epoch; one without a fact is in none yet."""
        if self.directory.facts_offset and not self._any_epoch:
            check_epoch(self.directory.epoch, self.directory.release)

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
            self._heard(fact, verdict, record.timestamp)


async def newest_directory(store: SnapshotStore) -> Directory:
    """Return the directory in the newest whole snapshot, a new one when there is none of our epoch.

    Raises ``OtherVersionError`` when that snapshot is of a newer epoch or of another version of ours.
    """
    for snapshot in await store.newest():
        try:
            return directory_of(unpack(snapshot).fold)
        except OlderEpochError:
            continue
        except OtherVersionError:
            raise
        except InputError as error:
            telemetry.snapshot_damaged("topic", "newest", str(error))
    return Directory()
