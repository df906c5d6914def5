"""How long it takes until a specialist runs, from its spawn command in the log to ``running`` in the log.

One real ``logmend workers`` on an embedded broker. As many as a plan has are called at once, of all kinds in turn, look
at a service together, and are let go; then the pool has a while to itself.

    python -m benchmarks.specialists                        3 at once, ten times, from spares
    python -m benchmarks.specialists --pause 0              the same without the time that spares need to come
    python -m benchmarks.specialists --at-once 6            more than there are spares
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
from streams.core.teams import SpecialistRow
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.workers.clock import now_ms

RUSHES: Final = 10
AT_ONCE: Final = 3
PAUSE_SECONDS: Final = 10.0
"""Spares for all that come at once are there after this long: ``rest_seconds`` each."""
WAIT_SECONDS_MAX: Final = 60.0
RUNNING_MS_MAX: Final = 1_000.0
"""From the decision to a specialist that runs: SPEC C5."""
SERVICE: Final = ServiceSpec(name="bench", host=HOST, mode="auto")
STAGES: Final = ("running", "looked", "released")


class Found(Struct, frozen=True, kw_only=True):
    """What was measured: milliseconds from a command in the log to what it leads to in the log, by stage."""

    rushes: int
    at_once: int
    pause_seconds: float
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
        self._seq = -1

    async def begin(self) -> None:
        """Apply the inventory, and wait until the pool is there."""
        await apply(self._log, self._topics, Inventory(services=(SERVICE,)))

    async def ask(self, action: str, given: Sequence[dict[str, str]]) -> list[tuple[str, int]]:
        """Append commands at once, one for each of the arguments; return their ids and when the broker took them."""
        commands = [self._command(action.rpartition(".")[2], action, arguments) for arguments in given]
        records = [Outgoing(self._topics.commands, encode(command), HOST.encode()) for command in commands]
        offsets = await self._log.append(records)
        taken = await self._log.read(TopicPartition(self._topics.commands, 0), offsets[0], offsets[-1] + 1)
        return [(command.id, record.timestamp) for command, record in zip(commands, taken, strict=True)]

    def _command(self, kind: str, action: str, arguments: dict[str, str]) -> Command:
        self._seq += 1
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

    async def hear(self, wanted: Sequence[Callable[[InboxEvent], bool]]) -> list[tuple[int, InboxEvent]]:
        """Return the first thing said from now on that each wants, and when the broker took it."""
        found: dict[int, tuple[int, InboxEvent]] = {}
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for stamp, event in self._said():
                found |= {one: (stamp, event) for one, wants in enumerate(wanted) if one not in found and wants(event)}
                if len(found) == len(wanted):
                    break
        return [found[one] for one in range(len(wanted))]

    async def _said(self) -> AsyncIterator[tuple[int, InboxEvent]]:
        while True:
            for _, records in await self._log.poll({self._inbox: self._heard}):
                for record in records:
                    self._heard = record.offset + 1
                    yield record.timestamp, decode_inbox(record.value or b"")


async def measure(rushes: int, at_once: int, pause_seconds: float) -> Found:
    """Call ``at_once`` specialists so many times."""
    with tempfile.TemporaryDirectory(prefix="logmend-specialists-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker, log_of(settings, broker.address) as (settings, log):
            await create_topics(settings)
            talk = Talk(log, settings)
            await talk.begin()
            async with serving(settings, ("workers",)):
                await _rush(talk, 0, 1)  # the first look of a pool takes longer
                lives = []
                for number in range(1, rushes + 1):
                    await asyncio.sleep(pause_seconds)
                    lives += await _rush(talk, number, at_once)
    spans, ends = zip(*lives, strict=True)
    return Found(
        rushes=rushes,
        at_once=at_once,
        pause_seconds=pause_seconds,
        stages={stage: times([span[stage] for span in spans]) for stage in STAGES},
        cpu_ms=times([float(end.cpu_ms) for end in ends]),
        memory_mb=times([end.memory_kb / 1024 for end in ends]),
        load_average=round(os.getloadavg()[0], 2),
    )


async def _rush(talk: Talk, number: int, at_once: int) -> list[tuple[dict[str, float], SpecialistReported]]:
    """Have specialists called, look and let go, all at once; return the milliseconds of each, and its last report."""
    kinds = teams().specialists
    rows = [kinds[(number * at_once + place) % len(kinds)] for place in range(at_once)]
    who = [{"specialist": f"{row.name}-{place:03d}", "plan": f"1-{number}-{place}"} for place, row in enumerate(rows)]
    asked = await talk.ask("specialist.spawn", [one | _held(row) for one, row in zip(who, rows, strict=True)])
    heard = await talk.hear([*(_state(one["plan"], "running") for one in who), *(_end_of(one) for one, _ in asked)])
    looks = [
        {"topic": "process", **({"specialist": one["specialist"]} if "process" in row.topics else {})}
        for one, row in zip(who, rows, strict=True)
    ]
    sent = await talk.ask("process.look", looks)
    looked = await talk.hear([_end_of(one) for one, _ in sent])
    dismissed = await talk.ask("specialist.release", who)
    gone = await talk.hear([_state(one["plan"], "released") for one in who])
    stages = zip(_spans(asked, heard), _spans(sent, looked), _spans(dismissed, gone), strict=True)
    reports = [event for _, event in gone if isinstance(event, SpecialistReported)]
    return [(dict(zip(STAGES, each, strict=True)), last) for each, last in zip(stages, reports, strict=True)]


def _held(row: SpecialistRow) -> dict[str, str]:
    held = {"cpu": str(row.cpu), "memory_mb": str(row.memory_mb), "bandwidth_mbps": str(row.bandwidth_mbps)}
    return {**held, "part": "primary", "way": "parallel", "keep_ms": "60000"}


def _spans(sent: Sequence[tuple[str, int]], heard: Sequence[tuple[int, InboxEvent]]) -> list[float]:
    """Return the milliseconds from each command to what was heard of it."""
    return [float(stamp - asked_ms) for (_, asked_ms), (stamp, _) in zip(sent, heard, strict=False)]


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
    parser.add_argument("--rushes", type=int, default=RUSHES)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS, help="seconds between two rushes")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = asyncio.run(measure(given.rushes, given.at_once, given.pause))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        rows = {f"{stage} ms": one for stage, one in found.stages.items()}
        print_times("", {**rows, "cpu ms": found.cpu_ms, "memory MiB": found.memory_mb})
        print(f"{found.rushes} times {found.at_once} specialists, load average {found.load_average}")
    return 0 if found.kept else 1


if __name__ == "__main__":
    sys.exit(main())
