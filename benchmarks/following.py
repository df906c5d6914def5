"""Runs ``logmend detect`` as it is over lines on a broker, and reads the facts that it appended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import psutil

from streams.codec import decode_fact
from streams.core.events import Slice, Took
from streams.core.slices import Ledger, Verdict
from streams.ports import Record, TopicPartition
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

WAIT_SECONDS_MAX: Final = 600
LOOK_SECONDS: Final = 0.5
QUIET_LOOKS: Final = 4
"""The facts are read when they have not grown for so many looks: detect has the processors to itself till then."""


async def detect(settings: Settings, count: int) -> tuple[list[Slice], float, float]:
    """Run detect until ``count`` lines are in accepted slices.

    Returns them, the seconds from its first Took to its last slice (both stamped by the broker), and its proportional
    set size in MB. Raises ``SystemExit`` when it ends before, or takes too long.
    """
    process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything runs beside it
        [sys.executable, "-m", "streams.cli", "detect", "--instance", "w1"],
        env={**os.environ, **_environment(settings)},
        stderr=subprocess.DEVNULL,
    )
    try:
        async with KafkaLog(settings) as log:
            slices, seconds = await _follow(log, TopicPartition(settings.topics.facts, 0), process, count)
        return slices, seconds, psutil.Process(process.pid).memory_full_info().pss / 1e6
    finally:
        process.terminate()
        process.wait(20)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "LOGMEND_DATA_DIR": str(settings.data_dir),
        "LOGMEND_BROKERS": settings.brokers,
        "LOGMEND_FLEET": settings.fleet,
        "LOGMEND_LOGS": ",".join(settings.logs),
        "LOGMEND_METRICS": ",".join(settings.metrics),
    }


async def _follow(
    log: KafkaLog, facts: TopicPartition, process: subprocess.Popen[bytes], count: int
) -> tuple[list[Slice], float]:
    ledger, slices, position, lines, took_ms = Ledger(), list[Slice](), 0, 0, 0
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while lines < count:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"detect accounted for {lines} of {count} lines and then stopped ({process.poll()})")
        for record in await _appended(log, facts, position):
            position = record.offset + 1
            fact = decode_fact(record.value or b"")
            accepted = ledger.judge(fact) is Verdict.ACCEPTED
            if isinstance(fact, Took):
                took_ms = took_ms or record.timestamp
            elif isinstance(fact, Slice) and accepted:
                slices.append(fact)
                lines, last_ms = lines + fact.lines, record.timestamp
    return slices, (last_ms - took_ms) / 1000


async def _appended(log: KafkaLog, facts: TopicPartition, position: int) -> Sequence[Record]:
    """Return what was appended from ``position`` on, once nothing more comes."""
    looks, last = 0, position
    while looks < QUIET_LOOKS:
        await asyncio.sleep(LOOK_SECONDS)
        _, end = await log.bounds(facts)
        looks, last = (looks + 1 if end == last else 0), end
    found: list[Record] = []
    while some := await log.read(facts, position, last):
        found += some
        position = some[-1].offset + 1
    return found
