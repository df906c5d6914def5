"""Runs one engine of W1 in a process of its own over lines on a broker, and says how fast it was and what it counted.

One rule for all: a run begins when the engine reads its first line (it notes the time then) and ends when the broker
appended its last output (the broker's stamp), which is when the last match or the last closed window is safe. Starting
up is no part of it. While an engine runs nothing is read of what it writes: the broker is asked for the end of its
topics only, twice a second.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from msgspec import Struct

from benchmarks.engines.job import Count, Job, Match
from benchmarks.lines import PARTITIONS
from benchmarks.shipping import Counts
from streams.ports import Record, TopicPartition
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

LOOK_SECONDS: Final = 0.5
QUIET_SECONDS: Final = 1.0
"""For so long nothing may come any more when all is there: what comes twice is to be seen."""
STALLED_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
PEERS: Final = Path(sys.prefix) / "peers"
"""Where engines are installed whose own dependencies exclude ours."""


class Engine(Struct, frozen=True, kw_only=True):
    """An engine and how it is run. ``needs`` is the module without which it can't be; ``install`` says how to get it.

    ``build`` makes what is not installed as a module, and returns how to get what that lacks; "" when it is there.
    ``apart``: it is in ``PEERS``. ``matches``: it sends each match. ``slow``: it gets fewer lines.
    ``changelog``: its counts are in the changelog of its table, with as many partitions as the source has.
    """

    name: str
    module: str
    how: str
    needs: str = ""
    install: str = ""
    build: Callable[[], str] | None = None
    apart: bool = False
    matches: bool = True
    changelog: bool = False
    slow: bool = False

    @property
    def missing(self) -> str:
        """What has to be done before it can run; "" when it can. The first time it is built for that."""
        if self.build:
            lacking = self.build()
            return f"{self.name} is left out: {lacking}" if lacking else ""
        there = not self.needs or (PEERS / self.needs).is_dir() if self.apart else _importable(self.needs)
        return "" if there else f"{self.name} is left out: {self.install}"


class Ran(Struct, kw_only=True):
    """What one run came to. ``memory_mb`` is the proportional set size, the largest that was seen."""

    name: str
    how: str
    lines: int
    matched: int
    seconds: float
    memory_mb: float
    counts_equal: bool

    @property
    def lines_per_second(self) -> float:
        """Speed."""
        return self.lines / self.seconds

    @property
    def microseconds_per_line(self) -> float:
        """Time a line."""
        return self.seconds / self.lines * 1e6


class Wanted(Struct, frozen=True):
    """What a run has to come to: each window's counts, those of the closing lines among them."""

    lines: int
    counts: Counts
    closed: int
    """Windows from here on, ms since 1970, stay open: the closing lines are in them."""


def _importable(module: str) -> bool:
    return not module or find_spec(module) is not None


async def make_topics(brokers: str, partitions: dict[str, int]) -> None:
    """Make topics whose records the broker stamps."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    stamped = {"message.timestamp.type": "LogAppendTime"}
    try:
        await admin.create_topics(
            [NewTopic(name, count, 1, topic_configs=stamped) for name, count in partitions.items()]
        )
    finally:
        await admin.close()


async def run(engine: Engine, job: Job, wanted: Wanted, stalled_seconds: float = STALLED_SECONDS) -> Ran:
    """Run an engine until all that is wanted is there, or nothing has come for a while; say what there is."""
    topics = {job.matches: 1, job.counts: PARTITIONS if engine.changelog else 1}
    await make_topics(job.brokers, topics)
    wheres = [TopicPartition(topic, number) for topic, count in topics.items() for number in range(count)]
    process = _start(engine, job)
    try:
        async with KafkaLog(Settings(brokers=job.brokers)) as log:
            memory = await _over(log, wheres, process, _outputs(engine, wanted), stalled_seconds)
            records = {where: await _all(log, where) for where in wheres}
    finally:
        _stop(process)
    return _ran(engine, job, wanted, records, memory)


def _start(engine: Engine, job: Job) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    if engine.apart:
        environment["PYTHONPATH"] = os.pathsep.join([str(PEERS), environment.get("PYTHONPATH", "")])
    with (Path(job.directory) / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", engine.module, msgspec.json.encode(job).decode()],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _outputs(engine: Engine, wanted: Wanted) -> int:
    """Return how many records a run has to end in: each match, and each closed window's or each change of a count."""
    matches = wanted.counts.total()
    counts = matches if engine.changelog else sum(window_ms < wanted.closed for window_ms, _, _ in wanted.counts)
    return counts + (matches if engine.matches else 0)


async def _over(
    log: KafkaLog, wheres: list[TopicPartition], process: subprocess.Popen[bytes], outputs: int, stalled_seconds: float
) -> float:
    """Return, when nothing more comes, the largest proportional set size in MB."""
    ends = 0
    same_since, memory = time.monotonic(), 0.0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        memory = max(memory, _memory(process.pid))
        found = sum([(await log.bounds(where))[1] for where in wheres])
        now = time.monotonic()
        if found != ends:
            ends, same_since = found, now
        through = found >= outputs or process.poll() is not None
        patience = QUIET_SECONDS if through else stalled_seconds if found else STALLED_SECONDS
        if now - same_since > patience:
            return memory


def _memory(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_full_info().pss / 1e6)
    except psutil.Error:
        return 0.0


async def _all(log: KafkaLog, where: TopicPartition) -> list[Record]:
    found: list[Record] = []
    position, end = await log.bounds(where)
    while some := await log.read(where, position, end):
        found += some
        position = some[-1].offset + 1
    return found


def _ran(engine: Engine, job: Job, wanted: Wanted, records: dict[TopicPartition, list[Record]], memory: float) -> Ran:
    matches: Counts = Counter()
    windows: Counts = Counter()
    for where, rows in records.items():
        for row in rows:
            if where.topic == job.matches:
                match = msgspec.json.decode(row.value or b"", type=Match)
                matches[match.window_ms, match.service, match.pattern] += 1
            else:
                count = _changed(row) if engine.changelog else msgspec.json.decode(row.value or b"", type=Count)
                windows[count.window_ms, count.service, count.pattern] = count.count
    closed = Counter({key: count for key, count in wanted.counts.items() if key[0] < wanted.closed})
    windows = Counter({key: count for key, count in windows.items() if key[0] < wanted.closed})
    last_ms = max((rows[-1].timestamp for rows in records.values() if rows), default=0)
    began = float(job.began.read_text()) if job.began.exists() else 0.0
    return Ran(
        name=engine.name,
        how=engine.how,
        lines=wanted.lines,
        matched=matches.total() or windows.total(),
        seconds=max(last_ms / 1000 - began, 0.001),
        memory_mb=round(memory, 1),
        counts_equal=windows == closed and (not engine.matches or matches == wanted.counts),
    )


def _changed(row: Record) -> Count:
    """Return the count that a record of Faust's changelog says: the key is [[service, pattern], [begin, end in s]]."""
    (service, pattern), (begin, _) = msgspec.json.decode(row.key or b"")
    return Count(round(begin * 1000), service, pattern, msgspec.json.decode(row.value or b"0"))
