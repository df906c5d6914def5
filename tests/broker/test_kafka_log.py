"""``KafkaLog`` on a real broker: the contract of ``ports.Log``, and what is Kafka's own."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OffsetOutOfRangeError

from streams.core.errors import InputError, InvariantError
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import Admin, create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import BULK_RECORDS, KafkaLog
from streams.runtime.snapshots import TopicSnapshots
from streams.settings import Settings
from tests.contract.log_contract import LogContract, Scenario, read_all, to

pytestmark = pytest.mark.broker


class _Ground:
    """Topics of one fleet on the session's broker."""

    def __init__(self, log: KafkaLog, settings: Settings) -> None:
        topics = settings.topics
        self.log = log
        self._settings = settings
        self.first = TopicPartition(topics.facts, 0)
        self.second = TopicPartition(topics.decisions, 0)
        self.wide = (TopicPartition(topics.logs[0], 0), TopicPartition(topics.logs[0], 1))

    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        async with Admin(self._settings) as admin:
            assert await admin.delete_records({where: offset}) == {where: offset}


class TestKafkaLogKeepsTheContract(LogContract):
    """The suite over aiokafka."""

    @pytest.fixture(autouse=True)
    def _settle(self, broker: Settings) -> None:
        self.settings = broker

    def run(self, scenario: Scenario) -> None:
        """Run a scenario with a log of its own on new topics."""
        asyncio.run(self._run(scenario))

    async def _run(self, scenario: Scenario) -> None:
        await create_topics(self.settings)
        async with KafkaLog(self.settings) as log:
            await scenario(_Ground(log, self.settings))


async def test_a_poll_after_a_small_one_brings_all_that_has_come_since(broker: Settings) -> None:
    """Nothing is fetched ahead of it: what comes while a few records are worked on is not cut apart."""
    facts = TopicPartition(broker.topics.facts, 0)
    await create_topics(broker)
    async with KafkaLog(broker) as log:
        await log.append(to(facts, b"first"))
        ((_, first),) = await log.poll({facts: 0})
        for value in (b"second", b"third"):
            await log.append(to(facts, value))
            await asyncio.sleep(0.05)
        ((_, rest),) = await log.poll({facts: 1})
    assert [record.value for record in (*first, *rest)] == [b"first", b"second", b"third"]


async def test_a_poll_brings_several_partitions_in_one_batch(broker: Settings) -> None:
    """One poll returns records of all partitions from the positions given, and the next goes on from there."""
    await create_topics(broker)
    wide = [TopicPartition(broker.logs[0], number) for number in range(4)]
    async with KafkaLog(broker) as log:
        for where in wide:
            await log.append(to(where, *(b"%d" % number for number in range(10))))
        positions = {where: where.partition for where in wide}
        found: dict[TopicPartition, list[int]] = {where: [] for where in wide}
        while sum(len(offsets) for offsets in found.values()) < 40 - 6:
            for where, records in await log.poll(positions):
                found[where] += [record.offset for record in records]
                positions[where] = records[-1].offset + 1
        assert found == {where: list(range(where.partition, 10)) for where in wide}
        assert await log.poll(positions) == []


async def test_a_poll_takes_no_more_than_its_limit(broker: Settings) -> None:
    """``poll_records`` bounds a batch."""
    settings = broker.model_copy(update={"poll_records": 7})
    await create_topics(settings)
    where = TopicPartition(settings.logs[0], 0)
    async with KafkaLog(settings) as log:
        await log.append(to(where, *(b"%d" % number for number in range(20))))
        ((_, records),) = await log.poll({where: 0})
        assert [record.offset for record in records] == list(range(7))


async def test_a_poll_of_a_deleted_position_says_so(broker: Settings) -> None:
    """Polling from an offset that retention took is an error, never a silent jump."""
    await create_topics(broker)
    where = TopicPartition(broker.logs[0], 0)
    async with KafkaLog(broker) as log, Admin(broker) as admin:
        await log.append(to(where, b"a", b"b", b"c"))
        await admin.delete_records({where: 2})
        with pytest.raises(OffsetOutOfRangeError):
            await _poll_until_something(log, where)


async def _poll_until_something(log: KafkaLog, where: TopicPartition) -> None:
    while not await log.poll({where: 0}):
        pass


async def test_appends_of_many_tasks_keep_each_tasks_order(broker: Settings) -> None:
    """Concurrent appends interleave, but each one's records stay in order and nothing is lost or doubled."""
    await create_topics(broker)
    where = TopicPartition(broker.topics.facts, 0)
    async with KafkaLog(broker) as log:
        await asyncio.gather(*(log.append(to(where, *(b"%d/%d" % (t, n) for n in range(50)))) for t in range(8)))
        values = [record.value or b"" for record in await read_all(log, where, 0, 400)]
    for task in range(8):
        mine = [value for value in values if value.startswith(b"%d/" % task)]
        assert mine == [b"%d/%d" % (task, number) for number in range(50)]


async def test_many_records_keep_their_order_and_their_offsets(broker: Settings) -> None:
    """Few and many of one partition, in turn with those of another, over several batches: each is where it is said."""
    await create_topics(broker)
    facts, wide = TopicPartition(broker.topics.facts, 0), TopicPartition(broker.logs[0], 2)
    outgoing = [
        one
        for round_, count in enumerate((1, BULK_RECORDS - 1, BULK_RECORDS, 3_000, 2))
        for where in (facts, wide)
        for one in to(where, *(b"%d/%d" % (round_, number) + bytes(400) for number in range(count)))
    ]
    async with KafkaLog(broker) as log:
        offsets = await log.append(outgoing)
        for where in (facts, wide):
            records = await read_all(log, where, 0, (await log.bounds(where))[1])
            mine = [(at, one.value) for at, one in zip(offsets, outgoing, strict=True) if one.topic == where.topic]
            assert [(record.offset, record.value) for record in records] == mine


async def test_eight_megabytes_fit(broker: Settings) -> None:
    """A line record of 8 MB that doesn't compress goes in and comes out."""
    await create_topics(broker)
    where = TopicPartition(broker.logs[0], 3)
    body = os.urandom(8 * 1024 * 1024)
    async with KafkaLog(broker) as log:
        await log.append([Outgoing(where.topic, body, partition=3), Outgoing(where.topic, b"after", partition=3)])
        assert [record.value for record in await read_all(log, where, 0, 2)] == [body, b"after"]


async def test_a_wrong_clock_of_a_producer_does_not_matter(broker: Settings) -> None:
    """Lines stamped 1970 or 2099 by their producer are taken, and carry the broker's time."""
    await create_topics(broker)
    where = TopicPartition(broker.logs[0], 0)
    before_ms = time.time_ns() // 1_000_000
    async with AIOKafkaProducer(bootstrap_servers=broker.brokers) as producer:
        for timestamp_ms in (1, 4_100_000_000_000):
            await producer.send_and_wait(where.topic, b"line", partition=0, timestamp_ms=timestamp_ms)
    async with KafkaLog(broker) as log:
        stamps = [record.timestamp for record in await read_all(log, where, 0, 2)]
    assert all(before_ms <= stamp <= time.time_ns() // 1_000_000 for stamp in stamps)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_compression_of_producers_is_read(broker: Settings, codec: str) -> None:
    """Batches compressed in any way that Kafka knows are read back."""
    await create_topics(broker)
    where = TopicPartition(broker.logs[0], 0)
    async with AIOKafkaProducer(bootstrap_servers=broker.brokers, compression_type=codec) as producer:
        await producer.send_and_wait(where.topic, b"line " * 100, partition=0)
    async with KafkaLog(broker) as log:
        assert [record.value for record in await read_all(log, where, 0, 1)] == [b"line " * 100]


async def test_a_broker_that_comes_back_is_written_to_and_read(formatted: Path) -> None:
    """An append and a read that meet a dead broker wait, and go on when it is back: nothing lost or doubled."""
    settings = Settings(data_dir=formatted)
    where = TopicPartition(settings.topics.facts, 0)
    async with EmbeddedBroker(settings) as own:
        await create_topics(settings)
        async with KafkaLog(settings) as log:
            assert list(await log.append(to(where, b"0"))) == [0]
            own.kill()
            waiting = asyncio.create_task(log.append(to(where, b"1", b"2")))
            await own.start()
            assert set(await waiting) <= {1, 2, -1}
            assert [record.value for record in await read_all(log, where, 0, 3)] == [b"0", b"1", b"2"]
            assert await log.bounds(where) == (0, 3)


async def test_snapshots_live_in_a_compacted_topic(broker: Settings) -> None:
    """Two snapshots larger than a chunk come back from a real topic, to a writer and to a new reader."""
    await create_topics(broker)
    bodies = [os.urandom(1_300_000) for _ in range(3)]
    async with KafkaLog(broker) as log:
        store = TopicSnapshots(log, broker.topics.snapshots)
        for body in bodies:
            await store.save(body)
        assert list(await TopicSnapshots(log, broker.topics.snapshots).newest()) == [bodies[2], bodies[1]]


async def test_nothing_follows_a_failed_append(broker: Settings) -> None:
    """After an append failed the log refuses any other: what is in the log is not known."""
    await create_topics(broker)
    async with KafkaLog(broker) as log:
        with pytest.raises(Exception, match=r"(?i)too large|size"):
            await log.append([Outgoing(broker.topics.facts, b"x" * 10 * 1024 * 1024)])
        with pytest.raises(InvariantError):
            await log.append([Outgoing(broker.topics.facts, b"small")])


async def test_a_dead_broker_is_one_line(broker: Settings) -> None:
    """Nobody listens: the line names the address and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = broker.model_copy(update={"brokers": f"127.0.0.1:{port}"})
    for edge in (KafkaLog(settings, connect_seconds=0.3), Admin(settings, connect_seconds=0.3)):
        with pytest.raises(InputError, match=f"no broker at 127.0.0.1:{port}: start one there, or unset LOGMEND_BROK"):
            async with edge:
                pass
