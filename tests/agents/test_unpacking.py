"""What is fetched, batch by batch: bombs, damage and giants are passed, with the offsets that they stood at."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import resource
import struct
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

import cramjam
import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.ports import Unread
from streams.runtime import decompressing, unpacking
from streams.runtime.unpacking import bounded
from tests.agents.batches import CODECS, MEGABYTE, a_batch, a_record, gigabyte, good, very_many_headers
from tests.ingest.given import cut, only

LOGS = TopicPartition("logs", 0)
FACTS = TopicPartition("facts", 0)


@dataclass
class State:
    """What aiokafka knows of an assigned partition."""

    position: int
    highwater: int
    paused: bool = False
    active: bool = True
    steps: list[int] = field(default_factory=list)

    def state_value(self, _where: object) -> State:
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position
        self.steps.append(position)


class Fetched:
    """A fetch of one partition, drained as aiokafka drains it."""

    def __init__(self, data: bytes, where: TopicPartition = LOGS, start: int = 0, end: int = 1000) -> None:
        self.state = State(start, end)
        records = fetcher.PartitionRecords(
            where, MemoryRecords(data), None, start, None, None, check_crcs=True, isolation_level=0
        )
        self.result = fetcher.FetchResult(where, assignment=self.state, partition_records=records, backoff=0)

    def drain(self, records_max: int | None = None) -> list[Any]:
        """Return what one fetch gives."""
        with bounded({"logs"}):
            found: list[Any] = self.result.getall(records_max)
        return found

    def all(self) -> list[Any]:
        """Return what as many fetches as it takes give."""
        found = []
        while self.result.has_more():
            found += self.drain()
        return found


def test_a_good_batch_is_read_as_it_was_written() -> None:
    """In every codec, with keys, headers and times, through aiokafka's own writer."""
    for codec in range(5):
        builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, MEGABYTE)
        for offset in range(300):
            builder.append(offset, 5, b"k", b"v%d" % offset, [("h", b"x")])
        found = Fetched(bytes(builder.build())).all()
        assert [(one.offset, one.key, one.value, one.headers) for one in found] == [
            (offset, b"k", b"v%d" % offset, (("h", b"x"),)) for offset in range(300)
        ]


@pytest.mark.parametrize(("magic", "codec", "stamp"), [(0, 0, None), (0, 1, None), (1, 0, -1), (1, 2, -1), (2, 3, -1)])
def test_records_without_a_time_have_that_of_their_reading(magic: int, codec: int, stamp: int | None) -> None:
    """Kafka's first format has no times, in the later ones -1 is none; lines of such records count like any other."""
    builder: Any = LegacyRecordBatchBuilder(magic, codec, MEGABYTE)
    headers: list[Any] = []
    if magic == 2:
        builder, headers = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, MEGABYTE), [[]]
    for offset in range(2):
        builder.append(offset, stamp, b"k", b"connection refused", *headers)
    before_ms = time.time_ns() // 1_000_000
    found = Fetched(bytes(builder.build())).all()
    assert [(one.offset, one.key, one.value) for one in found] == [(at, b"k", b"connection refused") for at in range(2)]
    assert all(before_ms <= one.timestamp <= time.time_ns() // 1_000_000 for one in found)
    assert only(cut(*found)).lines == 2


def test_a_time_of_the_old_format_is_kept() -> None:
    """Its second version has times."""
    builder = LegacyRecordBatchBuilder(1, 0, MEGABYTE)
    builder.append(0, timestamp=5, key=None, value=b"a")
    assert [one.timestamp for one in Fetched(bytes(builder.build())).all()] == [5]


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_passed_without_being_unpacked(codec: int) -> None:
    """A gigabyte in a megabyte costs no more than the limit, and the batches around it are read."""
    bomb = a_batch(gigabyte(codec), codec=codec, base=1, records=7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = Fetched(good(0, b"a") + bomb + good(8, b"b")).all()
    assert [one.value for one in found] == [b"a", None, b"b"]
    assert found[1][:6] == ("logs", 0, 7, 1, 1, "unreadable batch: offsets 1 to 7: more than 64 MB unpacked")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("codec", CODECS)
def test_what_no_decoder_takes_is_passed(codec: int) -> None:
    """Packed bytes that are cut, damaged or something else are one ``Unread`` for all offsets of their batch."""
    packed = CODECS[codec](b"".join(a_record(b"x%d" % number, number) for number in range(50)))
    for wrong in (packed[:-9], packed[:20] + b"\xff\xff\xff" + packed[23:], b"", b"nonsense" * 9):
        found = Fetched(a_batch(wrong, codec=codec, records=50) + good(50, b"b")).all()
        read = [one for one in found if not isinstance(one, Unread)]
        (unread,) = (one for one in found if isinstance(one, Unread))
        assert unread.reason.startswith("unreadable batch: ")
        assert (unread.first_offset, unread.offset) == (len(read) - 1, 49)
        assert read[-1].value == b"b"


def test_a_wrong_checksum_is_passed() -> None:
    """Nothing of the batch is given; what its header says is not believed beyond the partition's end."""
    found = Fetched(a_batch(a_record(b"a"), records=5, damage=1) + good(5, b"b")).all()
    assert found[0][2:6] == (4, 1, 0, "unreadable batch: offsets 0 to 4: CorruptRecordException")
    assert found[1].value == b"b"
    (alone,) = Fetched(a_batch(a_record(b"a"), records=500_000_000, damage=1), end=9).all()
    assert (alone.first_offset, alone.offset) == (0, 8)


def test_a_batch_that_goes_wrong_in_its_middle_is_read_up_to_there() -> None:
    """The name of a header that is no UTF-8, which brokers take, costs the rest of its batch."""
    payload = a_record(b"a") + a_record(b"b", 1, [(b"\xff\xfe", b"")]) + a_record(b"c", 2)
    fetched = Fetched(a_batch(payload, records=3) + good(3, b"d"))
    found = fetched.all()
    assert [one.value for one in found] == [b"a", None, b"d"]
    assert (found[1].first_offset, found[1].offset) == (1, 2)
    assert "UnicodeDecodeError" in found[1].reason
    assert fetched.state.position == 4


def test_in_a_topic_of_ours_nothing_is_passed() -> None:
    """There the error is raised, as aiokafka does: what is missing in our log must stop us."""
    with pytest.raises(CorruptRecordException):
        Fetched(a_batch(a_record(b"a"), damage=1), where=FACTS).all()
    with pytest.raises(decompressing.TooLargeError):
        Fetched(a_batch(gzip_encode(bytes(65 * MEGABYTE)), codec=1), where=FACTS).all()


def test_a_consumer_that_is_not_bounded_reads_as_before() -> None:
    """Outside ``bounded`` errors are raised and all records come at once."""
    fetched = Fetched(good(0, b"a", b"b") + a_batch(a_record(b"c"), base=2, damage=1))
    with pytest.raises(CorruptRecordException):
        fetched.result.getall()
    assert [one.value for one in Fetched(good(0, b"a", b"b")).result.getall()] == [b"a", b"b"]


@pytest.mark.parametrize("count", [3 * MEGABYTE, 20 * MEGABYTE])
def test_very_many_headers_are_not_made_into_objects(count: int) -> None:
    """Two bytes each in a batch, a hundred in Python: the batch is passed before."""
    bomb = a_batch(zstd_encode(very_many_headers(count)), codec=4)
    found = Fetched(bomb + good(1, b"b")).all()
    assert [one.value for one in found] == [None, b"b"]
    assert found[0].reason == "unreadable batch: offsets 0 to 0: more than 10000 headers in a record"


def test_many_headers_below_the_limit_are_read() -> None:
    """A large batch whose records have headers is looked at, and taken."""
    headers = [(b"name%d" % number, b"x" * 50) for number in range(1000)]
    payload = b"".join(a_record(b"v" * 200_000, delta, headers) for delta in range(30))
    found = Fetched(a_batch(zstd_encode(payload), codec=4, records=30)).all()
    assert [len(one.headers) for one in found] == [1000] * 30


def test_a_record_that_is_too_large_is_passed_alone() -> None:
    """The others of its batch are read."""
    payload = a_record(b"a") + a_record(bytes(9 * MEGABYTE), 1) + a_record(b"c", 2)
    found = Fetched(a_batch(zstd_encode(payload), codec=4, records=3)).all()
    assert [one.value for one in found] == [b"a", None, b"c"]
    assert (found[1].first_offset, found[1].offset) == (1, 1)
    assert found[1].reason == f"record too large: {9 * MEGABYTE} bytes of at most {unpacking.RECORD_BYTES_MAX}"


def test_a_fetch_gives_a_bounded_number_of_bytes() -> None:
    """However many records are asked for; the next fetch goes on where it ended."""
    batches = [a_batch(zstd_encode(a_record(bytes(8 * MEGABYTE))), codec=4, base=base) for base in range(7)]
    fetched = Fetched(b"".join(batches))
    drained = [[one.offset for one in fetched.drain(4000)] for _ in range(4)]
    assert drained == [[0, 1], [2, 3], [4, 5], [6]]
    assert fetched.state.steps == [2, 4, 6, 7]


def test_partitions_share_what_a_fetch_may_give() -> None:
    """The second partition waits for the next fetch, and loses nothing."""
    batch = a_batch(zstd_encode(a_record(bytes(8 * MEGABYTE)) + a_record(bytes(8 * MEGABYTE), 1)), codec=4, records=2)
    first, second = Fetched(batch), Fetched(batch)
    with bounded({"logs"}):
        assert [len(one.result.getall(4000)) for one in (first, second)] == [2, 0]
    assert second.result.has_more()
    assert len(second.drain()) == 2


def test_what_a_fetch_may_give_is_its_own() -> None:
    """Two consumers that fetch at the same time don't take from each other."""
    batch = a_batch(zstd_encode(a_record(bytes(8 * MEGABYTE)) + a_record(bytes(8 * MEGABYTE), 1)), codec=4, records=2)

    async def fetch() -> int:
        with bounded({"logs"}):
            await asyncio.sleep(0)
            return len(Fetched(batch).result.getall(4000))

    async def both() -> list[int]:
        return list(await asyncio.gather(fetch(), fetch()))

    assert asyncio.run(both()) == [2, 2]


def test_the_number_of_records_is_bounded_too() -> None:
    """As aiokafka does it."""
    fetched = Fetched(good(0, *(b"%d" % number for number in range(10))))
    assert [len(fetched.drain(4)) for _ in range(3)] == [4, 4, 2]
    assert fetched.state.position == 10


def test_packed_layouts_of_other_producers_are_read() -> None:
    """Plain snappy, gzip in two members or with something behind it, and several frames of lz4 and zstd."""
    data, half = b"x" * 1000, b"x" * 500
    assert decompressing.snappy_decode(bytes(cramjam.snappy.compress_raw(data))) == data
    assert decompressing.snappy_decode(snappy_encode(data, xerial_blocksize=100)) == data
    assert decompressing.gzip_decode(gzip.compress(half) + gzip.compress(half)) == data
    assert decompressing.gzip_decode(memoryview(gzip.compress(data) + b"\x00\x00")) == data
    assert decompressing.lz4_decode(lz4_encode(half) + lz4_encode(half)) == data
    assert decompressing.zstd_decode(zstd_encode(half) + zstd_encode(half)) == data


def test_a_bomb_in_small_parts_is_a_bomb() -> None:
    """The limit holds for a batch, whatever it is made of."""
    block = bytes(cramjam.snappy.compress_raw(bytes(MEGABYTE)))
    parts = itertools.repeat(struct.pack(">i", len(block)) + block, 65)
    with pytest.raises(decompressing.TooLargeError):
        decompressing.snappy_decode(b"\x82SNAPPY\x00" + bytes(8) + b"".join(parts))
    with pytest.raises(decompressing.TooLargeError):
        decompressing.gzip_decode(gzip.compress(bytes(5 * MEGABYTE)) * 14)
    with pytest.raises(decompressing.TooLargeError):
        decompressing.zstd_decode(zstd_encode(bytes(MEGABYTE)) * 65)
    with pytest.raises(CorruptRecordException):
        decompressing.snappy_decode(b"\x82SNAPPY\x00" + bytes(8) + b"\xff\xff\xff\xfc")
    with pytest.raises(zlib.error):
        decompressing.gzip_decode(b"nonsense")
