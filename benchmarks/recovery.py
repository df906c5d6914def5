"""How long a recovery in process takes: from the decision in the log to the outcome in the log, by stage.

One real ``logmend dispatch`` and one real ``logmend workers`` on an embedded broker. This process says what detect and
decide would: a fact, then the decision that it leads to (fall back to another upstream, degrade, and back). The next
one comes when the outcome of the last is in the inbox.

    python -m benchmarks.recovery              200 recoveries, and 50 rollbacks of a checkpoint of 1 MB
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lab import in_process
from streams.codec import decode_command, decode_inbox, encode
from streams.core.chain import sha256_of
from streams.core.commands import command_sha256
from streams.core.config import Inventory, canonical, sha256
from streams.core.events import Argument, Command, ConfigApplied, Decision, Message, OutcomeReported, Slice, Took
from streams.core.inventory import ServiceSpec, Switch
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.children import Child, children_of
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.topics import Topics
from streams.workers.clock import now_ms

HOST: Final = "bench-host"
SERVICES: Final = 8
WARM: Final = 10
"""Recoveries before the measured ones: connections and imports are made once."""
TURNS: Final = (("fallback", "upstream"), ("degrade", "feature"), ("restore_features", "feature"))
PAUSE_SECONDS: Final = 0.05
WAIT_SECONDS_MAX: Final = 60.0
ROLLBACKS: Final = 50
MEAN_MS_MAX: Final = 37.2
MAX_MS_MAX: Final = 48.9
ROLLBACK_MS_MAX: Final = 25.0
STAGES: Final = ("dispatch", "take", "act", "tell", "total")


class Times(Struct, frozen=True):
    """Milliseconds of one stage."""

    mean: float
    p50: float
    p99: float
    max: float


class Result(Struct, frozen=True, kw_only=True):
    """What was measured. dispatch: decision to command, take: to the action's start, act, tell: to the outcome."""

    recoveries: int
    stages: dict[str, Times]
    rollback_1mb: Times
    load_average: float

    @property
    def kept(self) -> bool:
        """Whether the limits of the specification hold."""
        total = self.stages["total"]
        fast = total.mean < MEAN_MS_MAX and total.max < MAX_MS_MAX
        return fast and self.rollback_1mb.mean < ROLLBACK_MS_MAX


def times(milliseconds: Sequence[float]) -> Times:
    """Return the mean and the quantiles of some durations."""
    ordered = sorted(milliseconds)

    def quantile(share: float) -> float:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)

    return Times(round(sum(ordered) / len(ordered), 2), quantile(0.5), quantile(0.99), round(ordered[-1], 2))


# ------------------------------------------------------------------------------------------------- what is said


def inventory(directory: Path) -> Inventory:
    """Return services that are steered by two switches each."""
    return Inventory(
        services=tuple(
            ServiceSpec(
                name=f"s{number}",
                host=HOST,
                mode="auto",
                switches={
                    "upstream": Switch("upstream", str(directory / f"{number}.upstream"), ("first", "second", "third")),
                    "feature": Switch("feature", str(directory / f"{number}.feature"), ("on", "off")),
                },
            )
            for number in range(SERVICES)
        )
    )


async def apply(log: KafkaLog, topics: Topics, services: Inventory) -> None:
    """Say that an inventory was applied, in the first message of people's inbox."""
    body = canonical(services)
    applied = ConfigApplied(kind="inventory", sha256=sha256(body), author="benchmark", body=body)
    took = Took(source=topics.inbox_people, partition=0, term=1, nonce="n", owner="benchmark")
    said = slice_of(topics, 0, (Message(offset=0, append_ms=now_ms(), event=applied),))
    await log.append([Outgoing(topics.facts, encode(fact)) for fact in (took, said)])


def slice_of(topics: Topics, offset: int, messages: tuple[Message, ...]) -> Slice:
    """Return the fact that people's inbox was read from ``offset`` to the next, with what stood there."""
    return Slice(
        source=topics.inbox_people,
        partition=0,
        term=1,
        from_offset=offset,
        to_offset=offset + 1,
        rules_sha256="",
        lines=1,
        at_max_ms=0,
        append_max_ms=now_ms(),
        messages=messages,
    )


class Speaker:
    """Says facts and decisions as detect and decide would."""

    def __init__(self, log: KafkaLog, settings: Settings, services: Inventory) -> None:
        self._log = log
        self._topics = settings.topics
        self._services = services
        self._facts = 0
        self._seq = 0
        self._head = ""

    async def begin(self) -> None:
        """Apply the inventory."""
        await apply(self._log, self._topics, self._services)
        self._facts = 1

    async def decide(self, verb: str, switch: str) -> tuple[str, int]:
        """Say a fact and the decision that follows; return the command's id and the decision's offset."""
        await self._fact()
        decision = self._decision(self._command(verb, switch))
        self._seq, self._head = self._seq + 1, sha256_of(decision)
        (offset,) = await self._log.append([Outgoing(self._topics.decisions, encode(decision))])
        return decision.id, offset

    async def _fact(self) -> None:
        said = slice_of(self._topics, self._facts, ())
        self._facts += 1
        await self._log.append([Outgoing(self._topics.facts, encode(said))])

    def _command(self, verb: str, switch: str) -> Command:
        spec = self._services.services[self._seq // len(TURNS) % SERVICES]
        bare = Command(
            id=f"1-{self._seq}-0",
            seq=self._seq,
            previous_seq=self._seq - 1,
            epoch=1,
            kind="recovery",
            incident="1-0-0",
            host=HOST,
            service=spec.name,
            service_type="process",
            strategy=verb,
            action=f"process.{verb}",
            arguments=(Argument(name="switch", value=switch),),
            target=canonical(spec),
            repeatable=True,
            attempt=1,
            timeout_ms=5_000,
            expires_ms=now_ms() + 60_000,
            sha256="",
            approved_by="",
        )
        return msgspec.structs.replace(bare, sha256=command_sha256(bare))

    def _decision(self, command: Command) -> Decision:
        return Decision(
            seq=self._seq,
            id=command.id,
            epoch=1,
            facts_offset=self._facts,
            ordinal=0,
            kind="commanded",
            reason="",
            incident=command.incident,
            service=command.service,
            host=HOST,
            pattern="network_timeout",
            category="network",
            severity="error",
            at_ms=now_ms(),
            now_ms=now_ms(),
            append_ms=now_ms(),
            count=1,
            causes=(),
            policy_sha256="",
            rules_sha256="",
            inventory_sha256="",
            confidence=0.5,
            strategy=command.strategy,
            options=(),
            gates=(),
            command=command,
            refers_to="",
            previous_sha256=self._head,
        )


# --------------------------------------------------------------------------------------------------- measuring


@asynccontextmanager
async def serving(settings: Settings, processes: Sequence[str] = ("dispatch", "workers")) -> AsyncIterator[None]:
    """Run processes of Logmend: by default dispatch and the pool."""
    (settings.data_dir / "run").mkdir(parents=True, exist_ok=True)
    children = children_of(settings, processes)
    try:
        for child in children:
            child.start()
        await _ready(children)
        yield
    finally:
        for child in children:
            child.terminate()
        await asyncio.sleep(1.0)
        for child in children:
            child.end()


async def _ready(children: Sequence[Child]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while waiting := [child for child in children if not child.ready]:
        if time.monotonic() > deadline:
            raise SystemExit("\n".join(f"{child.name}: {child.last_words()}" for child in waiting))
        await asyncio.sleep(0.1)


async def recoveries(count: int) -> dict[str, Times]:
    """Have ``count`` recoveries done one after the other; return the times of each stage."""
    with tempfile.TemporaryDirectory(prefix="logmend-recovery-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), host=HOST, dry_run=False, source_partitions=1)
        async with EmbeddedBroker(settings) as broker, log_of(settings, broker.address) as (settings, log):
            await create_topics(settings)
            speaker = Speaker(log, settings, inventory(settings.data_dir))
            await speaker.begin()
            async with serving(settings):
                found = [await _recover(log, settings, speaker, *turn) for turn in _turns(WARM + count)]
    measured = found[WARM:]
    return {stage: times([one[stage] for one in measured]) for stage in STAGES}


@asynccontextmanager
async def log_of(settings: Settings, address: str) -> AsyncIterator[tuple[Settings, KafkaLog]]:
    """Connect to a broker; yield settings that name it, and its log."""
    connected = settings.model_copy(update={"brokers": address})
    async with KafkaLog(connected) as log:
        yield connected, log


def _turns(count: int) -> Iterator[tuple[str, str]]:
    return (TURNS[number % len(TURNS)] for number in range(count))


async def _recover(log: KafkaLog, settings: Settings, speaker: Speaker, verb: str, switch: str) -> dict[str, float]:
    inbox, commands = (TopicPartition(name, 0) for name in (settings.topics.inbox_workers, settings.topics.commands))
    _, heard = await log.bounds(inbox)
    command_id, offset = await speaker.decide(verb, switch)
    told, outcome = await _outcome(log, inbox, heard, command_id)
    if not outcome.ok:
        raise SystemExit(f"{command_id} {verb}: {outcome.status} {outcome.code}")
    (decided,) = await log.read(TopicPartition(settings.topics.decisions, 0), offset, offset + 1)
    sent = (await log.read(commands, offset, offset + 1))[0]
    if decode_command(sent.value or b"").id != command_id:
        raise SystemExit("commands and decisions are not in step")
    await asyncio.sleep(PAUSE_SECONDS)
    marks = (decided.timestamp, sent.timestamp, outcome.started_ms, outcome.finished_ms, told.timestamp)
    spans = [float(later - earlier) for earlier, later in pairwise(marks)]
    return dict(zip(STAGES, (*spans, float(marks[-1] - marks[0])), strict=True))


async def _outcome(
    log: KafkaLog, inbox: TopicPartition, position: int, command_id: str
) -> tuple[Record, OutcomeReported]:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            for _, records in await log.poll({inbox: position}):
                for record in records:
                    position = record.offset + 1
                    event = decode_inbox(record.value or b"")
                    if isinstance(event, OutcomeReported) and event.command_id == command_id:
                        return record, event


def rollbacks(count: int) -> Times:
    """Restore a checkpoint of 1 MB, ``count`` times; what it replaces differs each time."""
    with tempfile.TemporaryDirectory(prefix="logmend-rollback-") as directory:
        return times([span.wall for span in in_process.rollbacks(Path(directory), count)])


def print_times(head: str, rows: Mapping[str, Times]) -> None:
    """Print a table of durations, a row for each."""
    print(f"{head:>14} {'mean':>8} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, one in rows.items():
        print(f"{name:>14} {one.mean:8.2f} {one.p50:8.2f} {one.p99:8.2f} {one.max:8.2f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--recoveries", type=int, default=200)
    parser.add_argument("--rollbacks", type=int, default=ROLLBACKS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = Result(
        recoveries=given.recoveries,
        stages=asyncio.run(recoveries(given.recoveries)),
        rollback_1mb=rollbacks(given.rollbacks),
        load_average=round(os.getloadavg()[0], 2),
    )
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        print_times("ms", {**found.stages, "rollback 1 MB": found.rollback_1mb})
        print(f"{found.recoveries} recoveries, load average {found.load_average}")
    return 0 if found.kept else 1


if __name__ == "__main__":
    sys.exit(main())
