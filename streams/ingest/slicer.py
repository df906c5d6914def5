"""Cuts the records of one source partition into slices: every line matched, counted and accounted for.

``Slicer.cut`` does no I/O and reads no clock. What it remembers between cuts changes its speed, and one thing more: a
trace of plain text whose records are cut apart keeps its head when the same slicer cuts the next records. A slicer that
starts in the middle of a trace takes the frame for a line of its own; what was recorded first is what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from streams import codec
from streams.core.beside import Evidence
from streams.core.config import ZoneSpec
from streams.core.directory import may_say
from streams.core.errors import InputError
from streams.core.events import InboxEvent, Message, Slice
from streams.ingest.confluent import Book
from streams.ingest.gather import Gatherer, Source
from streams.ingest.groups import HeadOf
from streams.ingest.json_lines import JsonReader
from streams.ingest.lines import LineTaker
from streams.ingest.matcher import Matcher
from streams.ingest.metrics.taking import MetricTaker
from streams.ingest.redact import RECORD_CHARACTERS_MAX, Redactor
from streams.ingest.runs import RUN_RECORDS, WORTHWHILE, Runs
from streams.ingest.shedding import Pressure
from streams.ingest.zones import Zones
from streams.ports import Record
from streams.topics import Topics

CHECK_EVERY_BYTES: Final = 65_536
"""How much is read between two looks at how large the slice has grown."""
RECORD_OVERHEAD_BYTES: Final = 64
REASON_CHARACTERS_MAX: Final = 120
MESSAGE_TEXT_CHARACTERS_MAX: Final = 1_000
"""How long a text in an inbox event may be; the body of a configuration is bytes and has a limit of its own."""


class Cut(Struct, frozen=True):
    """What records came to. The slices join without a hole from ``from_offset`` to the last offset + 1.

    ``dead`` are the records for the dead-letter topic, with the reason; ``stamps_replaced`` counts the event times that
    could not be true and gave way to the append time.
    """

    slices: tuple[Slice, ...]
    evidence: tuple[Evidence, ...]
    dead: tuple[tuple[Record, str], ...]
    lines: int
    stamps_replaced: int


class Slicer:
    """Turns records into slices with one matcher. One slicer per thread."""

    def __init__(
        self,
        matcher: Matcher,
        topics: Topics,
        redactor: Redactor | None = None,
        book: Book | None = None,
        pressure: Pressure | None = None,
    ) -> None:
        """Use ``matcher`` for log topics; metrics become samples, and the inboxes of ``topics`` messages.

        ``book`` has the schemas of Confluent's records; without one those that need a schema are rejected.
        ``pressure`` says what is shed; without one nothing is.
        """
        self.matcher: Final = matcher
        self._inboxes: Final = frozenset(topics.inboxes)
        self._metrics: Final = frozenset(topics.metrics)
        self._redactor: Final = redactor or Redactor()
        self._book: Final = book or Book()
        self.pressure: Final = pressure or Pressure()
        self._json: Final = JsonReader()
        self._runs: Final = Runs(self._json)
        self._zones = Zones()
        self._carried: Final[dict[tuple[str, int], tuple[int, dict[bytes, HeadOf]]]] = {}

    def zoned(self, specs: Sequence[ZoneSpec]) -> None:
        """Read stamps without a zone in these zones from now on; what no zone is given for is in UTC."""
        self._zones = Zones(specs)

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Return slices that account for [``from_offset``, last offset + 1).

        ``records`` ascend in offset; those below ``from_offset`` are repeats and left out. A slice ends early when its
        encoding would grow beyond what a fact may be. Without a record to account for there is no slice.
        """
        fresh = (
            [record for record in records if record.offset >= from_offset]
            if _repeats(records, from_offset)
            else records
        )
        holding = Source(topic=source, partition=partition, term=term, rules_sha256=self.matcher.rules_sha256)
        gatherer = Gatherer(holding, self._redactor, from_offset, self.pressure.rung)
        if not fresh:
            return Cut(slices=(), evidence=(), dead=(), lines=0, stamps_replaced=0)
        if source in self._inboxes:
            dead = _take_messages(gatherer, fresh)
            return _cut(gatherer, dead, 0)
        zones = self._zones.of_topic(source)
        if source in self._metrics:
            measured = MetricTaker(self._json, gatherer, self._book, zones)
            dead = _take_all(measured.take, gatherer, fresh, check_every_bytes=0)
            return _cut(gatherer, dead, measured.stamps_replaced)
        # Taken out, so that a cut that fails leaves no heads of lines that come after those of the next attempt.
        carried_to, heads = self._carried.pop((source, partition), (-1, {}))
        heads = heads if carried_to == from_offset else {}
        taker = LineTaker(self.matcher, self._json, gatherer, heads, self._book, zones, self._runs)
        dead = _take_lines(taker, self._runs, gatherer, fresh)
        self._carried[source, partition] = (fresh[-1].offset + 1, taker.text.heads)
        return _cut(gatherer, dead, taker.counting.stamps_replaced)


def _repeats(records: Sequence[Record], from_offset: int) -> bool:
    return bool(records) and records[0].offset < from_offset


def _take_lines(
    taker: LineTaker, runs: Runs, gatherer: Gatherer, records: Sequence[Record]
) -> list[tuple[Record, str]]:
    """Take records of lines, in runs where they come in runs; return the records that no decoder took.

    After a short run the next one is tried twice as many records later, and at once after a long one.
    """
    dead: list[tuple[Record, str]] = []
    begin, patience, end = 0, 1, len(records)
    while begin < end:
        taken = taker.take_run(records[begin : begin + RUN_RECORDS])
        begin += taken
        if gatherer.full:
            gatherer.close(records[begin - 1].offset + 1)
        if taken == RUN_RECORDS or begin == end:
            continue
        if taken >= WORTHWHILE:
            patience = 1
        slow = records[begin : begin + patience]
        patience = min(2 * patience, RUN_RECORDS)
        dead += _take_each(taker.take, gatherer, slow, CHECK_EVERY_BYTES)
        runs.learn(slow[-1])
        begin += len(slow)
    runs.forget()
    _close_rest(gatherer, records)
    return dead


def _take_all(
    take: Callable[[Record], str], gatherer: Gatherer, records: Sequence[Record], check_every_bytes: int
) -> list[tuple[Record, str]]:
    """Take every record, closing slices on the way; return the records that no decoder took.

    A short record of metrics may hold as many bytes of samples as a long one, so each of them is looked at.
    """
    dead = _take_each(take, gatherer, records, check_every_bytes)
    _close_rest(gatherer, records)
    return dead


def _take_each(
    take: Callable[[Record], str], gatherer: Gatherer, records: Sequence[Record], check_every_bytes: int
) -> list[tuple[Record, str]]:
    """Take one record after the other; look at the size of the slice after so many bytes of them."""
    dead = []
    unchecked_bytes = 0
    redactor = gatherer.redactor
    for record in records:
        redactor.left_characters = RECORD_CHARACTERS_MAX
        gatherer.headers = record.headers
        reason = take(record)
        if reason:
            gatherer.reject(record.offset, 0, reason)
            dead.append((record, reason))
        unchecked_bytes += len(record.value or b"") + RECORD_OVERHEAD_BYTES
        if unchecked_bytes > check_every_bytes:
            unchecked_bytes = 0
            if gatherer.full:
                gatherer.close(record.offset + 1)
    return dead


def _take_messages(gatherer: Gatherer, records: Sequence[Record]) -> list[tuple[Record, str]]:
    """Decode an inbox's records into messages; return those that hold nothing that may be said there."""
    dead: list[tuple[Record, str]] = []
    for record in records:
        gatherer.append_max_ms = max(gatherer.append_max_ms, record.timestamp)
        try:
            event = _said_in(record)
        except InputError as error:
            reason = f"inbox: {error}"[:REASON_CHARACTERS_MAX]
            gatherer.reject(record.offset, 0, reason)
            dead.append((record, reason))
            continue
        gatherer.messages.append(Message(offset=record.offset, append_ms=record.timestamp, event=event))
        gatherer.message_bytes += len(record.value or b"") + 16
        if gatherer.full:
            gatherer.close(record.offset + 1)
    _close_rest(gatherer, records)
    return dead


def _said_in(record: Record) -> InboxEvent:
    """Return the event in an inbox's record; ``InputError`` when it is none, too long, or belongs elsewhere."""
    event = codec.decode_inbox(record.value or b"")
    if not may_say(record.topic, event):
        raise InputError(f"{type(event).__name__} may not be said here")
    values = (getattr(event, name) for name in event.__struct_fields__)
    texts = ("".join(value) if isinstance(value, tuple) else value for value in values)
    longest = max((len(text) for text in texts if isinstance(text, str)), default=0)
    if longest > MESSAGE_TEXT_CHARACTERS_MAX:
        raise InputError(f"text of {longest} characters, at most {MESSAGE_TEXT_CHARACTERS_MAX}")
    return event


def _close_rest(gatherer: Gatherer, records: Sequence[Record]) -> None:
    end = records[-1].offset + 1
    if gatherer.to_offset < end:
        gatherer.close(end)


def _cut(gatherer: Gatherer, dead: list[tuple[Record, str]], stamps_replaced: int) -> Cut:
    return Cut(
        slices=tuple(gatherer.slices),
        evidence=tuple(gatherer.evidence),
        dead=tuple(dead),
        lines=sum(piece.lines for piece in gatherer.slices),
        stamps_replaced=stamps_replaced,
    )
