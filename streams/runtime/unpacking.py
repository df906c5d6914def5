"""Unpacks what consumers fetch within limits; what can't be unpacked becomes an ``Unread`` and is passed.

aiokafka 0.14.0 unpacks a batch of whatever size (1 MB of gzip gives 1 GB), hands out as many records as it is asked for
however large they are, and raises for ever at a batch that it can't unpack: a header's name that is no UTF-8, which
Kafka takes, is enough. Importing this module replaces five things of aiokafka's, for the whole process:

* the functions that decompress (``codec.py``, as its record modules imported them) give way to ``decompressing``;
* ``PartitionRecords`` goes on behind a batch that raises, in topics that ``bounded`` names;
* records that a batch gives no time (Kafka's first format has none) get the time at which they are read;
* records are ``Fetched``: aiokafka's own take a microsecond each to make;
* ``FetchResult`` hands out ``DRAINED_BYTES_MAX`` a fetch inside ``bounded``, whatever the number of records.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from msgspec import Struct

from streams.ports import Headers, Unread
from streams.runtime.decompressing import TooLargeError, gzip_decode, lz4_decode, snappy_decode, zstd_decode

DRAINED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of all records of one fetch, but for the last one."""
RECORD_BYTES_MAX: Final = 8 * 1024 * 1024 + 512 * 1024
"""Key, value and headers. A record of 8 MB fits into the dead-letter topic, where it may have to go, with its place."""
HEADERS_MAX: Final = 10_000
"""Of one record. Each takes two bytes in a batch and a hundred in Python."""
LOOKED_AT_BYTES: Final = 4 * 1024 * 1024
"""Batches of which more is unpacked are looked at for headers; a smaller one can't hold very many."""

_M_MMAP_THRESHOLD: Final = -3
_GIANT_BYTES: Final = 4 * 1024 * 1024
_PRESENT_FORMAT: Final = ("aiokafka.record.default_records", "aiokafka.record._crecords.default_records")
_OLD_FORMATS: Final = ("aiokafka.record.legacy_records", "aiokafka.record._crecords.legacy_records")


class _Fetching:
    """What is left of a fetch, and the topics in which what can't be read is passed."""

    __slots__ = ("left_bytes", "passing")

    def __init__(self, passing: Container[str]) -> None:
        self.left_bytes = DRAINED_BYTES_MAX
        self.passing = passing


_fetching: Final[ContextVar[_Fetching | None]] = ContextVar("fetching", default=None)


@contextmanager
def bounded(passing: Container[str]) -> Iterator[None]:
    """Bound the one fetch that is made inside.

    In the topics ``passing`` an ``Unread`` stands for what can't be read; elsewhere the error is raised, as without us.
    """
    token = _fetching.set(_Fetching(passing))
    try:
        yield
    finally:
        _fetching.reset(token)


def _of_records(decode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return a decoder that looks at the records it unpacked before objects are made of them."""

    def looking(data: Any) -> bytes:
        unpacked = decode(data)
        if len(unpacked) > LOOKED_AT_BYTES:
            look(unpacked)
        return unpacked

    return looking


def look(records: bytes) -> None:
    """Raise ``TooLargeError`` when a record has more than ``HEADERS_MAX`` headers.

    Bytes that are no records raise ``IndexError`` or aiokafka's ``CorruptRecordException``.

    Layout: Kafka's documentation, "Record": length, attributes, time, offset, key, value, headers, as zigzag varints.
    """
    at = 0
    while at < len(records):
        length, at = _varint(records, at)
        if length < 0:
            raise CorruptRecordException("a record of negative length")
        if length > 2 * HEADERS_MAX and _headers(records, at) > HEADERS_MAX:
            raise TooLargeError(f"more than {HEADERS_MAX} headers in a record")
        at += length


def _headers(records: bytes, at: int) -> int:
    """Return how many headers the record at ``at`` (behind its length) says that it has."""
    _, at = _varint(records, at + 1)
    _, at = _varint(records, at)
    for _ in ("key", "value"):
        size, at = _varint(records, at)
        at += max(size, 0)
    return _varint(records, at)[0]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag varint and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number >> 1 ^ -(number & 1), at
        shift += 7
        if shift > 63:
            raise CorruptRecordException("a number of more than ten bytes")


# ------------------------------------------------------------------------------------------------------------- records


class Fetched(Struct, frozen=True, gc=False):
    """A record as it was read (``ports.Record``). It can't be part of a cycle, so the garbage collector leaves it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class _Batches:
    """aiokafka's ``MemoryRecords`` that remembers the batch it gave last."""

    def __init__(self, batches: Any) -> None:
        self.has_next: Final = batches.has_next
        self._next_batch: Final = batches.next_batch
        self.last: Any = None

    def next_batch(self) -> Any:
        self.last = None
        batch = self._next_batch()
        # Only batches of the two old formats have no ``max_timestamp``; that of a broker's clock is the records' own.
        self.last = batch if getattr(batch, "max_timestamp", -1) >= 0 else _Undated(batch)
        return self.last


class _Undated:
    """A batch whose records may have no time of their own: then they have that at which they are read."""

    def __init__(self, batch: Any) -> None:
        self._batch: Final = batch
        self._now_ms: Final = time.time_ns() // 1_000_000

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        for record in self._batch:
            known = record.timestamp is not None and record.timestamp >= 0
            yield record if known else _Dated(record, self._now_ms)


class _Dated:
    """A record with another time."""

    def __init__(self, record: Any, timestamp: int) -> None:
        self._record: Final = record
        self.timestamp: Final = timestamp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


class PartitionRecords(fetcher.PartitionRecords):
    """The records of one partition and fetch, with an ``Unread`` for those of a batch that can't be unpacked.

    ``end_offset`` is the partition's end: what a damaged header says is not believed beyond it.
    """

    end_offset: int
    next_fetch_offset: int
    _records: Any

    def _unpack_records(self) -> Iterator[Any]:
        batches = self._records = _Batches(self._records)
        while batches.has_next():
            try:
                yield from super()._unpack_records()
            except MemoryError:
                raise
            except Exception as error:  # whatever a batch does to aiokafka, it must not stop its partition
                fetching = _fetching.get()
                if batches.last is None or fetching is None or self._tp.topic not in fetching.passing:
                    raise
                yield self._unread(batches.last, error)

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        """Return the record; the deserializers that aiokafka knows of are none here."""
        headers = record.headers
        return Fetched(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            tuple(headers) if headers else (),
        )

    def _unread(self, batch: Any, error: Exception) -> Unread:
        """Return what stands for the rest of a batch, and go on behind it."""
        first = self.next_fetch_offset
        self.next_fetch_offset = max(min(batch.next_offset, self.end_offset), first + 1)
        said = str(error) if isinstance(error, TooLargeError) else type(error).__name__
        return Unread(
            topic=self._tp.topic,
            partition=self._tp.partition,
            offset=self.next_fetch_offset - 1,
            timestamp=max(getattr(batch, "max_timestamp", 0), 0),
            first_offset=first,
            reason=f"unreadable batch: offsets {first} to {self.next_fetch_offset - 1}: {said}",
        )


class FetchResult(fetcher.FetchResult):
    """What was fetched of one partition; hands out no more than the fetch has left."""

    _partition_records: Any

    def __init__(self, tp: Any, *, assignment: Any, partition_records: PartitionRecords, backoff: float) -> None:
        super().__init__(tp, assignment=assignment, partition_records=partition_records, backoff=backoff)
        partition_records.end_offset = assignment.state_value(tp).highwater

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return records; called by aiokafka for one partition after the other."""
        fetching = _fetching.get()
        if fetching is None:
            found: list[Any] = super().getall(max_records)
            return found
        if not self.check_assignment(self._topic_partition) or not self.has_more() or fetching.left_bytes <= 0:
            return []
        return self._some(fetching, max_records)

    def _some(self, fetching: _Fetching, max_records: int | None) -> list[Any]:
        """Return records until there are ``max_records`` or enough bytes, or none is left."""
        found: list[Any] = []
        left_bytes = fetching.left_bytes
        for record in self._partition_records._records_iterator:  # noqa: SLF001 - its own __next__ costs a call more
            value, headers = record.value, record.headers
            size = len(value) if value and not record.key and not headers else _size(record)
            left_bytes -= size
            found.append(record if size <= RECORD_BYTES_MAX else _oversize(record, size, fetching))
            if len(found) == max_records or left_bytes <= 0:
                fetching.left_bytes = left_bytes
                self._update_position()
                return found
        fetching.left_bytes = left_bytes
        self._update_position()
        self._partition_records = None
        return found


def _size(record: Any) -> int:
    """Return the bytes of a record's key, value and headers."""
    size: int = len(record.value or b"") + len(record.key or b"")
    return size + sum(len(name) + len(value or b"") for name, value in record.headers) if record.headers else size


def _oversize(record: Any, size: int, fetching: _Fetching) -> Any:
    """Return what stands for a record that is more than we take; the record itself in a topic of ours."""
    if record.topic not in fetching.passing:
        return record
    return Unread(
        record.topic,
        record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        first_offset=record.offset,
        reason=f"record too large: {size} bytes of at most {RECORD_BYTES_MAX}",
    )


def _give_back() -> None:
    """Have glibc give large blocks back to the system when they are freed.

    It would keep up to 32 MB of each kind for the next one: after a fetch of giants 64 MB in this thread alone.
    """
    with contextlib.suppress(AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _GIANT_BYTES)


def _install() -> None:
    """Put the bounded decoders and classes in the places of aiokafka's."""
    decoders: dict[str, Callable[[Any], bytes]] = {
        "gzip": gzip_decode,
        "snappy": snappy_decode,
        "lz4": lz4_decode,
        "zstd": zstd_decode,
    }
    for path in (*_PRESENT_FORMAT, *_OLD_FORMATS):
        module = import_module(path)
        for codec, decode in decoders.items():
            if hasattr(module, f"{codec}_decode"):
                setattr(module, f"{codec}_decode", _of_records(decode) if path in _PRESENT_FORMAT else decode)
    fetcher.PartitionRecords = PartitionRecords
    fetcher.FetchResult = FetchResult


_install()
_give_back()
