"""How many tasks the pool takes and answers: from a person's append to the decision that tells the end of it.

Real ``logmend detect``, ``decide``, ``dispatch`` and ``workers`` on an embedded broker; a task without an action for
each role in turn. Accepted are those that all replicas have; done are those whose ``task_ended`` is in the event log.

    python -m benchmarks.tasks              5 000 tasks, as many as fit at a time
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from benchmarks.recovery import HOST, log_of, serving
from streams.codec import decode_decision
from streams.core.requests import ROLES, TaskSubmitted
from streams.ingest.people import Said, append
from streams.ingest.redact import Redactor
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

BATCH: Final = 500
OPEN_MAX: Final = 4_000
"""Tasks under way at a time, below what the fold takes."""
WARM: Final = 50
ACCEPTED_MIN: Final = 1_000
DONE_MIN: Final = 200
"""What a fleet has to do in a second (SPEC E4)."""
WAIT_SECONDS_MAX: Final = 120.0


class Result(Struct, frozen=True, kw_only=True):
    """What was measured, in tasks a second; ``failed`` are those that did not end well."""

    tasks: int
    accepted_per_second: float
    done_per_second: float
    failed: int
    load_average: float

    @property
    def kept(self) -> bool:
        """Whether the limits of the specification hold."""
        return self.accepted_per_second > ACCEPTED_MIN and self.done_per_second > DONE_MIN and not self.failed


class Hearing:
    """Reads the event log for ends of tasks."""

    def __init__(self, log: KafkaLog, settings: Settings) -> None:
        self._log = log
        self._where = TopicPartition(settings.topics.decisions, 0)
        self._position = 0
        self.ended = 0
        self.failed = 0

    async def wait_for(self, count: int) -> None:
        """Read until so many tasks have ended, or were refused."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while self.ended < count:
                for _, records in await self._log.poll({self._where: self._position}):
                    for record in records:
                        self._position = record.offset + 1
                        self._hear(record.value or b"")

    def _hear(self, value: bytes) -> None:
        decision = decode_decision(value)
        if decision.kind in {"task_ended", "request_refused"}:
            self.ended += 1
            self.failed += not decision.reason.startswith("done ok")


async def submit(log: KafkaLog, settings: Settings, redactor: Redactor, numbers: range) -> None:
    """Append tasks, a batch at a time."""
    for start in range(numbers.start, numbers.stop, BATCH):
        batch = [_task(number) for number in range(start, min(start + BATCH, numbers.stop))]
        await append(log, settings.topics, [Said(one) for one in batch], redactor)


def _task(number: int) -> TaskSubmitted:
    role = ROLES[number % len(ROLES)]
    return TaskSubmitted(
        task_id=f"b{number}", role=role, action="", service="", description_sha256="", author="bench", host=HOST
    )


async def measure(count: int) -> Result:
    """Submit ``count`` tasks and wait for all of them."""
    with tempfile.TemporaryDirectory(prefix="logmend-tasks-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker, log_of(settings, broker.address) as (settings, log):
            await create_topics(settings)
            async with serving(settings, ("detect", "decide", "dispatch", "workers")):
                return await _measured(log, settings, count)


async def _measured(log: KafkaLog, settings: Settings, count: int) -> Result:
    redactor, hearing = Redactor(), Hearing(log, settings)
    await submit(log, settings, redactor, range(WARM))
    await hearing.wait_for(WARM)
    began = time.monotonic()
    accepting = 0.0
    for start in range(0, count, OPEN_MAX):
        stop = min(start + OPEN_MAX, count)
        at = time.monotonic()
        await submit(log, settings, redactor, range(WARM + start, WARM + stop))
        accepting += time.monotonic() - at
        await hearing.wait_for(WARM + stop)
    return Result(
        tasks=count,
        accepted_per_second=round(count / accepting, 1),
        done_per_second=round(count / (time.monotonic() - began), 1),
        failed=hearing.failed,
        load_average=round(os.getloadavg()[0], 2),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=5_000)
    found = asyncio.run(measure(parser.parse_args(arguments).tasks))
    print(json.dumps({**structs.asdict(found), "kept": found.kept}, indent=2))
    return 0 if found.kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
