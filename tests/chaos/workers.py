"""``python -m tests.chaos.workers``: kills the pool's manager, workers and specialists under load, and counts.

Each service has its next command as soon as the last one has an outcome: restarts (each start leaves its command's id),
fallbacks (each moves a switch on by one), calls, which may not be repeated (the target counts them by their key), and
specialists, each of which is called, looks and is let go: none may be lost sight of, and none come twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil
from msgspec import Struct, field

from streams.codec import decode_inbox, encode
from streams.core.events import Command, OutcomeReported
from streams.core.inventory import ServiceSpec, Switch
from streams.core.reports import SpecialistReported
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.workers.roles import ROLES, SPARE
from tests.chaos.fleet import Fleet
from tests.chaos.target import Target
from tests.workers.facts import Facts, inventory
from tests.workers.fleet import name_of
from tests.workers.kit import command, end_services, process_spec, starts
from tests.workers.plans import ASKED

KINDS: Final = ("restart", "fallback", "call", "specialist")
OF_EACH: Final = 4
VALUES: Final = tuple(f"v{number}" for number in range(997))
"""So many that where a switch stands says how often it was moved."""
EXPIRE_MS: Final = 600_000
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "restart": {"action": "process.restart", "arguments": {"grace_ms": "100"}},
    "fallback": {"action": "process.fallback", "arguments": {"switch": "upstream"}},
    "call": {"action": "http.call", "arguments": {"call": "heal"}},
}
"""What is commanded of the other kinds."""
REST_SECONDS_MAX: Final = 60.0
BACK_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.02
ENDS: Final = frozenset({"failed", "released"})
LIFE: Final = ("spawn", "look", "release")
"""What is commanded of a specialist, one after the other, again and again."""


class Plan(Struct, frozen=True):
    """How many kills, how many seconds apart on average, and which of the random choices."""

    kills: int = 200
    every_seconds: float = 0.8
    seed: int = 0


class Counts(Struct):
    """What became of the commands of one kind. ``lost``: done, it says, or no end at all, and no effect."""

    sent: int = 0
    done: int = 0
    in_doubt: int = 0
    other: int = 0
    lost: int = 0
    doubled: int = 0


class Report(Struct):
    """What was killed, how long the killed were away, and what became of the commands."""

    killed: dict[str, int] = field(default_factory=lambda: {"manager": 0, "worker": 0, "specialist": 0})
    under_way: int = 0
    """Commands that were under way at the kills."""
    away_seconds: dict[str, list[float]] = field(default_factory=lambda: {"manager": [], "worker": []})
    reported_seconds: list[float] = []
    """From the kill of a specialist until it was reported failed."""
    counts: dict[str, Counts] = field(default_factory=lambda: {kind: Counts() for kind in KINDS})
    contradicted: int = 0
    """Commands with two different ends."""

    @property
    def broken(self) -> bool:
        """Whether a promise was not kept."""
        late = any(seconds > BACK_SECONDS_MAX for some in self.away_seconds.values() for seconds in some)
        return late or bool(self.contradicted) or any(one.lost or one.doubled for one in self.counts.values())


class Load:
    """One command at a time for each service, in one chain.

    ``sent`` and ``ends`` are by the command's id, ``lives`` (what was reported of a specialist) by its plan. ``steps``
    are the commands about a service's specialist, ``LIFE`` after ``LIFE``; the first of each is its plan. ``is_going``
    once a command of each kind was done: from then on kills hit more than the first ones.
    """

    def __init__(self, log: KafkaLog, settings: Settings, root: Path, target: Target) -> None:
        self.sent: dict[str, tuple[str, Command]] = {}
        self.ends: dict[str, set[OutcomeReported]] = {}
        self.lives: dict[str, set[SpecialistReported]] = {}
        self.steps: dict[str, list[str]] = {}
        self.is_going = asyncio.Event()
        self._done: set[str] = set()
        self.services = {kind: [_spec(kind, settings.host, root, target, n) for n in range(OF_EACH)] for kind in KINDS}
        self._log = log
        self._topics = settings.topics

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set, then wait until every command has its end."""
        inbox, position = TopicPartition(self._topics.inbox_workers, 0), 0
        free = [(kind, spec) for kind, specs in self.services.items() for spec in specs]
        deadline = 0.0
        while not stop.is_set() or len(self.ends) < len(self.sent):
            if not stop.is_set():
                await self._send(free)
                free = []
            elif not deadline:
                deadline = time.monotonic() + REST_SECONDS_MAX
            elif time.monotonic() > deadline:
                return
            for _, records in await self._log.poll({inbox: position}):
                position = records[-1].offset + 1
                free += [item for record in records for item in self._hear(record.value or b"")]

    async def _send(self, free: list[tuple[str, ServiceSpec]]) -> None:
        for kind, spec in free:
            seq = len(self.sent)
            expires_ms = time.time_ns() // 1_000_000 + EXPIRE_MS
            fields = self._of_life(spec, seq) if kind == "specialist" else OTHERS[kind]
            asked = command(spec, seq=seq, previous_seq=seq - 1, expires_ms=expires_ms, **fields)
            self.sent[asked.id] = kind, asked
            await self._log.append([Outgoing(self._topics.commands, encode(asked), spec.host.encode())])

    def _of_life(self, spec: ServiceSpec, seq: int) -> dict[str, Any]:
        """Return what is commanded next of a service's specialist: it is called, looks, is let go, and so on."""
        steps = self.steps[spec.name] = [*self.steps.get(spec.name, ()), f"1-{seq}-0"]
        kind, plan = LIFE[(len(steps) - 1) % len(LIFE)], steps[(len(steps) - 1) // len(LIFE) * len(LIFE)]
        who = {"specialist": f"database-optimizer-{int(spec.name[-1]) + 1:03d}"}
        arguments = {
            "spawn": {**ASKED, **who, "plan": plan},
            "look": {**who, "topic": "process"},
            "release": {**who, "plan": plan},
        }
        action = "process.look" if kind == "look" else f"specialist.{kind}"
        return {"action": action, "kind": kind, "arguments": arguments[kind]}

    def _hear(self, value: bytes) -> Iterator[tuple[str, ServiceSpec]]:
        """Note what was said; yield the service that is free now."""
        event = decode_inbox(value)
        if isinstance(event, SpecialistReported):
            self.lives.setdefault(event.plan, set()).add(event)
        if not isinstance(event, OutcomeReported):
            return
        known = self.ends.setdefault(event.command_id, set())
        kind, asked = self.sent[event.command_id]
        self._done |= {kind} if event.status == "done" else set()
        if self._done == set(KINDS):
            self.is_going.set()
        if not known:
            yield kind, next(spec for spec in self.services[kind] if spec.name == asked.service)
        known.add(event)


def _spec(kind: str, host: str, root: Path, target: Target, number: int) -> ServiceSpec:
    name = f"{kind}-{number}"
    if kind == "restart":
        return process_spec(root, name, host=host)
    if kind == "specialist":
        return ServiceSpec(name=name, host=host, mode="auto", pid_file=str(root / f"{name}.pid"))
    if kind == "fallback":
        switch = Switch("upstream", str(root / f"{name}.upstream"), VALUES)
        return ServiceSpec(name=name, host=host, mode="auto", switches={"upstream": switch})
    calls = {"heal": f"POST /heal/{name}"}
    return ServiceSpec(name=name, host=host, mode="auto", type="http", base_url=target.address, calls=calls)


# ----------------------------------------------------------------------------------------------------- killing


async def campaign(settings: Settings, plan: Plan) -> Report:
    """Run a plan on the broker of ``settings``."""
    await create_topics(settings)
    root = settings.data_dir / "services"
    root.mkdir()
    fleet, report, stop = Fleet(settings, ("workers",)), Report(), asyncio.Event()
    with _serving(plan.seed) as target:
        async with KafkaLog(settings) as log:
            load = Load(log, settings, root, target)
            await Facts(log, settings).say(inventory(*(spec for some in load.services.values() for spec in some)))
            try:
                await fleet.start()
                await _first_beat(log, settings)
                sending = asyncio.create_task(load.run(stop))
                async with asyncio.timeout(REST_SECONDS_MAX):
                    await load.is_going.wait()
                await _kill_all(fleet, plan, load, report)
                stop.set()
                keeping = asyncio.create_task(fleet.keep())
                await sending
                keeping.cancel()
            finally:
                fleet.end()
                end_services(root)
        _count(report, load, root, target)
    return report


@contextmanager
def _serving(seed: int) -> Iterator[Target]:
    target = Target(seed)
    target.start()
    try:
        yield target
    finally:
        target.stop()


async def _first_beat(log: KafkaLog, settings: Settings) -> None:
    """Wait until the pool has begun: what came before a new journal would be in doubt."""
    while not await log.poll({TopicPartition(settings.topics.heartbeats, 0): 0}):
        pass


async def _kill_all(fleet: Fleet, plan: Plan, load: Load, report: Report) -> None:
    random = Random(plan.seed)
    while sum(report.killed.values()) < plan.kills:
        await asyncio.sleep(random.uniform(0.0, 2.0) * plan.every_seconds)
        workers, specialists = _workers(fleet), _specialists(fleet)
        which = random.random()
        if which < 0.4:
            await _kill_manager(fleet, load, report)
        elif which < 0.7 and workers:
            await _kill_worker(fleet, random.choice(workers), load, report)
        elif specialists:
            await _kill_specialist(random.choice(specialists), load, report)


async def _kill_manager(fleet: Fleet, load: Load, report: Report) -> None:
    report.under_way += len(load.sent) - len(load.ends)
    began = time.monotonic()
    old = {one.pid for one in _workers(fleet)}
    if fleet.kill("workers"):
        report.killed["manager"] += 1
    await _until_back(fleet, old)
    report.away_seconds["manager"].append(time.monotonic() - began)


async def _kill_worker(fleet: Fleet, victim: psutil.Process, load: Load, report: Report) -> None:
    report.under_way += len(load.sent) - len(load.ends)
    began = time.monotonic()
    victim.kill()
    report.killed["worker"] += 1
    await _until_back(fleet, {victim.pid})
    report.away_seconds["worker"].append(time.monotonic() - began)


async def _kill_specialist(victim: psutil.Process, load: Load, report: Report) -> None:
    """Kill one, and wait until it is reported; one that was about to leave is reported as gone."""
    report.under_way += len(load.sent) - len(load.ends)
    began, known = time.monotonic(), _deaths(load)
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.kill()
        report.killed["specialist"] += 1
    while time.monotonic() < began + BACK_SECONDS_MAX / 2:
        if _deaths(load) > known:
            report.reported_seconds.append(time.monotonic() - began)
            return
        await asyncio.sleep(LOOK_SECONDS)


def _deaths(load: Load) -> int:
    return sum(one.code == "died" for life in load.lives.values() for one in life)


async def _until_back(fleet: Fleet, dead: AbstractSet[int]) -> None:
    """Look after the pool until every role has its worker, and none of them is a dead one."""
    while len(pids := {one.pid for one in _workers(fleet)}) < len(ROLES) or pids & dead:
        await asyncio.sleep(LOOK_SECONDS)
        fleet.look_after()


def _workers(fleet: Fleet) -> list[psutil.Process]:
    """Return the living workers of roles."""
    return [one for one, name in _children(fleet) if name in ROLES]


def _specialists(fleet: Fleet) -> list[psutil.Process]:
    """Return the living specialists."""
    return [one for one, name in _children(fleet) if name not in {*ROLES, SPARE}]


def _children(fleet: Fleet) -> list[tuple[psutil.Process, str]]:
    """Return the living workers of the manager, each with the name that it works under."""
    try:
        found = psutil.Process(fleet.children["workers"].state.pid).children()
        living = [one for one in found if one.status() != psutil.STATUS_ZOMBIE]
    except psutil.Error:  # one of them has just died
        return []
    return [(one, name) for one in living if (name := name_of(one))]


# ---------------------------------------------------------------------------------------------------- counting


def _count(report: Report, load: Load, root: Path, target: Target) -> None:
    report.contradicted = sum(len(ends) > 1 for ends in load.ends.values())
    effects = Counter(one for spec in load.services["restart"] for one in starts(root, spec.name))
    effects.update(target.effects)
    for command_id, (kind, _) in load.sent.items():
        counts = report.counts[kind]
        statuses = {end.status for end in load.ends.get(command_id, ())}
        counts.sent += 1
        counts.done += statuses == {"done"}
        counts.in_doubt += statuses == {"in_doubt"}
        counts.other += not statuses <= {"done", "in_doubt"}
        if kind in {"fallback", "specialist"}:
            counts.lost += not statuses
        else:
            counts.lost += not statuses or (statuses == {"done"} and not effects[command_id])
            counts.doubled += effects[command_id] > 1
    for spec in load.services["fallback"]:
        _count_moves(report.counts["fallback"], spec, load)
    for steps in load.steps.values():
        _count_lives(report.counts["specialist"], steps, load)


def _count_lives(counts: Counts, steps: Sequence[str], load: Load) -> None:
    """Count specialists who were let go and of whom nobody said that they ended, and those who came twice."""
    for number, plan in enumerate(steps):
        if number % len(LIFE):
            continue
        life = load.lives.get(plan, set())
        let_go = len(steps) >= number + len(LIFE)
        counts.lost += let_go and not any(one.state in ENDS for one in life)
        counts.doubled += len([one for one in life if one.state == "spawned"]) > 1


def _count_moves(counts: Counts, spec: ServiceSpec, load: Load) -> None:
    """Compare where a switch stands with how often it was to be moved; one move in doubt may have been made."""
    content = Path(spec.switches["upstream"].file)
    moved = VALUES.index(content.read_text("utf-8").strip()) if content.exists() else 0
    ends = [load.ends.get(one, set()) for one, (_, asked) in load.sent.items() if asked.service == spec.name]
    done = sum(any(end.status == "done" for end in some) for some in ends)
    doubtful = sum(any(end.status == "in_doubt" for end in some) for some in ends)
    counts.lost += max(done - moved, 0)
    counts.doubled += max(moved - done - doubtful, 0)


def lines_of(report: Report) -> Iterator[str]:
    """Return a report as text."""
    for who, seconds in report.away_seconds.items():
        longest = max(seconds, default=0.0)
        mean = sum(seconds) / max(len(seconds), 1)
        yield f"{who} killed {report.killed[who]} times; away {mean:.2f} s on average, {longest:.2f} s at most"
    longest = max(report.reported_seconds, default=0.0)
    told = f"{len(report.reported_seconds)} of them reported failed, after {longest:.2f} s at most"
    yield f"specialist killed {report.killed['specialist']} times; {told}"
    yield f"{report.under_way} commands were under way at the kills"
    yield f"{'':10} {'sent':>7} {'done':>7} {'in doubt':>9} {'other':>7} {'lost':>7} {'doubled':>7}"
    for kind, one in report.counts.items():
        yield (f"{kind:10} {one.sent:7} {one.done:7} {one.in_doubt:9} {one.other:7} {one.lost:7} {one.doubled:7}")
    yield f"{report.contradicted} commands with two different ends"


def main() -> int:
    """Parse the arguments, run, print; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.workers", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", type=float, default=0.8, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logmend-kills-", ignore_cleanup_errors=True) as directory:
        report = asyncio.run(_alone(Path(directory), Plan(given.kills, given.every, given.seed)))
    print(*lines_of(report), sep="\n")  # noqa: T201 - this command's output
    return int(report.broken)


async def _alone(directory: Path, plan: Plan) -> Report:
    """Run a plan on a broker of its own."""
    settings = Settings(data_dir=directory, source_partitions=1, host="chaos-host", dry_run=False)
    async with EmbeddedBroker(settings) as broker:
        return await campaign(settings.model_copy(update={"brokers": broker.address}), plan)


if __name__ == "__main__":
    sys.exit(main())
