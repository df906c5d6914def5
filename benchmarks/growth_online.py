"""Growth on a broker: what a line costs real processes of detect, by services, patterns, partitions and processes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from msgspec import Struct

from benchmarks.growth_offline import PATTERNS, SERVICES, Variant, lines_of, rules_of
from benchmarks.lines import Line
from benchmarks.recovery import HOST, serving
from benchmarks.steady import producing
from streams.codec import decode_fact, encode
from streams.core.config import RuleSet, canonical, sha256
from streams.core.events import ConfigApplied, Slice
from streams.core.slices import Ledger, Verdict
from streams.ingest import matcher
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import read_process
from streams.settings import Settings

LINES: Final = 400_000
WAIT_SECONDS_MAX: Final = 120.0
LOOK_SECONDS: Final = 0.05
SETTLE_SECONDS: Final = 3.0
"""Until a second process has its share of the partitions."""
SESSION_MS: Final = 60_000
"""So long may processes stand still while lines are shipped and rules are compiled."""


class Run(Struct, frozen=True, kw_only=True):
    """A run to be made: the variant, and over how many partitions and processes."""

    axis: str
    size: int
    services: int = SERVICES[0]
    patterns: int = PATTERNS[0]
    partitions: int = 4
    processes: int = 1


class Measured(Struct, frozen=True, kw_only=True):
    """What a line cost all processes together, in microseconds of a processor; of ``lines``, all are in slices."""

    axis: str
    size: int
    line_us: float
    ratio: float
    lines: int
    lines_in_slices: int
    lines_per_slice: float


RUNS: Final = (
    Run(axis="partitions", size=4),
    Run(axis="partitions", size=1, partitions=1),
    Run(axis="partitions", size=16, partitions=16),
    Run(axis="processes", size=2, processes=2),
    Run(axis="services", size=SERVICES[-1], services=SERVICES[-1]),
    Run(axis="patterns", size=PATTERNS[-1], patterns=PATTERNS[-1]),
)
"""The first is what the others are compared with: 64 services, 24 patterns, 4 partitions, 1 process."""


class Followed:
    """What the facts say so far of the lines of ``logs``."""

    def __init__(self, log: KafkaLog, settings: Settings) -> None:
        self._log = log
        self._facts = TopicPartition(settings.topics.facts, 0)
        self._logs = frozenset(settings.logs)
        self._ledger = Ledger()
        self._position = 0
        self.lines = 0
        self.slices = 0
        self.rules_sha256 = ""

    async def until_lines(self, count: int) -> None:
        """Read on until there are so many lines; raises ``TimeoutError`` when they never come."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while self.lines < count:
                await self._read()

    async def _read(self) -> None:
        _, end = await self._log.bounds(self._facts)
        records = await self._log.read(self._facts, self._position, end)
        for record in records:
            self._position = record.offset + 1
            fact = decode_fact(record.value or b"")
            if self._ledger.judge(fact) is Verdict.ACCEPTED and isinstance(fact, Slice) and fact.source in self._logs:
                self.lines += fact.lines
                self.slices += 1
                self.rules_sha256 = fact.rules_sha256
        if not records:
            await asyncio.sleep(LOOK_SECONDS)


async def online(count: int, runs: Sequence[Run] = RUNS) -> list[Measured]:
    """Make all runs on one embedded broker, each with topics and processes of its own."""
    with tempfile.TemporaryDirectory(prefix="logmend-growth-", ignore_cleanup_errors=True) as directory:
        async with EmbeddedBroker(Settings(data_dir=Path(directory))) as broker:
            settings = Settings(data_dir=Path(directory), host=HOST, brokers=broker.address)
            found = [await measure(settings, count, run, f"run{number}") for number, run in enumerate(runs)]
    return ratios(found)


def ratios(found: Sequence[Measured]) -> list[Measured]:
    """Return what was measured with its ratio to the first run."""
    first = found[0].line_us
    return [
        Measured(
            axis=one.axis,
            size=one.size,
            line_us=one.line_us,
            ratio=round(one.line_us / first, 3) if first else 0.0,
            lines=one.lines,
            lines_in_slices=one.lines_in_slices,
            lines_per_slice=one.lines_per_slice,
        )
        for one in found
    ]


async def measure(settings: Settings, count: int, run: Run, fleet: str) -> Measured:
    """Make one run, in a fleet of its own."""
    settings = settings.model_copy(
        update={
            "fleet": fleet,
            "logs": (f"{fleet}.logs",),
            "metrics": (f"{fleet}.metrics",),
            "data_dir": settings.data_dir / fleet,
            "source_partitions": run.partitions,
            "session_timeout_ms": SESSION_MS,
        }
    )
    await create_topics(settings)
    async with serving(settings, ("detect",) * run.processes), KafkaLog(settings) as log:
        followed = Followed(log, settings)
        asked = await _prepare(log, settings, run, followed)
        if run.processes > 1:
            await asyncio.sleep(SETTLE_SECONDS)
        processes = [psutil.Process(said.pid) for said in map(read_process, _ready_files(settings)) if said]
        with standing_still(processes):
            await _ship(settings, lines_of(count, Variant(run.axis, run.size, run.services), partitions=run.partitions))
        await followed.until_lines(asked + count // 10)
        began, lines, slices = _spent(processes), followed.lines, followed.slices
        await followed.until_lines(asked + count)
        spent = _spent(processes) - began
    return Measured(
        axis=run.axis,
        size=run.size,
        line_us=round(spent / max(followed.lines - lines, 1) * 1e6, 2),
        ratio=1.0,
        lines=count,
        lines_in_slices=followed.lines - asked,
        lines_per_slice=round((followed.lines - lines) / max(followed.slices - slices, 1), 1),
    )


def _ready_files(settings: Settings) -> Iterator[Path]:
    return (settings.data_dir / "run").glob("detect*.json")


def _spent(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(one.user + one.system for one in times)


@contextmanager
def standing_still(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop processes meanwhile, as one that is suspended is: what waits for them afterwards comes in whole fetches."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def _prepare(log: KafkaLog, settings: Settings, run: Run, followed: Followed) -> int:
    """Apply a run's rules, and ask with single lines until they are in force; return how many it took."""
    with tempfile.TemporaryDirectory() as directory:
        rules = rules_of(run.patterns, Path(directory))
    wanted = matcher.merged(rules).rules_sha256
    if rules.rules:
        await _apply(log, settings, rules)
    asked = 0
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while followed.rules_sha256 != wanted and time.monotonic() < deadline:
        await log.append([Outgoing(settings.logs[0], next(lines_of(1, Variant("", 0))).encode())])
        asked += 1
        await followed.until_lines(asked)
    return asked


async def _apply(log: KafkaLog, settings: Settings, rules: RuleSet) -> None:
    body = canonical(rules)
    event = ConfigApplied(kind="rules", sha256=sha256(body), author="benchmark", body=body)
    await log.append([Outgoing(settings.topics.inbox_people, encode(event))])


async def _ship(settings: Settings, lines: Iterator[Line]) -> None:
    """Append lines in batches of ours; all are acknowledged."""
    async with producing(settings.brokers) as producer:
        builders = {number: producer.create_batch() for number in range(settings.source_partitions)}
        sent: list[Any] = []
        for line in lines:
            value, where = line.encode(), line.partition
            if builders[where].append(key=None, value=value, timestamp=None) is None:
                sent.append(await producer.send_batch(builders[where], settings.logs[0], partition=where))
                builders[where] = producer.create_batch()
                builders[where].append(key=None, value=value, timestamp=None)
        rest = [(where, builder) for where, builder in builders.items() if builder.record_count()]
        sent += [await producer.send_batch(builder, settings.logs[0], partition=where) for where, builder in rest]
        await asyncio.gather(*sent)
