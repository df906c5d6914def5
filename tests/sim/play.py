"""One run: a seed chooses faults and how long they last, the trouble passes, then all must come to rest and add up."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from msgspec import Struct

from analytics.writer import EventLogWriter
from streams import codec
from streams.agents import decide, reading
from streams.agents.decide import DecideEngine, Keeping
from streams.agents.detect import DetectEngine, SupersededError
from streams.agents.dispatch import DispatchEngine
from streams.core.errors import InvariantError
from streams.ports import Engine, TopicPartition
from streams.runtime import view
from tests.sim import advisors, cast, oracle, trouble, watch
from tests.sim.advisors import Advisors
from tests.sim.archive import Archiver, unthreaded
from tests.sim.broker import Broker, BrokerError, Faults, SimLog, SimSnapshots
from tests.sim.cast import SESSION_MS, Group, Host, Person, Pool, retrying
from tests.sim.deadly import childless, wary_slicers
from tests.sim.kernel import Call, Process, World
from tests.sim.operator import Operator
from tests.sim.oracle import Recording, judge
from tests.sim.scene import (
    CATALOGUE,
    COMMANDS,
    DECISIONS,
    FACTS,
    INBOX_PEOPLE,
    SOURCES,
    TOPICS,
    applied,
    fold_for,
    inventory,
    message,
    policy,
    slicer_for,
    slicer_of,
)
from tests.sim.trouble import TROUBLE_MS_MAX, Menu, Trouble
from tests.sim.watch import Watch

TROUBLE_MS_MIN = 2_000
"""Up to ``TROUBLE_MS_MAX``, the shorter of two draws: what breaks mostly breaks in a short run too."""
CALM_MS = 60_000
LAST_REBALANCE_MS = 3_000
"""Later than any restart, so that everybody is there."""
LOOK_MS = 250
QUIET_LOOKS = 3
TICKED_MS = 2_500
"""An open timer has got its tick by then."""
ARCHIVED = 0.06
"""Share of runs with an event-log writer: it takes as long as five runs without one."""
DECODED_MAX = 4_096
DETECTS = 3
LATECOMER = "detect-2"
"""Comes and goes in some runs, and is not there in the others."""
MEMORY = Path("/dev/shm")
"""A file system in memory, in which a run makes a directory of its own."""


class StoppedError(Exception):
    """Detect has stopped at a topic that was made anew, as it must until somebody says that it was meant."""


class Engines(Struct, frozen=True):
    """The classes under test; a mutation replaces one."""

    detect: Callable[..., Engine] = DetectEngine
    decide: Callable[..., Engine] = DecideEngine
    dispatch: Callable[..., Engine] = DispatchEngine
    writer: Callable[..., EventLogWriter] = EventLogWriter
    wary: bool = True
    """Whether detect notes what it cuts, lest it dies of it for ever."""


class Result(Struct):
    """What became of a seed."""

    seed: int
    violations: list[str]
    facts: int
    decisions: int
    commands: int
    played: Counter[str]
    trace: list[str]


class Chaos:
    """Crashes and pauses, by chance, at any await, until the world is calm."""

    def __init__(self, world: World, menu: Menu) -> None:
        self.crash = menu.degree("kills", 0.0, 0.005, 0.02, 0.05)
        self.pause = menu.degree("pauses", 0.0, 0.001, 0.004)
        self.lease = menu.has("leases", 0.5)
        self.group_of: dict[str, Group] = {}
        self._world = world

    def before_call(self, process: Process) -> None:
        """Let a process crash now or while its call is under way, or fall asleep."""
        drawn = self._world.random.random()
        if drawn < self.crash:
            self._world.plays("process killed")
            if self._world.luck(0.3):
                process.crash("killed")
            else:
                incarnation = process.incarnation
                self._world.after(self._world.between(0, 12), partial(self._kill, process, incarnation))
        elif drawn < self.crash + self.pause:
            self._world.plays("process paused")
            length_ms = self._world.between(500, 3 * SESSION_MS)
            process.pause(length_ms)
            group = self.group_of.get(process.name)
            if group is not None and length_ms > SESSION_MS:
                self._world.after(SESSION_MS, group.rebalance)
                self._world.after(length_ms + self._world.between(1, 500), group.rebalance)
                process.is_zombie = True
            process.lease_lost = self.lease and length_ms > SESSION_MS

    def _kill(self, process: Process, incarnation: int) -> None:
        if process.incarnation == incarnation:
            process.crash("killed")


class Play:
    """All who take part in one run. With ``only``, of what is on the menu just these faults happen."""

    def __init__(self, seed: int, engines: Engines, *, trace: bool, only: Collection[str] | None = None) -> None:
        self.world = world = World(seed, trace=trace)
        self.menu = menu = Menu(world, only)
        self.trouble_ms = min(world.between(TROUBLE_MS_MIN, TROUBLE_MS_MAX) for _ in range(2))
        faults = Faults(
            append_fails=menu.degree("appends fail", 0.0, 0.002, 0.01),
            ack_unknown=menu.degree("odd offsets", 0.0, 0.03),
            read_fails=menu.degree("reads fail", 0.0, 0.002),
            splits=menu.degree("splits", 0.0, 0.3),
            slow=menu.degree("slow", 0.0, 0.05, 0.2),
        )
        self.watch = Watch(world)
        self.broker = Broker(world, faults, self.watch.landed)
        self.chaos = Chaos(world, menu)
        self.broken: set[str] = set()
        self.snapshots = [SimSnapshots(world, menu.degree("snapshots", 0.0, 0.1)) for _ in range(2)]
        self.pool = Pool(world, self.broker, self.broken)
        self.person = Person(world, self.broker)
        self.advisors = Advisors(world, self.broker)
        self.groups: list[Group] = []
        self.hosts: list[Host] = []
        self.processes: list[Process] = []
        self.archiver: Archiver | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._engines = engines
        self._nonces = 0
        self._cast()
        detects = list(zip(self.processes[:DETECTS], self.hosts[:DETECTS], strict=True))
        self.trouble = Trouble(world, self.broker, menu, self.trouble_ms, self.groups, detects, self.broken)
        self._outsiders()

    def _cast(self) -> None:
        log = SimLog(self.broker)
        roles: list[tuple[str, Group, Callable[[Process], Engine]]] = []
        stages: list[tuple[str, Sequence[TopicPartition], Callable[[Process], Engine]]] = [
            ("detect", SOURCES, self._detect),
            ("decide", (FACTS,), self._decide),
            ("dispatch", (DECISIONS,), self._dispatch),
        ]
        for name, partitions, build in stages:
            group = Group(self.world, partitions)
            self.groups.append(group)
            roles += [(f"{name}-{number}", group, build) for number in range(DETECTS if name == "detect" else 2)]
        stale, repeats = self.menu.degree("stale", 0.0, 0.8), self.menu.degree("repeats", 0.0, 0.05)
        expected = (BrokerError, SupersededError, StoppedError)
        for name, group, build in roles:
            host = Host(log, group, build)
            host.stale, host.repeats = stale, repeats
            self.hosts.append(host)
            main = self._stopping(host) if build == self._detect else host.run
            process = Process(self.world, name, main, self.chaos, expected)
            if name == LATECOMER:
                process.away = True
            else:
                group.join(process)
            self.chaos.group_of[name] = group
            self.processes.append(process)

    def _outsiders(self) -> None:
        """Add who is no stage: the pool, people, advisors, and in some runs the event-log writer."""
        roles: dict[str, Callable[[Process], Coroutine[Call, Any, None]]] = {
            "pool": self.pool.run,
            "person": self.person.run,
            "advisors": self.advisors.run,
            "operator": Operator(self.world, self.broker, self.trouble).run,
        }
        if self.menu.has("archive", ARCHIVED):
            directory = self._directory() / "log"
            self.archiver = Archiver(
                self.world, self.broker, self.menu, self.trouble_ms, directory, self._engines.writer
            )
            roles["writer"] = self.archiver.run
        for name, run in roles.items():
            self.processes.append(Process(self.world, name, retrying(run), self.chaos, ()))

    def _directory(self) -> Path:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="logmend-sim-", dir=MEMORY if MEMORY.exists() else None)
        return Path(self._scratch.name)

    def _stopping(self, host: Host) -> Callable[[Process], Coroutine[Call, Any, None]]:
        """Let detect stop at a topic that was made anew, and nobody else at anything."""

        async def run(process: Process) -> None:
            try:
                await host.run(process)
            except InvariantError as error:
                if not (self.trouble.is_anew and "it was made anew" in str(error)):
                    raise
                self.trouble.is_told = True
                raise StoppedError(str(error)) from error

        return run

    def _nonce(self) -> str:
        self._nonces += 1
        return f"n{self._nonces}"

    def _detect(self, process: Process) -> Engine:
        slicers: Callable[..., Any] = slicer_for
        if self._engines.wary and self.trouble.is_deadly:
            slicers = wary_slicers(self._directory() / f"{process.name}.notes", self.world)
        return self._engines.detect(SimLog(self.broker), TOPICS, slicers, str(process), self._nonce)

    def _decide(self, process: Process) -> Engine:
        places = [Keeping(self.snapshots[0], 2_000), Keeping(self.snapshots[1], 7_000)]
        clock_ms = partial(getattr, self.world, "now_ms")
        return self._engines.decide(SimLog(self.broker), TOPICS, places, fold_for, str(process), clock_ms)

    def _dispatch(self, _: Process) -> Engine:
        return self._engines.dispatch(SimLog(self.broker), TOPICS)

    # ------------------------------------------------------------------------------------------------------- the play

    def run(self) -> None:
        """Play the trouble, then the calm; what goes on by itself is judged while everybody is still there."""
        try:
            self._run()
            for claim in self._judged():
                self.world.violated(claim)
        finally:
            if self._scratch is not None:
                self._scratch.cleanup()

    def _run(self) -> None:
        world, broker = self.world, self.broker
        broker.land(message(INBOX_PEOPLE, applied(policy(world), "policy")))
        broker.land(message(INBOX_PEOPLE, applied(inventory(world), "inventory")))
        for process in self.processes:
            process.start()
        for group in self.groups:
            group.rebalance()
        self.trouble.schedule()
        world.run(self.trouble_ms)
        self._calm_down()
        self._rest()

    def _rest(self) -> None:
        """Let time pass until all is worked off."""
        world = self.world
        until_ms = world.now_ms + CALM_MS
        quiet = 0
        while quiet < QUIET_LOOKS and world.now_ms < until_ms and not world.violations:
            world.run(world.now_ms + LOOK_MS)
            quiet = quiet + 1 if self._at_rest() else 0
        if quiet < QUIET_LOOKS and not world.violations:
            world.violated(f"no rest after {CALM_MS} ms of calm: {self._unrest()}")

    def _judged(self) -> Iterator[str]:
        """Yield what is wrong with what goes on by itself: ticks, and the archive."""
        if self.world.violations:
            return
        engine = next((host.engine for host in self.hosts if FACTS in host.positions), None)
        if isinstance(engine, DecideEngine) and engine._fold.timer_open:
            end = self.broker[FACTS].end
            if self.menu.has("hours", 0.2):
                self.trouble.step_hour("hosts", -1)
            self.world.run(self.world.now_ms + TICKED_MS)
            if self.broker[FACTS].end == end:
                yield f"a timer is open, and there was no tick in {TICKED_MS} ms"
            self._rest()
        if self.archiver is not None:
            self.archiver.wait()
            self._rest()
            yield from self.archiver.judge(self.processes[-1])

    def recording(self) -> Recording:
        """Return what is in the topics now."""
        partitions = self.broker.partitions
        return Recording(
            topics=TOPICS,
            sources=SOURCES,
            records={where: partition.records for where, partition in partitions.items()},
            earliest={where: partition.earliest for where, partition in partitions.items()},
            slicer=slicer_of,
            catalogue=CATALOGUE,
            effects=self.pool.effects,
            former=self.trouble.former,
            restores=frozenset(self.world.between(0, self.broker[FACTS].end) for _ in range(2)),
        )

    def _calm_down(self) -> None:
        """No more faults: everybody wakes up and notices where things stand."""
        self.world.note("calm")
        self.chaos.crash = self.chaos.pause = 0.0
        self.broker.faults = Faults()
        self.trouble.end()
        if self.archiver is not None:
            self.archiver.calm()
        self.person.calm = True
        for host in self.hosts:
            host.stale = host.repeats = 0.0
        for process in self.processes:
            process.wake()
        for group in self.groups:
            self.world.after(LAST_REBALANCE_MS, group.rebalance)

    def _at_rest(self) -> bool:
        return not self._unrest()

    def _unrest(self) -> list[str]:
        """Return what is still under way."""
        if self.world.now_ms <= self.trouble_ms + LAST_REBALANCE_MS:
            return ["the last rebalance"]
        read = {where: position for host in self.hosts for where, position in host.positions.items()}
        late = [
            str(where)
            for where in (*SOURCES, FACTS, DECISIONS)
            if self.broker[where].records and read.get(where, 0) <= self.broker[where].records[-1].offset
        ]
        if self.pool.position < self.broker[COMMANDS].end:
            late.append("pool")
        if self.trouble.is_anew:
            late.append("operator")
        return late


@contextmanager
def remembering() -> Iterator[None]:
    """Decode equal bytes once: events are frozen, and every reader of a run decodes the same records."""
    fact = lru_cache(DECODED_MAX)(codec.decode_fact)
    decision = lru_cache(DECODED_MAX)(codec.decode_decision)
    with ExitStack() as stack:
        stack.enter_context(unthreaded())
        stack.enter_context(childless())
        for module in (view, decide, oracle, trouble):
            stack.enter_context(mock.patch.object(module, "decode_fact", fact))
        for module in (reading, watch, cast, advisors):
            stack.enter_context(mock.patch.object(module, "decode_decision", decision))
        yield


def play(
    seed: int, engines: Engines | None = None, *, trace: bool = False, only: Collection[str] | None = None
) -> Result:
    """Run a seed and judge it."""
    run = Play(seed, engines or Engines(), trace=trace, only=only)
    run.run()
    world, broker = run.world, run.broker
    if not world.violations:
        for claim in judge(run.recording()):
            world.violated(claim)
    return Result(
        seed=seed,
        violations=world.violations,
        facts=broker[FACTS].end,
        decisions=broker[DECISIONS].end,
        commands=broker[COMMANDS].end,
        played=world.played,
        trace=world.trace or [],
    )
