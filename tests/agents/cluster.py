"""What the tests on a real broker share: topics, a producer that counts, processes that host a journal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.agents.journal import Entry, read_entries

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0


async def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until a condition is true; return how many seconds that took. Raises ``TimeoutError``.

    Looking takes half of the time at most: what is waited for needs the processor too.
    """
    began = looked = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now - began > seconds:
            raise TimeoutError(f"{condition} after {seconds} s")
        await asyncio.sleep(max(0.02, now - looked))
        looked = time.monotonic()
    return time.monotonic() - began


@asynccontextmanager
async def administering(brokers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


class Cluster:
    """Fresh topics ``logs`` (4 partitions) and ``inbox`` (1), a group, and one journal file for all processes."""

    def __init__(self, brokers: str, directory: Path, producer: AIOKafkaProducer) -> None:
        name = uuid.uuid4().hex[:8]
        self.brokers = brokers
        self.logs, self.inbox, self.group = f"logs-{name}", f"inbox-{name}", f"group-{name}"
        self.topics = {self.logs: 4, self.inbox: 1}
        self.file = directory / f"journal-{name}"
        self.producer = producer
        self.sent: dict[tuple[str, int], int] = {}
        self.processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, brokers: str, directory: Path) -> AsyncIterator[Self]:
        """Make the topics; kill at the end what still runs."""
        async with AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=5) as producer:
            self = cls(brokers, directory, producer)
            async with administering(brokers) as admin:
                await admin.create_topics([NewTopic(self.logs, 4, 1), NewTopic(self.inbox, 1, 1)])
            try:
                yield self
            finally:
                for process in self.processes:
                    process.kill()
                    process.wait()

    def start(self, instance: str, *, fail_at: int = -1) -> subprocess.Popen[bytes]:
        """Start a process that hosts a journal under Faust."""
        told = [self.brokers, self.group, instance, str(self.file), *self.topics]
        with self.stderr(instance).open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.agents.journal", *told],
                cwd=ROOT,
                env={**os.environ, "JOURNAL_FAIL_AT": str(fail_at)},
                stderr=stderr,
            )
        self.processes.append(process)
        return process

    def rebalances(self, instance: str) -> int:
        """Return how often a process was assigned partitions."""
        return self.stderr(instance).read_text().count('"partitions_taken"')

    def stderr(self, instance: str) -> Path:
        """Return the file that holds what a process said."""
        return self.file.with_name(f"{self.file.name}-{instance}.log")

    async def send(self, topic: str, count: int, partitions: int) -> None:
        """Append records, spread over partitions, and wait until they are there."""
        waits = []
        for number in range(count):
            partition = number % partitions
            value = f"line {number} of {topic}".encode()
            waits.append(await self.producer.send(topic, value, partition=partition))
            self.sent[topic, partition] = self.sent.get((topic, partition), 0) + 1
        await asyncio.gather(*waits)

    @asynccontextmanager
    async def flow(self) -> AsyncIterator[None]:
        """Send some hundred records a second for as long as the block runs."""
        stop = asyncio.Event()

        async def feed() -> None:
            while not stop.is_set():
                for topic, partitions in self.topics.items():
                    await self.send(topic, 3 * partitions, partitions)
                await asyncio.sleep(0.03)

        task = asyncio.ensure_future(feed())
        try:
            yield
        finally:
            stop.set()
            await task

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the journal, or what came after its first ``since`` entries."""
        return read_entries(self.file)[since:]

    def holds(self, owner: str, since: int) -> set[tuple[str, int]]:
        """Return what an owner wrote of after the first ``since`` entries."""
        return {(e.topic, e.partition) for e in self.entries(since) if e.owner == owner}

    @property
    def everything(self) -> set[tuple[str, int]]:
        """All partitions."""
        return {(topic, number) for topic, partitions in self.topics.items() for number in range(partitions)}

    async def until_all_written(self) -> None:
        """Wait until the journal has as many records as were sent."""
        total = sum(self.sent.values())
        await until(lambda: sum(e.records for e in self.entries()) >= total)

    def check(self, topics: Collection[str] = ()) -> None:
        """Assert that each offset that was sent was worked on once, in order."""
        ends: dict[tuple[str, int], int] = {}
        for e in self.entries():
            if not topics or e.topic in topics:
                assert ends.get((e.topic, e.partition), 0) == e.start
                assert e.records == e.end - e.start
                ends[e.topic, e.partition] = e.end
        assert ends == {where: count for where, count in self.sent.items() if not topics or where[0] in topics}
