"""What every ``ports.Log`` does, whatever is behind it. Subclass ``LogContract`` in a test module and give it a ground.

A scenario awaits nothing but the log's methods and the ground's, so a simulator can run it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from streams.ports import Log, Outgoing, Record, TopicPartition


class Ground(Protocol):
    """An empty place to try a log: two topics of one partition, one of two, and a way to cut them."""

    @property
    def log(self) -> Log:
        """The log to try."""
        ...

    @property
    def first(self) -> TopicPartition:
        """The only partition of a topic of ours."""
        ...

    @property
    def second(self) -> TopicPartition:
        """That of another topic."""
        ...

    @property
    def wide(self) -> tuple[TopicPartition, TopicPartition]:
        """Two partitions of a third."""
        ...

    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        """Delete the records below an offset, as retention does."""
        ...


Scenario = Callable[[Ground], Coroutine[Any, Any, None]]


def to(where: TopicPartition, *values: bytes) -> list[Outgoing]:
    """Return records for one partition."""
    return [Outgoing(where.topic, value, partition=where.partition) for value in values]


async def read_all(log: Log, where: TopicPartition, start: int, end: int) -> list[Record]:
    """Read [start, end) as the port says: again from the last offset + 1, until nothing comes."""
    found: list[Record] = []
    while records := await log.read(where, start, end):
        found += records
        start = records[-1].offset + 1
    return found


class LogContract(ABC):
    """The suite. Each test is one claim about ``append``, ``read`` and ``bounds``."""

    @abstractmethod
    def run(self, scenario: Scenario) -> None:
        """Run a scenario to its end on a new ground."""

    def test_an_empty_partition_has_equal_bounds(self) -> None:
        """Nothing was written: earliest and end are both 0, and there is nothing to read."""

        async def scenario(ground: Ground) -> None:
            assert await ground.log.bounds(ground.first) == (0, 0)
            assert list(await ground.log.read(ground.first, 0, 10)) == []

        self.run(scenario)

    def test_append_returns_the_offsets_in_order(self) -> None:
        """Offsets are dense, begin at 0, and follow the order of the records given."""

        async def scenario(ground: Ground) -> None:
            assert list(await ground.log.append(to(ground.first, b"a", b"b"))) == [0, 1]
            assert list(await ground.log.append(to(ground.first, b"c"))) == [2]
            assert await ground.log.bounds(ground.first) == (0, 3)

        self.run(scenario)

    def test_appending_nothing_does_nothing(self) -> None:
        """No records, no offsets."""

        async def scenario(ground: Ground) -> None:
            assert list(await ground.log.append([])) == []

        self.run(scenario)

    def test_what_is_read_is_what_was_appended(self) -> None:
        """Topic, partition, offset, key, value and headers come back as they went in."""

        async def scenario(ground: Ground) -> None:
            headers = (("decisions_offset", b"7"), ("empty", b""))
            await ground.log.append([Outgoing(ground.first.topic, b"\x00\xff", b"key", 0, headers)])
            (record,) = await read_all(ground.log, ground.first, 0, 1)
            assert (record.topic, record.partition, record.offset) == (*ground.first, 0)
            assert (record.key, record.value) == (b"key", b"\x00\xff")
            assert tuple((name, bytes(value)) for name, value in record.headers) == headers
            assert record.timestamp > 0

        self.run(scenario)

    def test_an_absent_key_or_value_stays_absent(self) -> None:
        """None is not the empty string of bytes."""

        async def scenario(ground: Ground) -> None:
            await ground.log.append([Outgoing(ground.first.topic, None, b"k"), Outgoing(ground.first.topic, b"")])
            first, second = await read_all(ground.log, ground.first, 0, 2)
            assert (first.key, first.value, second.key, second.value) == (b"k", None, None, b"")

        self.run(scenario)

    def test_several_topics_and_partitions_in_one_append(self) -> None:
        """Each record gets the offset of its own partition, in the order given."""

        async def scenario(ground: Ground) -> None:
            left, right = ground.wide
            records = [*to(left, b"a"), *to(ground.second, b"b"), *to(right, b"c"), *to(left, b"d")]
            assert list(await ground.log.append(records)) == [0, 0, 0, 1]
            assert [record.value for record in await read_all(ground.log, left, 0, 2)] == [b"a", b"d"]
            assert [record.value for record in await read_all(ground.log, right, 0, 1)] == [b"c"]

        self.run(scenario)

    def test_read_keeps_to_its_range(self) -> None:
        """Only records with start <= offset < end come, whatever was read before."""

        async def scenario(ground: Ground) -> None:
            await ground.log.append(to(ground.first, *(b"%d" % number for number in range(20))))
            for start, end in ((5, 9), (0, 3), (9, 20), (19, 20), (2, 2), (3, 1)):
                found = await read_all(ground.log, ground.first, start, end)
                assert [record.offset for record in found] == list(range(start, end))

        self.run(scenario)

    def test_reading_beyond_the_end_gives_nothing(self) -> None:
        """A range that begins at or after the end is empty and does not wait for records to come."""

        async def scenario(ground: Ground) -> None:
            await ground.log.append(to(ground.first, b"a"))
            assert list(await ground.log.read(ground.first, 1, 5)) == []
            assert list(await ground.log.read(ground.first, 7, 9)) == []
            assert [record.offset for record in await read_all(ground.log, ground.first, 0, 9)] == [0]

        self.run(scenario)

    def test_a_reader_follows_what_is_appended(self) -> None:
        """What was appended and acknowledged is read by the next call."""

        async def scenario(ground: Ground) -> None:
            for number in range(5):
                await ground.log.append(to(ground.first, b"%d" % number))
                assert await ground.log.bounds(ground.first) == (0, number + 1)
                (record,) = await read_all(ground.log, ground.first, number, number + 1)
                assert record.value == b"%d" % number

        self.run(scenario)

    def test_deleted_records_are_passed_over(self) -> None:
        """After retention the bounds begin later, and a range that began before yields what is left of it."""

        async def scenario(ground: Ground) -> None:
            await ground.log.append(to(ground.first, *(b"%d" % number for number in range(10))))
            await ground.delete_before(ground.first, 6)
            assert await ground.log.bounds(ground.first) == (6, 10)
            assert [record.offset for record in await read_all(ground.log, ground.first, 2, 9)] == [6, 7, 8]
            assert list(await ground.log.read(ground.first, 1, 5)) == []

        self.run(scenario)

    def test_a_large_record_travels_whole(self) -> None:
        """A record of a megabyte that doesn't compress comes back as it was."""

        async def scenario(ground: Ground) -> None:
            body = bytes(range(256)) * 4096
            await ground.log.append(to(ground.first, b"before", body, b"after"))
            found = await read_all(ground.log, ground.first, 0, 3)
            assert [record.value for record in found] == [b"before", body, b"after"]

        self.run(scenario)
