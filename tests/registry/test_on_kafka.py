"""Confluent's records on a real broker, with a real registry over HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streams.codec import decode_fact
from streams.core.events import Slice
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.contract.log_contract import read_all
from tests.registry.serving import LOG_LINE, Served, framed, log_line, serving
from tests.workers.kit import until

pytestmark = pytest.mark.broker


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve a registry."""
    with serving() as running:
        running.schema(7, LOG_LINE)
        yield running


@pytest.fixture
def fleet(broker: Settings, served: Served) -> Settings:
    """Return settings of a fleet whose topics exist and that has the registry."""
    asyncio.run(create_topics(broker))
    return broker.model_copy(update={"schema_registry": served.address})


@contextmanager
def detecting(settings: Settings) -> Iterator[None]:
    """Run a detect process."""
    environment = {**os.environ, **settings.environment(), NAME_VARIABLE: "detect"}
    (settings.data_dir / "run").mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", "detect"], env=environment)
    try:
        until(ready_file(settings.data_dir, "detect").exists)
        yield
    finally:
        process.kill()
        process.wait()


def append(settings: Settings, *records: Outgoing) -> None:
    """Append records."""

    async def send() -> None:
        async with KafkaLog(settings) as log:
            await log.append(records)

    asyncio.run(send())


def read(settings: Settings, topic: str) -> list[Record]:
    """Return what is in the first partition of a topic."""

    async def look() -> list[Record]:
        async with KafkaLog(settings) as log:
            where = TopicPartition(topic, 0)
            return await read_all(log, where, *await log.bounds(where))

    return asyncio.run(look())


def slices(settings: Settings) -> list[Slice]:
    """Return the slices of log topics."""
    facts = [decode_fact(record.value or b"") for record in read(settings, settings.topics.facts)]
    return [fact for fact in facts if isinstance(fact, Slice) and fact.source in settings.logs]


def test_framed_lines_are_tallied_by_service_and_severity(fleet: Settings, served: Served) -> None:
    """Every line that a Confluent producer sent is counted as its service's, and the schema is asked for once."""
    now_ms = int(time.time() * 1000)
    lines = [
        Outgoing(fleet.logs[0], framed(7, log_line(text, at_ms=now_ms, service=f"s{n % 3}")), partition=n % 4)
        for n, text in enumerate(["fine", "connection refused", "fine", "fine"] * 60)
    ]
    header = ("__value_schema_id", b"\x00\x00\x00\x00\x07")
    bare = Outgoing(fleet.logs[0], log_line("fine", at_ms=now_ms, service="bare"), headers=(header,))
    append(fleet, *lines, bare)
    with detecting(fleet):
        until(lambda: sum(piece.lines for piece in slices(fleet)) >= 241)
    tallied: Counter[str] = Counter()
    for piece in slices(fleet):
        for tally in piece.tallies:
            tallied[tally.service] += tally.count
    assert tallied == {"s0": 80, "s1": 80, "s2": 80, "bare": 1}
    assert sum(d.count for piece in slices(fleet) for d in piece.detections) == 60
    assert served.paths == ["/schemas/ids/7"]
    assert read(fleet, fleet.topics.dlq) == []
