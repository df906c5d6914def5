"""W1: how many lines a second one detect process takes from Kafka, with everything on, and whether it counts right.

One million JSON lines (``benchmarks.lines``) are shipped to an embedded broker; then one ``logmend detect`` matches
them, redacts evidence and appends slices, all acknowledged. Its counts by 10 s window, service and pattern must equal
those of the stateless matcher.

    python -m benchmarks.w1                    the whole of it
    python -m benchmarks.w1 --offline          only the slicer, in this process, without a broker
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from benchmarks.lines import PARTITIONS, Line, generate
from streams.codec import decode_fact
from streams.core.events import Slice, Took
from streams.core.slices import Ledger, Verdict
from streams.ingest import matcher
from streams.ingest.classifying import Classifier
from streams.ingest.slicer import Slicer
from streams.ports import TopicPartition
from streams.runtime.address import bootstrap
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.topics import Topics

LINES: Final = 1_000_000
POLL_RECORDS: Final = 4_000
WINDOW_MS: Final = 10_000
BATCH_BYTES: Final = 512 * 1024
WAIT_SECONDS_MAX: Final = 600
LOOK_SECONDS: Final = 0.2

Counts = Counter[tuple[int, str, str]]
"""Matched lines by (window's begin in ms, service, pattern)."""


class Record(Struct, frozen=True):
    """A record as the slicer takes it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Result(Struct, kw_only=True):
    """What was measured. ``memory_mb`` is the proportional set size of the detect process."""

    lines: int
    matched: int
    seconds: float
    lines_per_second: int
    microseconds_per_line: float
    slices: int
    counts_equal: bool
    memory_mb: float = 0.0
    shipped_per_second: int = 0


def windows_of(slices: Iterable[Slice]) -> Counts:
    """Count what slices say was matched."""
    counts: Counts = Counter()
    for piece in slices:
        for tally in piece.tallies:
            if tally.pattern:
                counts[tally.at_ms - tally.at_ms % WINDOW_MS, tally.service, tally.pattern] += tally.count
    return counts


def expected(lines: Iterable[Line]) -> Counts:
    """Count what the stateless matcher says of each line by itself."""
    classifier = Classifier(matcher.shipped())
    counts: Counts = Counter()
    for line in lines:
        pattern = classifier.classify(line.encode()).pattern
        if pattern:
            counts[line.at_ms - line.at_ms % WINDOW_MS, line.service, pattern] += 1
    return counts


def result(lines: int, seconds: float, slices: Sequence[Slice], wanted: Counts) -> Result:
    """Put figures together; ``counts_equal`` also asks that every line was counted."""
    counts = windows_of(slices)
    detected: Counter[tuple[str, str]] = Counter()
    for piece in slices:
        for found in piece.detections:
            if found.pattern:
                detected[found.service, found.pattern] += found.count
    by_service: Counter[tuple[str, str]] = Counter()
    for (_, service, pattern), count in wanted.items():
        by_service[service, pattern] += count
    return Result(
        lines=lines,
        matched=sum(counts.values()),
        seconds=round(seconds, 3),
        lines_per_second=round(lines / seconds),
        microseconds_per_line=round(seconds / lines * 1e6, 3),
        slices=len(slices),
        counts_equal=counts == wanted and detected == by_service and sum(s.lines for s in slices) == lines,
    )


# ------------------------------------------------------------------------------------------------------------ offline


def offline(count: int) -> Result:
    """Cut fetches that are in memory already; making them is not timed."""
    rules = matcher.shipped()
    slicer = Slicer(rules, Topics())
    slices: list[Slice] = []
    seconds = 0.0
    for batch in _batches(generate(count, rules)):
        began = time.perf_counter()
        cut = slicer.cut("logs", batch[0].partition, 1, batch, batch[0].offset)
        seconds += time.perf_counter() - began
        slices += cut.slices
    return result(count, seconds, slices, expected(generate(count, rules)))


def _batches(lines: Iterable[Line]) -> Iterable[list[Record]]:
    """Yield fetches of up to ``POLL_RECORDS`` records, each of one partition."""
    waiting: dict[int, list[Record]] = {partition: [] for partition in range(PARTITIONS)}
    offsets = Counter[int]()
    for line in lines:
        batch = waiting[line.partition]
        batch.append(Record("logs", line.partition, offsets[line.partition], line.at_ms, None, line.encode()))
        offsets[line.partition] += 1
        if len(batch) == POLL_RECORDS:
            yield batch
            waiting[line.partition] = []
    yield from (batch for batch in waiting.values() if batch)


# ------------------------------------------------------------------------------------------------------- on a broker


async def online(count: int) -> Result:
    """Ship lines to an embedded broker, run one detect process over them, and read the facts that it appended."""
    rules = matcher.shipped()
    with tempfile.TemporaryDirectory(prefix="logmend-w1-") as directory:
        settings = Settings(data_dir=Path(directory), brokers="", source_partitions=PARTITIONS)
        async with EmbeddedBroker(settings):
            await create_topics(settings)
            began = time.perf_counter()
            await _ship(bootstrap(settings), generate(count, rules))
            shipped = time.perf_counter() - began
            slices, seconds, memory_mb = await _detect(settings, count)
    found = result(count, seconds, slices, expected(generate(count, rules)))
    found.memory_mb, found.shipped_per_second = memory_mb, round(count / shipped)
    return found


async def _ship(address: str, lines: Iterable[Line]) -> None:
    """Append lines in whole batches, which is faster than one by one."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=address, acks="all", max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        builders = {partition: producer.create_batch() for partition in range(PARTITIONS)}
        sent = []
        for line in lines:
            value = line.encode()
            if builders[line.partition].append(key=None, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(builders[line.partition], "logs", partition=line.partition))
                builders[line.partition] = producer.create_batch()
                builders[line.partition].append(key=None, value=value, timestamp=None)
        sent += [await producer.send_batch(rest, "logs", partition=number) for number, rest in builders.items()]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _detect(settings: Settings, count: int) -> tuple[list[Slice], float, float]:
    """Run detect until all lines are in accepted slices; the time is from its Took to its last slice, by the broker."""
    process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything runs beside it
        [sys.executable, "-m", "streams.cli", "detect", "--instance", "w1"],
        env={**os.environ, "LOGMEND_DATA_DIR": str(settings.data_dir)},
        stderr=subprocess.DEVNULL,
    )
    try:
        async with KafkaLog(settings) as log:
            slices, seconds = await _follow(log, TopicPartition(settings.topics.facts, 0), process, count)
        return slices, seconds, psutil.Process(process.pid).memory_full_info().pss / 1e6
    finally:
        process.terminate()
        process.wait(20)


async def _follow(
    log: KafkaLog, facts: TopicPartition, process: subprocess.Popen[bytes], count: int
) -> tuple[list[Slice], float]:
    ledger, slices, position, lines = Ledger(), [], 0, 0
    took_ms = last_ms = 0
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while lines < count:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"detect accounted for {lines} of {count} lines and then stopped ({process.poll()})")
        _, end = await log.bounds(facts)
        records = await log.read(facts, position, end) if end > position else ()
        for record in records:
            position = record.offset + 1
            fact = decode_fact(record.value or b"")
            accepted = ledger.judge(fact) is Verdict.ACCEPTED
            if isinstance(fact, Took):
                took_ms = record.timestamp
            elif isinstance(fact, Slice) and accepted:
                slices.append(fact)
                lines, last_ms = lines + fact.lines, record.timestamp
        if not records:
            await asyncio.sleep(LOOK_SECONDS)
    return slices, (last_ms - took_ms) / 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when the counts differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.w1", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--offline", action="store_true", help="only the slicer, without a broker")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = offline(given.lines) if given.offline else asyncio.run(online(given.lines))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        for name, value in msgspec.to_builtins(found).items():
            print(f"{name:>22}  {value}")
    return 0 if found.counts_equal else 1


if __name__ == "__main__":
    sys.exit(main())
