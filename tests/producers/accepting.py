"""What a real ``logmend detect`` makes of the log topics of a broker: the slices that count."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streams.codec import decode_fact
from streams.core.events import Slice
from streams.core.slices import Ledger, Verdict
from streams.ports import Record, TopicPartition
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

PATIENCE_SECONDS = 60.0


def accepted(settings: Settings) -> list[Slice]:
    """Run a detect process until it has accounted for all that stands in the log topics; return the accepted slices."""
    with _detecting(settings) as process:
        return asyncio.run(_follow(settings, process))


@contextmanager
def _detecting(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **settings.environment()}
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", "detect", "--instance", "one"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _follow(settings: Settings, process: subprocess.Popen[bytes]) -> list[Slice]:
    """Read facts until every log partition is accounted for to its end."""
    ledger, slices, position = Ledger(), [], 0
    give_up = time.monotonic() + PATIENCE_SECONDS
    async with KafkaLog(settings) as log:
        ends = await _ends(settings, log)
        facts = TopicPartition(settings.topics.facts, 0)
        while any(ledger.holding(*where).to_offset < end for where, end in ends.items()):
            assert process.poll() is None, "detect has ended"
            assert time.monotonic() < give_up, f"not accounted for in {PATIENCE_SECONDS} s: {ledger}"
            await asyncio.sleep(0.05)
            for record in await _new(log, facts, position):
                position = record.offset + 1
                fact = decode_fact(record.value or b"")
                if ledger.judge(fact) is Verdict.ACCEPTED and isinstance(fact, Slice):
                    slices.append(fact)
    return [piece for piece in slices if piece.source in settings.logs]


async def _ends(settings: Settings, log: KafkaLog) -> dict[TopicPartition, int]:
    wheres = [TopicPartition(topic, number) for topic in settings.logs for number in range(settings.source_partitions)]
    found = {where: (await log.bounds(where))[1] for where in wheres}
    return {where: end for where, end in found.items() if end}


async def _new(log: KafkaLog, where: TopicPartition, position: int) -> list[Record]:
    _, end = await log.bounds(where)
    return list(await log.read(where, position, end)) if end > position else []


def records_of(settings: Settings, topic: str, partitions: int) -> list[Record]:
    """Return all records of a topic."""

    async def read() -> list[Record]:
        found: list[Record] = []
        async with KafkaLog(settings) as log:
            for number in range(partitions):
                where, position = TopicPartition(topic, number), 0
                while records := await _new(log, where, position):
                    found += records
                    position = records[-1].offset + 1
        return found

    return asyncio.run(read())
