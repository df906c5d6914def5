"""Follows the facts of a fleet under the policy in force and under a candidate, and notes where they part.

The log that it is given can be read and nothing else (``ports.ReadableLog`` has no way to append), so whatever the
candidate decides stays in the journal. Facts are folded from the newest snapshot that lies before the place where
comparing begins; a fact on which the log's own fold fails is rejected in its place, as decide does it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from streams import telemetry
from streams.codec import decode_fact
from streams.core.errors import InputError, InvariantError, OlderEpochError, OtherEpochError, OtherVersionError
from streams.core.events import ConfigApplied, Fact
from streams.core.fold import Fold
from streams.core.saved import unpack
from streams.core.strategy import Catalogue
from streams.core.twin import Twin
from streams.ports import ReadableLog, Record, TopicPartition
from streams.shadow.divergence import Difference, Divergence
from streams.shadow.journal import Journal, Step
from streams.topics import Topics

LOOK_SECONDS: Final = 0.5
TURN_RECORDS: Final = 200
"""Facts after which the event loop turns: some hundredths of a second."""

Snapshots = Callable[[], Awaitable[Sequence[bytes]]]
"""The fleet's saved states, newest first."""


T_co = TypeVar("T_co", covariant=True)


class _Folds(Protocol[T_co]):
    """A ``Fold``, or a ``Twin`` of two."""

    def apply(self, fact: Fact, offset: int, append_ms: int) -> Sequence[T_co]:
        """Fold a fact."""
        ...

    def reject(self, fact: Fact | None, offset: int, append_ms: int, reason: str) -> Sequence[T_co]:
        """Reject a fact."""
        ...


class _PoisonError(Exception):
    """The log's own fold failed on a fact; its state is worthless now."""


class Watch:
    """One candidate beside one fleet's log."""

    def __init__(
        self,
        log: ReadableLog,
        topics: Topics,
        snapshots: Snapshots,
        candidate: ConfigApplied,
        catalogue: Catalogue,
        journal: Journal,
    ) -> None:
        self._log = log
        self._fleet = topics.fleet
        self._where = TopicPartition(topics.facts, 0)
        self._snapshots = snapshots
        self._candidate = candidate
        self._catalogue = catalogue
        self._journal = journal
        self._poisonous: dict[int, str] = {}
        self._divergence = Divergence()
        self._twin = Twin(Fold.new(catalogue), candidate, catalogue)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Compare until told to stop; ``ready`` is called once when the log's end at the start is reached.

        Raises ``InvariantError`` when facts are missing or were cut, ``OtherVersionError`` for another release's state,
        ``OtherEpochError`` where a newer release begins to decide.
        """
        position = await self._begin()
        ready()
        while not stop.is_set():
            _, end = await self._log.bounds(self._where)
            if position > end:
                raise InvariantError(f"{self._where.topic} ends at {end}, and facts up to {position} are compared")
            telemetry.lag(*self._where, end - position, position)
            while position < end and not stop.is_set():
                position = await self._compare(position, end)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def _begin(self) -> int:
        """Stand where comparing goes on: at the journal's place for this candidate, else at the log's end."""
        _, end = await self._log.bounds(self._where)
        known = self._journal.resume(self._fleet, self._candidate)
        if known is not None and known > end:
            known = None  # another log of that name, begun anew
        if known is None:
            self._journal.begin(self._fleet, self._candidate, end)
        self._divergence = Divergence(self._journal.parted())
        return await self._stand_at(end if known is None else known)

    async def _stand_at(self, wanted: int) -> int:
        """Fold the log up to ``wanted``, or to the oldest place that a snapshot reaches; return the place."""
        while True:
            fold = await self._restored(wanted)
            if fold.directory.facts_offset > wanted:
                self._journal.miss(fold.directory.facts_offset)
            wanted = max(wanted, fold.directory.facts_offset)
            try:
                await self._fold_up_to(fold, wanted)
            except _PoisonError:
                continue
            self._twin = Twin(fold, self._candidate, self._catalogue)
            return wanted

    async def _restored(self, wanted: int) -> Fold:
        """Return the log's fold at or before an offset; if there is none, the oldest one after it.

        Raises ``OlderEpochError`` while only an older epoch has left one: by our rules its facts give another state.
        """
        earliest, _ = await self._log.bounds(self._where)
        later = None
        for data in await self._snapshots():
            try:
                fold = Fold.restore(unpack(data).fold, self._catalogue)
            except OlderEpochError:
                if later is not None:
                    return later
                raise
            except OtherVersionError:
                raise
            except InputError as error:
                telemetry.snapshot_damaged("topic", "newest", str(error))
                continue
            if fold.directory.facts_offset <= wanted:
                if fold.directory.facts_offset >= earliest:
                    return fold
                break
            later = fold
        if later is not None:
            return later
        if earliest > 0:
            raise InvariantError(f"{self._where.topic} begins at {earliest}, and no snapshot reaches there")
        return Fold.new(self._catalogue)

    async def _fold_up_to(self, fold: Fold, end: int) -> None:
        while (start := fold.directory.facts_offset) < end:
            for record in await self._read(start, end):
                self._folded(fold, record)
                if record.offset % TURN_RECORDS == 0:
                    await asyncio.sleep(0)

    async def _read(self, start: int, end: int) -> Sequence[Record]:
        records = await self._log.read(self._where, start, end)
        if not records or records[0].offset != start:
            raise InvariantError(f"{self._where.topic}: facts from {start} on are missing")
        return records

    async def _compare(self, start: int, end: int) -> int:
        """Fold one fetch under both policies, note what differs, and return the place after it."""
        records = await self._read(start, end)
        for begin in range(0, len(records), TURN_RECORDS):
            some = records[begin : begin + TURN_RECORDS]
            place = self._take(some)
            if place <= some[-1].offset:
                return await self._stand_at(place)
            await asyncio.sleep(0)
        return records[-1].offset + 1

    def _take(self, records: Sequence[Record]) -> int:
        """Compare some facts up to the first one that the log's fold fails on, and return the place after them."""
        start = place = records[0].offset
        differences: list[Difference] = []
        with contextlib.suppress(_PoisonError):
            for record in records:
                pairs = self._folded(self._twin, record)
                for pair in pairs:
                    telemetry.shadow_compared(pair.known.kind, pair.change)
                differences += self._divergence.take(pairs)
                place = record.offset + 1
        self._note(place, place - start, records[max(place - start - 1, 0)].timestamp, differences)
        return place

    def _note(self, next_offset: int, facts: int, to_ms: int, differences: Sequence[Difference]) -> None:
        held, twin = self._divergence, self._twin
        self._journal.take(Step(next_offset, facts, to_ms, held.counts, differences, held.repeats, twin.failures))
        telemetry.shadow_parted(sum(one.first for one in differences))
        held.counts.clear()
        held.repeats = twin.failures = 0

    def _folded(self, folds: _Folds[T_co], record: Record) -> Sequence[T_co]:
        """Fold a fact, or reject it where decide does."""
        fact = _fact_in(record)
        reason = self._poisonous.get(record.offset, "undecodable" if fact is None else "")
        try:
            if fact is None or reason:
                return folds.reject(fact, record.offset, record.timestamp, reason)
            return folds.apply(fact, record.offset, record.timestamp)
        except (InvariantError, MemoryError, OtherEpochError):
            raise
        except Exception as error:
            self._poisonous[record.offset] = type(error).__name__
            raise _PoisonError(f"the fold failed on fact {record.offset}") from error


def _fact_in(record: Record) -> Fact | None:
    """Return the fact in a record, None when it holds none."""
    try:
        return decode_fact(record.value or b"")
    except InputError:
        return None
