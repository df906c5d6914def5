"""Lines at a steady rate, stamped with the time at which they are sent, and what the broker says of each batch."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer

from benchmarks.lines import Line, generate
from streams.ingest import matcher

STEP_SECONDS: Final = 0.01
"""How often lines are sent, one batch for each partition: at 10 000 lines a second, 25 lines in each of four."""
ORDINARY: Final = 20_000
"""Lines that are encoded once and sent again and again, with new stamps."""
CRITICAL: Final = "kernel: Out of memory: Killed process 4711 (java) total-vm:9130596kB, anon-rss:8210048kB"
"""Matched by one line, critical, and answered by a restart at once: no specialist has to look first."""
SEED: Final = 9


class Appended(NamedTuple):
    """Where a critical line stands, and when the broker appended it (ms since 1970)."""

    partition: int
    offset: int
    at_ms: int


class Plan(NamedTuple):
    """What is sent: ``rate`` lines a second over ``partitions`` for ``seconds``; ``critical`` of all are critical."""

    rate: int
    seconds: float
    partitions: int
    critical: int

    def moments(self, names: Sequence[str]) -> dict[int, list[str]]:
        """Return which services break in which step: moments drawn at random, neither bunched nor spread by hand."""
        drawn = random.Random(SEED)
        steps = round(self.seconds / STEP_SECONDS)
        found: dict[int, list[str]] = {}
        for name in names[: self.critical]:
            found.setdefault(drawn.randrange(steps), []).append(name)
        return found


class Sent(NamedTuple):
    """What was sent, all of it acknowledged. ``late_ms`` is by how much the sender was behind its timetable at most."""

    lines: int
    seconds: float
    late_ms: float
    critical: Mapping[str, Appended]


def ordinary() -> Iterator[tuple[int, bytes]]:
    """Yield W1's lines (64 services that no inventory knows, 6 % match a pattern) without end, by partition.

    They are encoded already, from behind their stamp.
    """
    lines = generate(ORDINARY, matcher.shipped())
    return cycle(tuple((line.partition, _behind_stamp(line)) for line in lines))


def _behind_stamp(line: Line) -> bytes:
    return line.encode().partition(b'Z"')[2]


def _stamp() -> bytes:
    """Return how a line of now begins."""
    return Line(0, time.time_ns() // 1_000_000, "", "").encode().partition(b'Z"')[0] + b'Z"'


@asynccontextmanager
async def producing(brokers: str) -> AsyncIterator[Any]:
    """Yield a producer that waits for all replicas, and lets nothing linger."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(producer: Any, topic: str, plan: Plan, names: Sequence[str]) -> Sent:
    """Send by a timetable that waits for nobody: what is late is sent at once, so the rate holds on the whole."""
    lines, moments = ordinary(), plan.moments(names)
    steps, late = round(plan.seconds / STEP_SECONDS), 0.0
    waiting: list[tuple[asyncio.Future[Any], int, dict[str, int]]] = []
    done = 0
    began = time.monotonic()
    for step in range(steps):
        broken = moments.get(step, [])
        ahead = began + step * STEP_SECONDS - time.monotonic()
        late = max(late, -ahead)
        await asyncio.sleep(max(ahead, 0))
        wanted = round((step + 1) * plan.rate * STEP_SECONDS) - done
        for partition, batch in _batches(lines, wanted, broken, plan.partitions, step):
            waiting.append(await _sent(producer, topic, partition, batch))
        done += wanted
    acknowledged = await asyncio.gather(*(future for future, _, _ in waiting))
    critical = {
        name: Appended(told.partition, told.offset + place, told.timestamp)
        for told, (_, _, places) in zip(acknowledged, waiting, strict=True)
        for name, place in places.items()
    }
    return Sent(sum(count for _, count, _ in waiting), time.monotonic() - began, late * 1000, critical)


def _batches(
    lines: Iterator[tuple[int, bytes]], wanted: int, broken: Sequence[str], partitions: int, step: int
) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """Yield the lines of a step by partition, each with the name of the service that it breaks (``""``: none).

    Critical lines stand in the middle of their batch.
    """
    stamp = _stamp()
    batches: dict[int, list[tuple[str, bytes]]] = {number: [] for number in range(partitions)}
    for index, name in enumerate(broken):
        critical = _behind_stamp(Line(0, 0, name, CRITICAL))
        batches[(step + index) % partitions].append((name, stamp + critical))
    for partition, rest in islice(lines, max(wanted - len(broken), 0)):
        batches[partition % partitions].append(("", stamp + rest))
    for partition, batch in batches.items():
        middle = len(batch) // 2
        if batch:
            yield partition, [*batch[middle:], *batch[:middle]]


async def _sent(
    producer: Any, topic: str, partition: int, batch: Sequence[tuple[str, bytes]]
) -> tuple[asyncio.Future[Any], int, dict[str, int]]:
    """Send a batch; return its future, its lines, and where in it services break."""
    builder = producer.create_batch()
    for _, value in batch:
        if builder.append(key=None, value=value, timestamp=None) is None:
            raise SystemExit("a step's lines do not fit into one batch: the rate is too high")
    builder.close()
    future = await producer.send_batch(builder, topic, partition=partition)
    return future, len(batch), {name: place for place, (name, _) in enumerate(batch) if name}
