"""How long it takes until a specialist runs, from its spawn command in the log to ``running`` in the log.

One real ``logmend workers`` on an embedded broker. One after the other is called, looks at a service, and is let go.

    python -m benchmarks.specialists              40 of them, of all kinds in turn
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.recovery import HOST, Times, apply, log_of, print_times, serving, times
from streams.catalogue import teams
from streams.codec import decode_inbox, encode
from streams.core.commands import command_sha256
from streams.core.config import Inventory, canonical
from streams.core.events import Argument, Command, InboxEvent, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.core.reports import SpecialistReported
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.workers.clock import now_ms

COUNT: Final = 40
WARM: Final = 2
WAIT_SECONDS_MAX: Final = 60.0
RUNNING_MS_MAX: Final = 1_000.0
"""From the decision to a specialist that runs: SPEC C5."""
SERVICE: Final = ServiceSpec(name="bench", host=HOST, mode="auto")
STAGES: Final = ("running", "looked", "released")


class Found(Struct, frozen=True, kw_only=True):
    """What was measured: milliseconds from a command in the log to what it leads to in the log, by stage."""

    specialists: int
    stages: dict[str, Times]
    cpu_ms: Times
    memory_mb: Times
    load_average: float

    @property
    def kept(self) -> bool:
        """Whether the limit of the specification holds."""
        return self.stages["running"].max < RUNNING_MS_MAX


class Talk:
    """Says commands as dispatch would, and hears what the pool says of them."""

    def __init__(self, log: KafkaLog, settings: Settings) -> None:
        self._log = log
        self._topics = settings.topics
        self._inbox = TopicPartition(settings.topics.inbox_workers, 0)
        self._heard = 0
        self._seq = 0

    async def begin(self) -> None:
        """Apply the inventory, and wait until the pool is there."""
        await apply(self._log, self._topics, Inventory(services=(SERVICE,)))

    async def ask(self, kind: str, action: str, arguments: dict[str, str]) -> tuple[str, int]:
        """Append a command; return its id and when the broker took it."""
        command = self._command(kind, action, arguments)
        self._seq += 1
        (offset,) = await self._log.append([Outgoing(self._topics.commands, encode(command), HOST.encode())])
        (record,) = await self._log.read(TopicPartition(self._topics.commands, 0), offset, offset + 1)
        return command.id, record.timestamp

    def _command(self, kind: str, action: str, arguments: dict[str, str]) -> Command:
        bare = Command(
            id=f"1-{self._seq}-0",
            seq=self._seq,
            previous_seq=self._seq - 1,
            epoch=1,
            kind=kind,
            incident="1-0-0",
            host=HOST,
            service=SERVICE.name,
            service_type=SERVICE.type,
            strategy="",
            action=action,
            arguments=tuple(Argument(name=name, value=value) for name, value in arguments.items()),
            target=canonical(SERVICE),
            repeatable=True,
            attempt=0,
            timeout_ms=5_000,
            expires_ms=now_ms() + 60_000,
            sha256="",
            approved_by="",
        )
        return msgspec.structs.replace(bare, sha256=command_sha256(bare))

    async def hear(self, wanted: Callable[[InboxEvent], bool]) -> tuple[int, InboxEvent]:
        """Return the next thing said that is wanted, and when the broker took it."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for stamp, event in self._said():
                if wanted(event):
                    return stamp, event
        raise AssertionError

    async def _said(self) -> AsyncIterator[tuple[int, InboxEvent]]:
        while True:
            for _, records in await self._log.poll({self._inbox: self._heard}):
                for record in records:
                    self._heard = record.offset + 1
                    yield record.timestamp, decode_inbox(record.value or b"")


async def measure(count: int) -> Found:
    """Call ``count`` specialists one after the other."""
    with tempfile.TemporaryDirectory(prefix="logmend-specialists-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker, log_of(settings, broker.address) as (settings, log):
            await create_topics(settings)
            talk = Talk(log, settings)
            await talk.begin()
            async with serving(settings, ("workers",)):
                lives = [await _life(talk, number) for number in range(WARM + count)]
    spans, ends = zip(*lives[WARM:], strict=True)
    return Found(
        specialists=count,
        stages={stage: times([span[stage] for span in spans]) for stage in STAGES},
        cpu_ms=times([float(end.cpu_ms) for end in ends]),
        memory_mb=times([end.memory_kb / 1024 for end in ends]),
        load_average=round(os.getloadavg()[0], 2),
    )


async def _life(talk: Talk, number: int) -> tuple[dict[str, float], SpecialistReported]:
    """Have one specialist called, look and let go; return the milliseconds of each, and its last report."""
    row = teams().specialists[number % len(teams().specialists)]
    who = {"specialist": f"{row.name}-001", "plan": f"1-{number}-9"}
    held = {"cpu": str(row.cpu), "memory_mb": str(row.memory_mb), "bandwidth_mbps": str(row.bandwidth_mbps)}
    part = {"part": "primary", "way": "parallel", "keep_ms": "60000"}
    spawn_id, asked_ms = await talk.ask("spawn", "specialist.spawn", {**who, **held, **part})
    running_ms, _ = await talk.hear(_state(who["plan"], "running"))
    await talk.hear(_end_of(spawn_id))
    look = {"topic": "process", "specialist": who["specialist"]} if "process" in row.topics else {"topic": "process"}
    look_id, look_ms = await talk.ask("look", "process.look", look)
    looked_ms, _ = await talk.hear(_end_of(look_id))
    _, release_ms = await talk.ask("release", "specialist.release", who)
    released_ms, last = await talk.hear(_state(who["plan"], "released"))
    if not isinstance(last, SpecialistReported):
        raise TypeError(last)
    spans = (running_ms - asked_ms, looked_ms - look_ms, released_ms - release_ms)
    return dict(zip(STAGES, map(float, spans), strict=True)), last


def _state(plan: str, state: str) -> Callable[[InboxEvent], bool]:
    def wanted(event: InboxEvent) -> bool:
        if not isinstance(event, SpecialistReported) or event.plan != plan:
            return False
        if event.state == "failed":
            raise SystemExit(f"{event.specialist} failed: {event.code}")
        return event.state == state

    return wanted


def _end_of(command_id: str) -> Callable[[InboxEvent], bool]:
    def wanted(event: InboxEvent) -> bool:
        if not isinstance(event, OutcomeReported) or event.command_id != command_id:
            return False
        if not event.ok:
            raise SystemExit(f"{command_id}: {event.status} {event.code}")
        return True

    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when the limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.specialists", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--specialists", type=int, default=COUNT)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = asyncio.run(measure(given.specialists))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        rows = {f"{stage} ms": one for stage, one in found.stages.items()}
        print_times("", {**rows, "cpu ms": found.cpu_ms, "memory MiB": found.memory_mb})
        print(f"{found.specialists} specialists, load average {found.load_average}")
    return 0 if found.kept else 1


if __name__ == "__main__":
    sys.exit(main())
