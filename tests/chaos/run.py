"""Plays faults on a real fleet under load, lets everything come to rest, and has the oracle judge what is recorded."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from analytics.verify import verify
from streams.codec import decode_command, decode_decision, decode_fact, decode_inbox
from streams.core.errors import InputError
from streams.core.events import LinesLost, OutcomeReported
from streams.core.kinds import SENDING_KINDS
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.chaos import deadly
from tests.chaos.arena import Arena, Timeline, view_of
from tests.chaos.clock import Clock
from tests.chaos.disk import Disk
from tests.chaos.faults import KILLS, ONCE, ZOMBIES, Fault
from tests.chaos.fleet import ROLES, Fleet
from tests.chaos.flight import Flight, Moment, flights, moment
from tests.chaos.load import Load, Rates
from tests.chaos.reading import partitions, read_all, record
from tests.chaos.target import Target
from tests.chaos.visitor import Visitor
from tests.sim.oracle import Recording, judge

REST_SECONDS_MAX = 240.0
QUIET_SECONDS = 3.0
RECOVERED_SECONDS_MAX = 5.0
"""From kill -9 to the first new decision."""
DECIDED_SECONDS_MAX = 900.0


class Plan(Struct, frozen=True):
    """How much is done.

    ``kills`` go round all kinds of processes, ``zombies`` round three; each other fault of the table is played once, or
    only those in ``once``. ``every_seconds`` is the mean time between two. It goes on until ``decisions`` were made.
    """

    kills: int = 25
    zombies: int = 3
    once: tuple[Fault, ...] = ONCE
    every_seconds: float = 3.0
    decisions: int = 0
    rates: Rates = Rates()
    seed: int = 0

    def schedule(self, *, has_disk: bool) -> list[Fault]:
        """Return the faults in the order in which they are played."""
        random = Random(self.seed)
        kills = [KILLS[number % len(KILLS)] for number in range(self.kills)]
        zombies = [ZOMBIES[number % len(ZOMBIES)] for number in range(self.zombies)]
        faults = [*kills, *zombies, *(one for one in self.once if has_disk or not one.needs_disk)]
        random.shuffle(faults)
        return faults


class Played(Struct):
    """A fault that was played: when (seconds since the start), what it did, and how long no decision came after it."""

    at_seconds: float
    name: str
    what: str
    recovery_seconds: float
    flight: Flight


class Report(Struct):
    """What was done, and what the oracle says of it."""

    seconds: float
    lines: int
    facts: int
    decisions: dict[str, int]
    commands: int
    ends: dict[str, int]
    effects: int
    lost: int
    """Records that retention took unread, and that are on record as lost."""
    visits: dict[str, int]
    faults: list[Played]
    left_out: list[str]
    died: list[str]
    violations: list[str]

    @property
    def recovery_seconds(self) -> float:
        """The longest time from a kill to the first new decision."""
        return max((one.recovery_seconds for one in self.faults if one.name.startswith("kill")), default=0.0)


class _Struck(Struct):
    at_seconds: float
    name: str
    what: str
    since: float
    moment: Moment


def settings_in(directory: Path, session_timeout_ms: int = 6_000) -> Settings:
    """Return the settings of a fleet of whose clocks, disks and topics nobody else has anything."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        web_port = int(probe.getsockname()[1])
    return Settings(
        data_dir=directory,
        logs=("logs", "logs.others"),
        source_partitions=4,
        host="chaos-host",
        dry_run=False,
        session_timeout_ms=session_timeout_ms,
        web_port=web_port,
        shed_lag_seconds=0,
    )


Say = Callable[[str], None]
"""Told of each fault when it is over."""


async def chaos(settings: Settings, plan: Plan, say: Say = lambda _: None) -> Report:
    """Run the plan on a broker of its own in the data directory of ``settings``."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of each try while the broker is away
    target = Target(plan.seed)
    clock, disk = Clock(settings.data_dir), Disk(settings.data_dir / "log")
    target.start()
    try:
        with clock.worn(), _deadly():
            async with EmbeddedBroker(settings) as broker:
                settings = settings.model_copy(update={"brokers": broker.address, **_told(settings, target)})
                await create_topics(settings)
                return await _run(settings, plan, broker, clock, disk, target, say)
    finally:
        target.stop()
        disk.remove()


def _told(settings: Settings, target: Target) -> dict[str, Any]:
    """Return the settings with which people are told, by a webhook that the target takes."""
    secret = settings.data_dir / "webhook.secret"
    secret.touch(mode=0o600)
    secret.write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}\n", encoding="ascii")
    return {"webhooks": (f"{target.address}/hook",), "webhook_private": True, "webhook_secret_file": secret}


async def _run(
    settings: Settings, plan: Plan, broker: EmbeddedBroker, clock: Clock, disk: Disk, target: Target, say: Say
) -> Report:
    began = time.monotonic()
    fleet = Fleet(settings, ROLES)
    async with KafkaLog(settings) as log:
        arena = Arena(
            settings=settings,
            broker=broker,
            clock=clock,
            disk=disk,
            fleet=fleet,
            load=Load(settings, target, clock, plan.rates, plan.seed),
            log=log,
            view=view_of(log, settings),
            timeline=Timeline(settings),
            random=Random(plan.seed),
        )
        try:
            await fleet.start()
            visitor = Visitor(settings.web_port)
            faults = plan.schedule(has_disk=disk.mounted)
            async with _beside(arena.timeline.follow()), _beside(visitor.run()), _beside(fleet.keep()):
                struck = await _trouble(arena, plan, faults, say)
                target.broken.clear()
                await _rest(arena)
            fleet.end()
            recording = await record(log, settings, target, arena.kept)
            audit = await verify(settings.data_dir / "log", log, now_ms=clock.now_ms())
        finally:
            fleet.end()
    violations = judge(recording) + [f"verify: {one.file or 'log'}: {one.message}" for one in audit.findings]
    left_out = [one.name for one in plan.once if one.needs_disk and not arena.disk.mounted]
    return _report(recording, struck, arena, visitor, left_out, violations, time.monotonic() - began)


@contextmanager
def _deadly() -> Iterator[None]:
    """Have every slicer that begins meanwhile die of one word."""
    before = os.environ.get("PYTHONPATH")
    here = str(Path(deadly.__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have some work done for ever meanwhile; what ended it is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _trouble(arena: Arena, plan: Plan, faults: list[Fault], say: Say) -> list[_Struck]:
    """Play the faults under load; go on with the load until there are as many decisions as are asked for."""
    stop = asyncio.Event()
    speaking = asyncio.create_task(arena.load.run(stop))
    everything = [where for some in partitions(arena.settings) for where in some]
    began, struck = time.monotonic(), []
    try:
        await _decided(arena, "the start")
        for fault in faults:
            await asyncio.sleep(arena.random.uniform(0.3, 1.7) * plan.every_seconds)
            at = time.monotonic() - began
            ends = await moment(arena.log, arena.settings.data_dir / "log", everything)
            done = await fault.do(arena)
            struck.append(_Struck(at, fault.name, done.what, done.since, ends))
            say(f"{at:6.1f} s  {fault.name}: {done.what}")
            if not fault.name.startswith("kill"):
                await _decided(arena, fault.name)
        await _decided(arena, "the faults")
        async with asyncio.timeout(DECIDED_SECONDS_MAX):
            while arena.timeline.end < plan.decisions:  # noqa: ASYNC110 - the broker has no event to wait for
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await speaking
    return struck


async def _decided(arena: Arena, after: str) -> None:
    """Wait for a new decision. Raises ``TimeoutError`` with what came before and who ended by itself."""
    try:
        await arena.timeline.recovered(time.monotonic())
    except TimeoutError as error:
        raise TimeoutError(f"nothing is decided after {after}; ended by themselves: {arena.fleet.died}") from error


# -------------------------------------------------------------------------------------------------------------- rest


class _Heard:
    """What is in our topics so far, read on at each look."""

    def __init__(self, arena: Arena) -> None:
        self._log = arena.log
        topics = arena.settings.topics
        self._next = {TopicPartition(name, 0): 0 for name in (topics.decisions, topics.commands, topics.inbox_workers)}
        self.decided: set[str] = set()
        self.sent: set[str] = set()
        self.over: set[str] = set()
        self.heard: set[str] = set()

    async def look(self) -> None:
        """Read what came since the last look."""
        for where, take in zip(self._next, (self._decision, self._command, self._inbox), strict=True):
            records = await read_all(self._log, where, self._next[where], (await self._log.bounds(where))[1])
            for one in records:
                take(one.value or b"")
            self._next[where] = records[-1].offset + 1 if records else self._next[where]

    def _decision(self, value: bytes) -> None:
        one = decode_decision(value)
        if one.kind in SENDING_KINDS:
            self.decided.add(one.id)
        elif one.kind == "command_ended":
            self.heard.add(one.refers_to)

    def _command(self, value: bytes) -> None:
        self.sent.add(decode_command(value).id)

    def _inbox(self, value: bytes) -> None:
        event = decode_inbox(value)
        if isinstance(event, OutcomeReported):
            self.over.add(event.command_id)

    def late(self) -> list[str]:
        """Return what is not yet at its end."""
        pairs = (
            ("unsent", self.decided - self.sent),
            ("without an end", self.sent - self.over),
            ("unheard", self.over - self.heard),
        )
        return [f"commands {what}: {sorted(names)[:3]}" for what, names in pairs if names]


async def _rest(arena: Arena) -> None:
    """Wait until every record is accounted for, every command has ended, and no fact comes any more."""
    heard = _Heard(arena)
    sources, _ = partitions(arena.settings)
    known, late = -1, ["facts still come"]
    quiet_since = began = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS or late:
        if time.monotonic() > began + REST_SECONDS_MAX:
            raise TimeoutError(f"no rest: {late}; died: {arena.fleet.died}")
        await asyncio.sleep(0.25)
        late = [] if await arena.read_up_to(sources) else ["records are in no slice"]
        await heard.look()
        late += heard.late()
        if arena.view.directory.facts_offset != known:
            quiet_since, known = time.monotonic(), arena.view.directory.facts_offset


# ------------------------------------------------------------------------------------------------------------ report


def _report(
    recording: Recording,
    struck: list[_Struck],
    arena: Arena,
    visitor: Visitor,
    left_out: list[str],
    violations: list[str],
    seconds: float,
) -> Report:
    topics = recording.topics
    events = [decode_inbox(record.value or b"") for record in recording.of(topics.inbox_workers)]
    ends = {event.command_id: event.status for event in events if isinstance(event, OutcomeReported)}
    kinds = {one.seq: one.kind for one in (decode_decision(r.value or b"") for r in recording.of(topics.decisions))}
    under_way = flights(recording, [one.moment for one in struck])
    return Report(
        seconds=seconds,
        lines=arena.load.appended,
        facts=len(recording.of(topics.facts)),
        decisions=dict(Counter(kinds.values()).most_common()),
        commands=len({decode_command(record.value or b"").seq for record in recording.of(topics.commands)}),
        ends=dict(sorted(Counter(ends.values()).items())),
        effects=sum(recording.effects.values()),
        lost=sum(one.to_offset - one.from_offset for one in _lost(recording) if one.to_offset > one.from_offset),
        visits=dict(sorted(visitor.answers.items())),
        faults=[
            Played(one.at_seconds, one.name, one.what, arena.timeline.recovery(one.since) or 0.0, flight)
            for one, flight in zip(struck, under_way, strict=True)
        ],
        left_out=left_out,
        died=arena.fleet.died,
        violations=violations,
    )


def _lost(recording: Recording) -> Iterator[LinesLost]:
    for one in recording.of(recording.topics.facts):
        try:
            fact = decode_fact(one.value or b"")
        except InputError:
            continue
        if isinstance(fact, LinesLost):
            yield fact
