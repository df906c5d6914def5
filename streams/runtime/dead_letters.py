"""The dead-letter topic: what no decoder took, and what of it was put back on its source to be read again.

A letter is a record as it was read, with its place and the reason in headers before its own. A replay leaves marks
between the letters, records without a value: first which offsets it means to put back (``INTENT``), and when all of
them are acknowledged, which it has put back (``DONE``). Letters that were meant and not done are *in doubt*: they may
lie on their topics or not. They are put back again only when somebody says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Final

from aiokafka.partitioner import murmur2
from msgspec import Struct

from streams.core.errors import InputError
from streams.ports import Log, Outgoing, Record, TopicPartition
from streams.topics import Topics

PLACE: Final = ("logmend.topic", "logmend.partition", "logmend.offset", "logmend.reason")
"""The headers that detect puts before a record's own."""
INTENT: Final = "logmend.replaying"
DONE: Final = "logmend.replayed-offsets"
BY: Final = "logmend.by"
REPLAYED: Final = "logmend.replayed"
"""On a record that was put back: the offset of its letter. Where it dies again, its new letter has it too."""
STEP_RECORDS_MAX: Final = 500
STEP_BYTES_MAX: Final = 8 * 1024 * 1024
"""A step of a replay: that many letters at most are put back between two marks, and can be in doubt at once."""


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter without its value: where it lies, what it was, why it died and when.

    ``replay_of`` is the offset of the letter that this one is a replay of; -1 for a record that died the first time.
    """

    offset: int
    at_ms: int
    topic: str
    partition: int
    source_offset: int
    reason: str
    size_bytes: int
    replay_of: int


class Mark(Struct, frozen=True, kw_only=True):
    """What a replay said: which letters it means to put back, or has put back, and which replay it is."""

    done: bool
    offsets: frozenset[int]
    by: bytes


def read_letter(record: Record) -> Letter | None:
    """Return what a record of the topic says of a dead one; None for a mark."""
    if not record.headers or record.headers[0][0] != PLACE[0]:
        return None
    said = {name: bytes(value or b"").decode("utf-8", "replace") for name, value in reversed(record.headers)}
    topic, partition, offset, reason = (said.get(name, "") for name in PLACE)
    return Letter(
        offset=record.offset,
        at_ms=record.timestamp,
        topic=topic,
        partition=_number(partition),
        source_offset=_number(offset),
        reason=reason,
        size_bytes=len(record.value or b""),
        replay_of=_number(said.get(REPLAYED, "")),
    )


def read_mark(record: Record) -> Mark | None:
    """Return what a replay said in a record of the topic; None for a letter."""
    if len(record.headers) != 2 or record.headers[0][0] not in {INTENT, DONE} or record.headers[1][0] != BY:
        return None
    (kind, offsets), (_, by) = record.headers
    numbers = (_number(word) for word in bytes(offsets).decode("ascii", "replace").split(","))
    return Mark(done=kind == DONE, offsets=frozenset(number for number in numbers if number >= 0), by=bytes(by))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


class Marks:
    """What replays said, up to offset ``end``."""

    def __init__(self) -> None:
        self.done: set[int] = set()
        """Offsets of the letters that were put back."""
        self.end = 0
        self._open: dict[bytes, frozenset[int]] = {}

    def take(self, record: Record) -> None:
        """Take in the next record of the topic."""
        self.end = record.offset + 1
        mark = read_mark(record)
        if mark and mark.done:
            self._open.pop(mark.by, None)
            self.done |= mark.offsets
        elif mark:
            self._open[mark.by] = self._open.get(mark.by, frozenset()) | mark.offsets

    @property
    def in_doubt(self) -> set[int]:
        """Offsets of the letters of which nobody knows whether they were put back."""
        return set().union(*self._open.values()) - self.done


async def scan(log: Log, topics: Topics, start: int = 0) -> AsyncIterator[Record]:
    """Yield the records of the dead-letter topic from an offset to its end as it is now."""
    where = TopicPartition(topics.dlq, 0)
    earliest, end = await log.bounds(where)
    start = max(start, earliest)
    while records := await log.read(where, start, end):
        for record in records:
            yield record
        start = records[-1].offset + 1


class Replay:
    """Puts letters back on their source topics, and marks it.

    ``partitions`` are the topics that letters may be put back on, with how many partitions each has; ``by`` is a word
    that no other replay has; ``marks`` are those of now.
    """

    def __init__(self, log: Log, topics: Topics, partitions: Mapping[str, int], by: str, marks: Marks) -> None:
        self._log = log
        self._topics = topics
        self._partitions = partitions
        self._by = by.encode()
        self._seen = marks.end

    async def run(self, offsets: Collection[int]) -> AsyncIterator[Mapping[str, int]]:
        """Put back the letters at these offsets, in order; yield how many by topic after each step, once it is marked.

        Raises ``InputError`` when another replay is about to put back the same letters; of that step none is put back.
        """
        step: list[Record] = []
        size_bytes = 0
        async for record in scan(self._log, self._topics, min(offsets, default=0)):
            if record.offset not in offsets:
                continue
            length = len(record.value or b"")
            if step and (len(step) >= STEP_RECORDS_MAX or size_bytes + length > STEP_BYTES_MAX):
                yield await self._step(step)
                step, size_bytes = [], 0
            step.append(record)
            size_bytes += length
        if step:
            yield await self._step(step)

    async def _step(self, records: Sequence[Record]) -> Mapping[str, int]:
        """Mark what is meant, put it back, mark that it is done: each when the one before is acknowledged."""
        offsets = frozenset(record.offset for record in records)
        back = [self._back(record) for record in records]
        await self._mark(INTENT, offsets)
        if not await self._is_first(offsets):
            await self._mark(DONE, ())
            raise InputError("another `logmend dlq replay` puts back the same dead letters: let it end, and look again")
        await self._log.append(back)
        await self._mark(DONE, offsets)
        return Counter(outgoing.topic for outgoing in back)

    async def _mark(self, kind: str, offsets: Iterable[int]) -> None:
        said = ",".join(map(str, sorted(offsets))).encode()
        # with a key, since aiokafka sends nothing that has neither value nor key
        await self._log.append([Outgoing(self._topics.dlq, None, b"logmend", 0, ((kind, said), (BY, self._by)))])

    async def _is_first(self, offsets: frozenset[int]) -> bool:
        """Say whether nobody meant any of these letters since the marks were read, before we did."""
        others: set[int] = set()
        async for record in scan(self._log, self._topics, self._seen):
            self._seen = record.offset + 1
            mark = read_mark(record)
            if mark and mark.by != self._by:
                others |= mark.offsets
            elif mark and not mark.done and mark.offsets == offsets:
                break
        return not others & offsets

    def _back(self, record: Record) -> Outgoing:
        """Return the record that died, as it was, with the offset of its letter as one more header."""
        letter = read_letter(record)
        if letter is None:
            raise InputError(f"there is no dead letter at {record.offset}")
        own = tuple(header for header in record.headers[len(PLACE) :] if header[0] != REPLAYED)
        headers = (*own, (REPLAYED, str(record.offset).encode()))
        return Outgoing(letter.topic, record.value, record.key, self._partition(letter, record.key), headers)

    def _partition(self, letter: Letter, key: bytes | None) -> int:
        """Return the partition by key, as Kafka's own clients do; without a key the one that the record had."""
        count = self._partitions[letter.topic]
        if key is not None:
            return int((murmur2(key) & 0x7FFFFFFF) % count)
        return letter.partition if 0 <= letter.partition < count else letter.offset % count
