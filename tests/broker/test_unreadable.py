"""What a producer can do to us through a real broker: which batches it takes, and that detect goes on behind them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import NoError, NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest

from streams.codec import decode_fact, encode
from streams.core.events import ActionHalted, Slice
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.agents.batches import CODECS, MEGABYTE, a_batch, a_record, good, very_many_headers
from tests.contract.log_contract import read_all

pytestmark = pytest.mark.broker

PATIENCE_SECONDS = 120.0
PEAK_BYTES_MAX = 512 * MEGABYTE
STEADY_BYTES_MAX = 200 * MEGABYTE


@pytest.fixture
async def client(broker: Settings) -> AsyncIterator[AIOKafkaClient]:
    """Return a connection that sends what it is given, on fresh topics."""
    await create_topics(broker)
    connected = AIOKafkaClient(bootstrap_servers=broker.brokers)
    await connected.bootstrap()
    yield connected
    await connected.close()


async def produce(client: AIOKafkaClient, topic: str, batch: bytes, partition: int = 0) -> str:
    """Send one batch as it is; return the name of the broker's answer."""
    await client.set_topics([topic])
    error: type[Exception] = NotLeaderForPartitionError
    while error is NotLeaderForPartitionError:  # of a topic that was just made
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        answer = await client.send(leader, ProduceRequest(None, -1, 30_000, [(topic, [(partition, batch)])]))
        error = for_code(answer.topics[0][1][0][1])
    return "taken" if error is NoError else error.__name__


def bomb(codec: int) -> bytes:
    """Return a batch that is one record of 80 MB; of 60 in snappy, which does not pack better than 1 to 20."""
    size = (60 if codec == 2 else 80) * MEGABYTE
    return a_batch(CODECS[codec](a_record(bytes(size))), codec=codec)


async def test_the_broker_takes_bombs_and_odd_names_but_no_damage(client: AIOKafkaClient, broker: Settings) -> None:
    """Bombs, giants and names that are no UTF-8 reach the log; wrong checksums and broken packing don't."""
    topic, odd, packed = broker.logs[0], [(b"\xff", b"")], lz4_encode(a_record(b"a"))
    headers = a_batch(zstd_encode(very_many_headers(20 * MEGABYTE)), codec=4)
    for batch in (*map(bomb, CODECS), headers, a_batch(a_record(b"a", 0, odd))):
        assert await produce(client, topic, batch) == "taken"
    zeros = (a_batch(pack(bytes(80 * MEGABYTE)), codec=codec) for codec, pack in CODECS.items() if codec != 2)
    damaged = (
        a_batch(a_record(b"a"), damage=1),
        a_batch(packed[:-5] + b"\xff" * 5, codec=3),
        a_batch(a_record(b"a"), records=9),
    )
    for batch in (*damaged, *zeros):
        assert await produce(client, topic, batch) != "taken"


def peak_bytes(pid: int) -> int:
    """Return the largest size that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def now_bytes(pid: int) -> int:
    """Return a process's proportional set size."""
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) * 1024


@pytest.mark.parametrize("inbox", [0, 1, 2])
async def test_an_inbox_with_an_unreadable_batch_stops_nobody(
    client: AIOKafkaClient, broker: Settings, inbox: int
) -> None:
    """Its offsets are a reject, what is said after it is heard, and lines are counted."""
    where = TopicPartition(broker.topics.inboxes[inbox], 0)
    payload = a_record(b"a") + a_record(b"b", 1, [(b"\xff", b"")]) + a_record(b"c", 2)
    batches = (a_batch(payload, records=3), good(0, encode(ActionHalted(author="ann", reason="drill"))))
    assert [await produce(client, where.topic, batch) for batch in batches] == ["taken", "taken"]
    assert await produce(client, broker.logs[0], good(0, b"fine")) == "taken"
    process = detect(broker)
    try:
        assert sum(one.lines for one in await accounted(broker, process)) == 1
        heard = await accounted(broker, process, [where])
        rejects = {reject.offset: reject.reason for piece in heard for reject in piece.rejects}
        assert rejects[1] == "unreadable batch: offsets 1 to 2: UnicodeDecodeError"
        people = [(3, ActionHalted(author="ann", reason="drill"))]
        said = [(message.offset, message.event) for piece in heard for message in piece.messages]
        assert said == (people if where.topic == broker.topics.inbox_people else [])
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def detect(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a detect process."""
    command = [sys.executable, "-m", "streams.cli", "detect", "--instance", "d"]
    return subprocess.Popen(command, env={**os.environ, **settings.environment()})


async def accounted(
    settings: Settings, process: subprocess.Popen[bytes], wheres: Sequence[TopicPartition] = ()
) -> list[Slice]:
    """Return the slices once these partitions, or all of lines, are accounted for up to their ends."""
    wheres = wheres or [TopicPartition(settings.logs[0], number) for number in range(4)]
    facts = TopicPartition(settings.topics.facts, 0)
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with KafkaLog(settings) as log:
        ends = {where.partition: (await log.bounds(where))[1] for where in wheres}
        while time.monotonic() < deadline and process.poll() is None:
            _, end = await log.bounds(facts)
            found = [decode_fact(record.value or b"") for record in await read_all(log, facts, 0, end)]
            slices = [fact for fact in found if isinstance(fact, Slice) and fact.source == wheres[0].topic]
            reached = {one.partition: one.to_offset for one in slices}
            if all(reached.get(partition, 0) >= at for partition, at in ends.items()):
                return slices
            await asyncio.sleep(0.2)
    raise TimeoutError(f"{ends}, {reached}, and detect is {process.poll()}")


async def test_detect_goes_on_behind_all_of_it_and_stays_small(client: AIOKafkaClient, broker: Settings) -> None:
    """Each is a reject with its offsets, lines before and after are counted, and no fetch makes the process large."""
    topic = broker.logs[0]
    line = b'{"service":"shop","message":"segmentation fault"}'
    batches = [
        good(0, line),
        a_batch(b"\x0c\x00\x00\x00\x01\x01\x00"),
        *(bomb(codec) for codec in CODECS),
        good(0, line, line),
    ]
    batches += [a_batch(zstd_encode(very_many_headers(20 * MEGABYTE)), codec=4), good(0, line)]
    batches += [
        a_batch(a_record(line) + a_record(line, 1, [(b"\xff", b"")]) + a_record(line, 2), records=3),
        good(0, line),
    ]
    assert {await produce(client, topic, batch) for batch in batches} == {"taken"}
    giants = [
        zstd_encode(b"".join(a_record(line.replace(b"fault", b"x" * (8 * MEGABYTE)), delta) for delta in range(4))),
        gzip_encode(b"".join(a_record((b"a\n" * MEGABYTE * 4)[: 8 * MEGABYTE], delta) for delta in range(4))),
        lz4_encode(b"".join(a_record(os.urandom(16384) * 400, delta) for delta in range(4))),
        snappy_encode(b"".join(a_record(b"x" * (5 * MEGABYTE), delta) for delta in range(4))),
    ]
    for partition in (1, 2, 3):
        for codec, packed in zip((4, 1, 3, 2), giants, strict=True):
            assert await produce(client, topic, a_batch(packed, codec=codec, records=4), partition) == "taken"
    process = detect(broker)
    try:
        slices = await accounted(broker, process)
        assert sum(one.lines for one in slices if one.partition == 0) == 6
        rejects = {one.offset: one.reason for piece in slices if piece.partition == 0 for one in piece.rejects}
        assert rejects == {
            1: "empty",
            **{at: f"unreadable batch: offsets {at} to {at}: more than 64 MB unpacked" for at in (2, 4, 5)},
            3: f"record too large: {60 * MEGABYTE} bytes of at most {8 * MEGABYTE + MEGABYTE // 2}",
            8: "unreadable batch: offsets 8 to 8: more than 10000 headers in a record",
            11: "unreadable batch: offsets 11 to 12: UnicodeDecodeError",
        }
        peak, steady = peak_bytes(process.pid), now_bytes(process.pid)
        sys.stderr.write(f"detect: peak {peak / MEGABYTE:.0f} MB, then {steady / MEGABYTE:.0f} MB\n")
        assert peak < PEAK_BYTES_MAX
        assert steady < STEADY_BYTES_MAX
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
