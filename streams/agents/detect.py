"""Detect: takes source partitions and turns their records into slices; any number of processes, no state of its own.

The order of writes is what makes it safe: a term is taken in the log of facts and read back before a position is
believed; evidence and dead letters are acknowledged before the slice that names them; the slice is acknowledged before
the batch is done. While the output of a batch is acknowledged the next may be cut. Whoever is overtaken by a later term
finds it in the log and leaves.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from streams import telemetry
from streams.agents.following import Facts
from streams.agents.portions import Batch, portions
from streams.codec import encode
from streams.core.beside import Evidence
from streams.core.config import RuleSet, ZoneSpec
from streams.core.directory import Directory
from streams.core.epochs import EpochChanged
from streams.core.errors import InputError, InvariantError
from streams.core.events import Fact, LinesLost, Reject, Slice, Took
from streams.core.fold import is_own, own_epoch
from streams.ingest.confluent import Book
from streams.ingest.shedding import Pressure
from streams.ingest.slicer import Cut
from streams.ports import Log, Outgoing, Record, Schemas, TopicPartition, Unread
from streams.runtime.kafka import is_little
from streams.topics import Topics

TAKES_MAX: Final = 8
"""Attempts to take a term against somebody who takes the same partition at the same time."""


class Cutter(Protocol):
    """What detect needs of ``streams.ingest.slicer.Slicer``."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Return slices that account for [``from_offset``, last offset + 1)."""
        ...

    def zoned(self, specs: Sequence[ZoneSpec]) -> None:
        """Read stamps without a zone in these zones from now on."""
        ...


class Lookup(NamedTuple):
    """A schema registry, and the book in which the slicers find what it answered."""

    schemas: Schemas
    book: Book

    async def prepare(self, batch: Iterable[Sequence[Record]]) -> None:
        """Ask for the schemas that records name and the book does not know: cutting them does no I/O."""
        unknown = set().union(*(self.book.unknown(records) for records in batch))
        if unknown:
            self.book.learn(await self.schemas.get(unknown))


class Watch(NamedTuple):
    """What the slicers shed by, and two clocks in ms: since 1970, as stamps have it, and one that never goes back."""

    pressure: Pressure
    wall_ms: Callable[[], int]
    steady_ms: Callable[[], int]

    def look(self, portion: Batch) -> None:
        """Take in how long ago the oldest record at hand was appended, before it is cut."""
        now_ms = self.wall_ms()
        lag_ms = max((now_ms - records[0].timestamp for _, records in portion if records), default=0)
        if self.pressure.seen(lag_ms, self.steady_ms()):
            telemetry.shedding(self.pressure.rung, lag_ms)


class SupersededError(Exception):
    """What we hold is out of date: another process took it, or it was deleted. End, and take partitions anew."""


class _Held(NamedTuple):
    """A partition of ours: the term under which we have it, and the next offset to account for."""

    term: int
    position: int


class _Work(NamedTuple):
    """What a batch comes to: records to append first, then facts with their bytes."""

    before: list[Outgoing]
    facts: list[tuple[Slice, bytes]]


class DetectEngine:
    """The stage; see ``streams.ports.Engine``.

    ``slicer_for`` compiles applied rules (``InputError`` when it can't: then the shipped ones hold); ``nonce`` gives a
    new unique word each time; ``directory`` is what is known of the facts already, from a snapshot. Without ``lookup``
    there is no schema registry; without ``watch`` nothing is shed.
    """

    def __init__(
        self,
        log: Log,
        topics: Topics,
        slicer_for: Callable[[RuleSet], Cutter],
        owner: str,
        nonce: Callable[[], str],
        directory: Directory | None = None,
        lookup: Lookup | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch
        self._log = log
        self._topics = topics
        self._slicer_for = slicer_for
        self._owner = owner
        self._nonce = nonce
        self._lookup = lookup
        self._facts = Facts(log, topics, directory or Directory())
        self._rules = self._facts.directory.rules
        self._inventory = self._facts.directory.inventory
        self._slicer = self._compiled()
        self._held: dict[TopicPartition, _Held] = {}
        self._cutting = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._failed = False
        self._wrote = False

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Take a new term of every partition, and go on where the facts before it end."""
        self._held = {}
        await self._facts.follow()
        await self._begin_epoch()
        terms = await self._take(partitions)
        for where in partitions:
            self._held[where] = _Held(terms[where], await self._start(where, terms[where]))
            telemetry.lines_read(where.topic, 0)
            telemetry.shed(where.topic, 0, 0)
        return {where: held.position for where, held in self._held.items()}

    async def _begin_epoch(self) -> None:
        """Say in which epoch a new fleet begins; without a word it is the first."""
        directory = self._facts.directory
        if not directory.facts_offset and not is_own(directory.epoch):
            begun = EpochChanged(epoch=own_epoch(), previous=0, release="", author=self._owner, reason="a new fleet")
            await self._facts.append([begun])

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Append evidence and dead letters, then the slices; when this returns, all of it is acknowledged.

        May be called again before it returns: batches are cut in turn and written in turn, and one may be cut while the
        output of the one before is acknowledged. A little one waits for that: its cutting would only hold up the other.
        """
        if self._lookup:
            await self._lookup.prepare(records for where, records in batch if where.topic not in self._topics.inboxes)
        async with self._cutting:
            if is_little(dict(batch)):
                async with self._writing:
                    pass
            work = _Work([], [])
            for portion in portions(batch):
                if work.facts:
                    async with self._writing:
                        await self._write(work)
                work = await self._work(portion)
            await self._writing.acquire()
        try:
            await self._write(work)
        finally:
            self._writing.release()

    async def _work(self, portion: Batch) -> _Work:
        """Cut a portion."""
        work = _Work([], [])
        if self._watch:
            self._watch.look(portion)
        for where, records in portion:
            if where in self._held and records:
                await self._cut(where, records, work)
        return work

    async def _write(self, work: _Work) -> None:
        """Append what a portion comes to, in the order that makes it safe; nothing after one that failed."""
        if self._failed:
            raise SupersededError("the batch before was not written")
        try:
            if work.before:
                await self._log.append(work.before)
            await self._append([fact for fact, _ in work.facts], [data for _, data in work.facts])
        except BaseException:
            self._failed = True
            raise
        self._wrote |= bool(work.facts)
        for piece, _ in work.facts:
            _count(piece)

    async def idle(self) -> None:
        """Follow the facts: rules may have changed, or a partition may have been taken. An append has shown as much."""
        if not self._wrote:
            await self._facts.follow()
            self._look()
        self._wrote = False

    # ----------------------------------------------------------------------------------------------------- taking

    async def _take(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Append ``Took`` for each partition until it is ours in the facts as they are read back; return the terms."""
        nonces: dict[TopicPartition, str] = {}
        for _ in range(TAKES_MAX):
            missing = [where for where in partitions if self._facts.holding(where).nonce != nonces.get(where)]
            if not missing:
                return {where: self._facts.holding(where).term for where in partitions}
            nonces.update({where: self._nonce() for where in missing})
            await self._append([self._took(where, nonces[where]) for where in missing])
        raise SupersededError(f"{self._owner}: others take the same partitions all the time")

    def _took(self, where: TopicPartition, nonce: str) -> Took:
        term = self._facts.holding(where).term + 1
        return Took(source=where.topic, partition=where.partition, term=term, nonce=nonce, owner=self._owner)

    async def _start(self, where: TopicPartition, term: int) -> int:
        """Return the first offset that nobody accounted for; what retention deleted unread is recorded as lost."""
        position = self._facts.holding(where).to_offset
        earliest, end = await self._log.bounds(where)
        if position < 0:
            return earliest
        if end < position:
            raise InvariantError(
                f"{where.topic}/{where.partition} ends at {end}, but {position} records of it were read: it was made "
                "anew; if that is meant, run logmend topics accept-reset"
            )
        if earliest <= position:
            return position
        lost = LinesLost(
            source=where.topic, partition=where.partition, term=term, from_offset=position, to_offset=earliest
        )
        await self._append([lost])
        telemetry.lines_lost(*where, position, earliest)
        return earliest

    async def _append(self, facts: Sequence[Fact], encoded: Sequence[bytes] = ()) -> None:
        await self._facts.append(facts, encoded)
        self._look()

    def _look(self) -> None:
        """Look at what the facts say by now: whose our partitions are, which rules and zones are in force."""
        for where, held in self._held.items():
            if self._facts.holding(where).term != held.term:
                raise SupersededError(f"{where.topic}/{where.partition} was taken from {self._owner}")
        known = self._facts.directory
        if known.inventory is not self._inventory:
            self._inventory = known.inventory
            self._slicer.zoned(known.inventory.zones)
        if known.rules is not self._rules:
            self._rules = known.rules
            self._slicer = self._compiled()

    def _compiled(self) -> Cutter:
        """Return a slicer of the applied rules; of the shipped ones, everywhere alike, when those don't compile."""
        try:
            slicer = self._slicer_for(self._rules)
        except InputError as error:
            telemetry.handled("rules", f"the shipped rules are in force, the applied ones do not compile: {error}")
            slicer = self._slicer_for(RuleSet())
        slicer.zoned(self._inventory.zones)
        return slicer

    # ---------------------------------------------------------------------------------------------------- cutting

    async def _cut(self, where: TopicPartition, records: Sequence[Record], work: _Work) -> None:
        """Cut what is new of a partition and move its position on."""
        term, position = self._held[where]
        if records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        if not records:
            return
        begin = _first_offset(records[0])
        if begin > position:
            await self._prove_hole(where, position, begin)
        self._slice_read(where, records, position, work)
        self._held[where] = _Held(term, records[-1].offset + 1)
        telemetry.lines_read(where.topic, 0, sum(map(len, filter(None, [record.value for record in records]))))

    async def _prove_hole(self, where: TopicPartition, start: int, end: int) -> None:
        """Raise unless offsets [start, end) hold no record: markers and compaction leave holes, a host must not."""
        earliest, _ = await self._log.bounds(where)
        if earliest > start:
            raise SupersededError(f"{where.topic}/{where.partition}: records from {start} on were deleted unread")
        if await self._log.read(where, start, end):
            raise InvariantError(f"{where.topic}/{where.partition}: records [{start}, {end}) were not handed over")

    def _slice_read(self, where: TopicPartition, records: Sequence[Record], position: int, work: _Work) -> None:
        """Add slices for what was read, and a reject for each ``Unread`` between."""
        if Unread not in set(map(type, records)):
            self._slice(where, records, position, work)
            return
        done = 0
        for index, record in enumerate(records):
            if not isinstance(record, Unread):
                continue
            if done < index:
                self._slice(where, records[done:index], position, work)
                position = records[index - 1].offset + 1
            telemetry.handled("fetch", f"{where.topic}/{where.partition}: {record.reason}")
            self._reject(where, record, position, record.reason, work)
            position, done = record.offset + 1, index + 1
        if done < len(records):
            self._slice(where, records[done:], position, work)

    def _slice(self, where: TopicPartition, records: Sequence[Record], position: int, work: _Work) -> None:
        """Add slices for some records; records that can't be sliced together are tried by halves, then rejected."""
        try:
            cut = self._slicer.cut(*where, self._held[where].term, records, position)
            facts = [(piece, encode(piece)) for piece in cut.slices]
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record does to the slicer, it must not stop its partition
            telemetry.handled("slicer", f"{where.topic}/{where.partition}/{records[0].offset}: {_what(error)}")
            if len(records) == 1:
                self._reject(where, records[0], position, type(error).__name__, work)
                return
            half = len(records) // 2
            self._slice(where, records[:half], position, work)
            self._slice(where, records[half:], records[half - 1].offset + 1, work)
            return
        work.facts.extend(facts)
        work.before.extend(self._evidence(one) for one in cut.evidence)
        work.before.extend(self._dead_letter(record, reason) for record, reason in cut.dead)

    def _reject(self, where: TopicPartition, record: Record, position: int, reason: str, work: _Work) -> None:
        """Account for a record that no slice can be made of."""
        bare = Slice(
            source=where.topic,
            partition=where.partition,
            term=self._held[where].term,
            from_offset=position,
            to_offset=record.offset + 1,
            rules_sha256="",
            lines=0,
            at_max_ms=0,
            append_max_ms=record.timestamp,
            rejects=(Reject(offset=_first_offset(record), index=0, reason=reason),),
        )
        work.facts.append((bare, encode(bare)))
        work.before.append(self._dead_letter(record, reason))

    def _evidence(self, evidence: Evidence) -> Outgoing:
        return Outgoing(self._topics.evidence, encode(evidence), f"{evidence.topic}/{evidence.partition}".encode())

    def _dead_letter(self, record: Record, reason: str) -> Outgoing:
        """Return a record as it was read, with where it stood and why it is dead in headers before its own.

        What could not be read leaves a note with an empty value; aiokafka sends nothing that has neither value nor key.
        """
        offset = _first_offset(record)
        place = {"topic": record.topic, "partition": record.partition, "offset": offset, "reason": reason}
        headers = tuple((f"logmend.{name}", str(value).encode()) for name, value in place.items())
        return Outgoing(self._topics.dlq, record.value or b"", record.key, 0, (*headers, *record.headers))


def _first_offset(record: Record) -> int:
    """Return the offset of a record, or of the first that could not be read."""
    return record.first_offset if isinstance(record, Unread) else record.offset


def _what(error: Exception) -> str:
    """Return which error it is and where it was raised; what it says may quote a line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _count(piece: Slice) -> None:
    telemetry.lines_read(piece.source, piece.lines)
    if piece.points:
        telemetry.points_read(piece.source, piece.points, piece.unmapped)
    telemetry.slice_appended(piece.source)
    if piece.shed_templates or piece.shed_texts:
        telemetry.shed(piece.source, piece.shed_templates, piece.shed_texts)
    for reject in piece.rejects:
        telemetry.rejected(piece.source, reject.reason.partition(":")[0])
    for detection in piece.detections:
        telemetry.detected(detection.category, detection.severity, detection.count)
