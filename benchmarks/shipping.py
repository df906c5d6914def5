"""The lines of W1 as records: in memory, on a broker, and what an offline count says of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from benchmarks.lines import PARTITIONS, Line
from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.classifying import Classifier
from streams.ports import Fetched

FETCH_RECORDS: Final = 4_000
WINDOW_MS: Final = 10_000
BATCH_BYTES: Final = 512 * 1024

Counts = Counter[tuple[int, str, str]]
"""Matched lines by (window's begin in ms, service, pattern)."""


def expected(lines: Iterable[Line]) -> Counts:
    """Count what the stateless matcher says of each line by itself."""
    classifier = Classifier(matcher.shipped())
    counts: Counts = Counter()
    for line in lines:
        pattern = classifier.classify(line.encode()).pattern
        if pattern:
            counts[line.at_ms - line.at_ms % WINDOW_MS, line.service, pattern] += 1
    return counts


def windows_of(slices: Iterable[Slice]) -> Counts:
    """Count what slices say was matched."""
    counts: Counts = Counter()
    for piece in slices:
        for tally in piece.tallies:
            if tally.pattern:
                counts[tally.at_ms - tally.at_ms % WINDOW_MS, tally.service, tally.pattern] += tally.count
    return counts


def agree(slices: Sequence[Slice], lines: int, wanted: Counts) -> bool:
    """Whether slices account for all lines, and count and detect what the offline count does."""
    detected: Counter[tuple[str, str]] = Counter()
    for piece in slices:
        for found in piece.detections:
            if found.pattern:
                detected[found.service, found.pattern] += found.count
    by_service: Counter[tuple[str, str]] = Counter()
    for (_, service, pattern), count in wanted.items():
        by_service[service, pattern] += count
    return windows_of(slices) == wanted and detected == by_service and sum(piece.lines for piece in slices) == lines


def fetches(lines: Iterable[Line]) -> Iterable[list[Fetched]]:
    """Yield fetches of up to ``FETCH_RECORDS`` records, each of one partition."""
    waiting: dict[int, list[Fetched]] = {partition: [] for partition in range(PARTITIONS)}
    offsets = Counter[int]()
    for line in lines:
        batch = waiting[line.partition]
        batch.append(Fetched("logs", line.partition, offsets[line.partition], line.at_ms, None, line.encode()))
        offsets[line.partition] += 1
        if len(batch) == FETCH_RECORDS:
            yield batch
            waiting[line.partition] = []
    yield from (batch for batch in waiting.values() if batch)


async def ship(address: str, topic: str, lines: Iterable[Line]) -> None:
    """Append lines, keyed by their service, in whole batches, which is faster than one by one."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=address, acks="all", max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        builders = {partition: producer.create_batch() for partition in range(PARTITIONS)}
        sent = []
        for line in lines:
            key, value = line.service.encode(), line.encode()
            if builders[line.partition].append(key=key, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(builders[line.partition], topic, partition=line.partition))
                builders[line.partition] = producer.create_batch()
                builders[line.partition].append(key=key, value=value, timestamp=None)
        sent += [await producer.send_batch(rest, topic, partition=number) for number, rest in builders.items()]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
