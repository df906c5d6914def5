"""Kills real processes under load, lets everything come to rest, and has the oracle judge what is in the topics."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random

from msgspec import Struct

from analytics.verify import verify
from streams.codec import decode_command, decode_decision, decode_inbox
from streams.core.directory import Directory
from streams.core.events import OutcomeReported
from streams.core.kinds import SENDING_KINDS
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.view import FactsView
from streams.settings import Settings
from tests.chaos.fleet import ROLES, Fleet
from tests.chaos.flight import Flight, Kill, archived, ends_of, in_flight
from tests.chaos.load import Load
from tests.chaos.reading import partitions, read_all, record
from tests.chaos.target import Target
from tests.sim.oracle import Recording, judge

REST_SECONDS_MAX = 240.0
QUIET_SECONDS = 3.0


class Plan(Struct, frozen=True):
    """How much is done. ``every_seconds`` is the mean time between two kills."""

    kills: int = 10
    every_seconds: float = 3.0
    lines_per_second: int = 5_000
    seed: int = 0


class Report(Struct):
    """What was done, and what the oracle says of it."""

    seconds: float
    lines: int
    facts: int
    decisions: int
    commands: int
    ends: dict[str, int]
    effects: int
    kills: list[tuple[Kill, Flight]]
    died: list[str]
    violations: list[str]


async def chaos(settings: Settings, plan: Plan) -> Report:
    """Run the plan on the broker of ``settings``."""
    began = time.monotonic()
    await create_topics(settings)
    target, fleet = Target(plan.seed), Fleet(settings, ROLES)
    load = Load(settings, target, plan.lines_per_second, plan.seed)
    target.start()
    try:
        async with KafkaLog(settings) as log:
            await fleet.start()
            kills = await _trouble(settings, plan, log, fleet, load)
            await _rest(settings, log, fleet, target)
            fleet.end()
            recording = await record(log, settings, target)
            audit = await verify(settings.data_dir / "log", log, now_ms=time.time_ns() // 1_000_000)
    finally:
        fleet.end()
        target.stop()
    violations = judge(recording) + [f"verify: {one.file or 'log'}: {one.message}" for one in audit.findings]
    return _report(recording, kills, fleet, load, violations, time.monotonic() - began)


async def _trouble(settings: Settings, plan: Plan, log: KafkaLog, fleet: Fleet, load: Load) -> list[Kill]:
    """Kill processes at random moments under load."""
    random, stop = Random(plan.seed), asyncio.Event()
    speaking, keeping = asyncio.create_task(load.run(stop)), asyncio.create_task(fleet.keep())
    began = time.monotonic()
    victims = _victims(list(fleet.children), plan.kills, random)
    kills: list[Kill] = []
    everything = [where for some in partitions(settings) for where in some]
    try:
        for name in victims:
            await asyncio.sleep(random.uniform(0.3, 1.7) * plan.every_seconds)
            kill = Kill(
                at_seconds=time.monotonic() - began,
                name=name,
                ends=await ends_of(log, everything),
                archived=archived(settings.data_dir / "log"),
            )
            if fleet.kill(name):
                kills.append(kill)
        await asyncio.sleep(plan.every_seconds)
    finally:
        stop.set()
        keeping.cancel()
        await speaking
    return kills


def _victims(names: list[str], kills: int, random: Random) -> list[str]:
    """Return who is killed: everybody in turn, in random order."""
    victims: list[str] = []
    while len(victims) < kills:
        victims += random.sample(names, len(names))
    return victims[:kills]


async def _rest(settings: Settings, log: KafkaLog, fleet: Fleet, target: Target) -> None:
    """Wait until every record is accounted for, every command has ended, and no fact comes any more."""
    keeping = asyncio.create_task(fleet.keep())
    target.broken.clear()
    view = FactsView(log, settings.topics, Directory())
    deadline = time.monotonic() + REST_SECONDS_MAX
    quiet_since, known = time.monotonic(), -1
    late = ["facts still come"]
    try:
        while time.monotonic() - quiet_since < QUIET_SECONDS or (late := await _late(settings, log, view)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no rest: {late}; died: {fleet.died}")
            await asyncio.sleep(0.25)
            await view.refresh()
            if view.directory.facts_offset != known:
                quiet_since, known = time.monotonic(), view.directory.facts_offset
    finally:
        keeping.cancel()


async def _late(settings: Settings, log: KafkaLog, view: FactsView) -> list[str]:
    """Return what is not yet at its end."""
    topics = settings.topics
    sources, _ = partitions(settings)
    ends = await ends_of(log, sources)
    late = [
        f"{where.topic}/{where.partition}: {ends[where] - done}"
        for where in sources
        if (done := max(view.directory.ledger.holding(*where).to_offset, 0)) < ends[where]
    ]

    async def whole(topic: str) -> list[bytes]:
        where = TopicPartition(topic, 0)
        return [record.value or b"" for record in await read_all(log, where, *await log.bounds(where))]

    decisions = [decode_decision(value) for value in await whole(topics.decisions)]
    decided = {one.id for one in decisions if one.kind in SENDING_KINDS}
    sent = {decode_command(value).id for value in await whole(topics.commands)}
    events = [decode_inbox(value) for value in await whole(topics.inbox_workers)]
    over = {event.command_id for event in events if isinstance(event, OutcomeReported)}
    heard = {one.refers_to for one in decisions if one.kind == "command_ended"}
    for what, names in (("unsent", decided - sent), ("without an end", sent - over), ("unheard", over - heard)):
        if names:
            late.append(f"commands {what}: {sorted(names)[:3]}")
    return late


def _report(
    recording: Recording, kills: list[Kill], fleet: Fleet, load: Load, violations: list[str], seconds: float
) -> Report:
    topics = recording.topics
    events = [decode_inbox(record.value or b"") for record in recording.of(topics.inbox_workers)]
    ends = {event.command_id: event.status for event in events if isinstance(event, OutcomeReported)}
    return Report(
        seconds=seconds,
        lines=load.appended,
        facts=len(recording.of(topics.facts)),
        decisions=len({decode_decision(record.value or b"").seq for record in recording.of(topics.decisions)}),
        commands=len({decode_command(record.value or b"").seq for record in recording.of(topics.commands)}),
        ends=dict(sorted(Counter(ends.values()).items())),
        effects=sum(recording.effects.values()),
        kills=[(kill, in_flight(recording, kill)) for kill in kills],
        died=fleet.died,
        violations=violations,
    )


def lines_of(report: Report) -> list[str]:
    """Return a report as text."""
    rows = [f"{'s':>6}  {'killed':10} {'source':>9} {'facts':>9} {'decisions':>9} {'commands':>9} {'unarchived':>10}"]
    rows += [
        f"{kill.at_seconds:6.1f}  {kill.name:10} {f.source_bytes:9} {f.fact_bytes:9} {f.decision_bytes:9} "
        f"{f.command_bytes:9} {f.archive_bytes:10}"
        for kill, f in report.kills
    ]
    ends = ", ".join(f"{count} {status}" for status, count in report.ends.items())
    rows.append(
        f"{len(report.kills)} kills, {report.lines} lines, {report.facts} facts, {report.decisions} decisions, "
        f"{report.commands} commands ({ends}), {report.effects} effects at the target, {report.seconds:.0f} s"
    )
    rows += [f"ended by itself: {one}" for one in report.died]
    rows += report.violations
    rows.append(f"{len(report.violations)} violations")
    return rows
