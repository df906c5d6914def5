"""What is said during a soak: ordinary lines in bulk, at a rate that can be set, and services that break and heal.

The bulk comes from a process of its own, so that what measures is not what is slow: W1's lines (6 % match a pattern),
encoded once, with the time of the second in which they are sent.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from itertools import cycle, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.lines import generate
from streams.codec import encode
from streams.core.config import canonical, sha256
from streams.core.events import ConfigApplied
from streams.ingest import matcher
from streams.settings import Settings
from tests.chaos.load import SERVICES, TROUBLE, inventory, policy
from tests.chaos.target import Target

LINES: Final = 5_000
STEP_SECONDS: Final = 0.02
BATCH_BYTES: Final = 256 * 1024
BURST_LINES: Final = 4_000
"""Lines of a step when there is no limit."""
WAITING_MAX: Final = 64
"""Batches on their way: with more than these the sender waits for the broker."""
BREAK_SECONDS: Final = 1.0
SPEAK_SECONDS: Final = 0.2
PLACE: Final = b"0000-00-00T00:00:00.000Z"
FREE: Final = -1
"""The rate that means: as fast as the broker takes it."""


def _parts() -> list[tuple[bytes, bytes]]:
    """Return lines as what stands before and behind their time."""
    parts = []
    for line in generate(LINES, matcher.shipped()):
        said = {"ts": PLACE.decode(), "service": line.service, "message": line.message}
        head, _, tail = msgspec.json.encode(said).partition(PLACE)
        parts.append((head, tail))
    return parts


class _Sender:
    """Sends batches in turn to all partitions; ``acknowledged`` counts lines."""

    def __init__(self, producer: Any, topic: str, partitions: int) -> None:
        self.acknowledged = 0
        self._producer, self._topic, self._partitions = producer, topic, partitions
        self._lines = cycle(_parts())
        self._turn = 0
        self._waiting: list[tuple[asyncio.Future[Any], int]] = []

    async def send(self, count: int) -> None:
        """Send so many lines, stamped now; wait while too much is on its way."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
        builder, held = self._producer.create_batch(), 0
        for head, tail in islice(self._lines, count):
            value = head + stamp + tail
            if builder.append(key=None, value=value, timestamp=None) is None:
                await self._put(builder, held)
                builder, held = self._producer.create_batch(), 0
                builder.append(key=None, value=value, timestamp=None)
            held += 1
        await self._put(builder, held)
        while len(self._waiting) > WAITING_MAX:
            await self._heard()

    async def _put(self, builder: Any, lines: int) -> None:
        builder.close()
        self._turn = (self._turn + 1) % self._partitions
        future = await self._producer.send_batch(builder, self._topic, partition=self._turn)
        self._waiting.append((future, lines))

    async def _heard(self) -> None:
        future, lines = self._waiting.pop(0)
        await future
        self.acknowledged += lines

    async def flush(self) -> None:
        """Wait until everything is acknowledged."""
        while self._waiting:
            await self._heard()


async def _send(brokers: str, topic: str, partitions: int, asked: Connection) -> None:
    """Send at the rate that was asked for last until ``None`` is asked; then say how many were acknowledged."""
    async with AIOKafkaProducer(
        bootstrap_servers=brokers, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    ) as producer:
        sender, owed, at = _Sender(producer, topic, partitions), 0.0, time.monotonic()
        rate: int | None = 0
        asked.send("ready")
        while rate is not None:
            now = time.monotonic()
            owed, at = owed + max(rate, 0) * (now - at), now
            lines = BURST_LINES if rate == FREE else min(int(owed), BURST_LINES)
            if lines:
                await sender.send(lines)
                owed = max(owed - lines, 0.0)
            await asyncio.sleep(0 if owed >= 1 or rate == FREE else STEP_SECONDS)
            if asked.poll():
                rate, owed = asked.recv(), 0.0
        await sender.flush()
        asked.send(sender.acknowledged)


def _main(brokers: str, topic: str, partitions: int, asked: Connection) -> None:
    asyncio.run(_send(brokers, topic, partitions, asked))


class Bulk:
    """The process that sends the bulk."""

    def __init__(self, settings: Settings) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (settings.brokers, settings.logs[0], settings.source_partitions, theirs)
        self._process = context.Process(target=_main, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    async def ready(self) -> None:
        """Wait until it can send."""
        await asyncio.to_thread(self._pipe.recv)

    def rate(self, lines_per_second: int) -> None:
        """Send so many lines a second from now on; ``FREE`` is without a limit."""
        self._pipe.send(lines_per_second)

    async def end(self) -> int:
        """End it, and return how many lines were acknowledged."""
        self._pipe.send(None)
        acknowledged: int = await asyncio.to_thread(self._pipe.recv)
        await asyncio.to_thread(self._process.join)
        return acknowledged

    def kill(self) -> None:
        """End it wherever it is."""
        if self._process.is_alive():
            self._process.kill()


async def trouble(settings: Settings, target: Target, stop: asyncio.Event, seed: int = 0) -> int:
    """Apply policy and inventory, let services break now and then until ``stop``, and return how many lines said so."""
    random, said = Random(seed), 0
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, enable_idempotence=True, acks="all") as producer:
        for kind, body in (
            ("policy", canonical(policy())),
            ("inventory", canonical(inventory(settings, target))),
        ):
            event = ConfigApplied(kind=kind, sha256=sha256(body), author="soak", body=body)
            await producer.send_and_wait(settings.topics.inbox_people, encode(event), partition=0)
        break_at = time.monotonic()
        while not stop.is_set():
            if time.monotonic() >= break_at:
                break_at += BREAK_SECONDS
                target.break_service(random.choice(SERVICES))
            for service in sorted(target.broken):
                line = {"ts": time.time_ns() // 1_000_000, "service": service, "message": TROUBLE}
                await producer.send(settings.logs[0], msgspec.json.encode(line), partition=0)
                said += 1
            await asyncio.sleep(SPEAK_SECONDS)
        await producer.flush()
    return said
