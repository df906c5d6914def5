"""One run: a seed chooses faults and how long they last, the trouble passes, then all must come to rest and add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from unittest import mock

from msgspec import Struct

from streams import codec
from streams.agents import decide, reading
from streams.agents.decide import DecideEngine, Keeping
from streams.agents.detect import DetectEngine, SupersededError
from streams.agents.dispatch import DispatchEngine
from streams.ports import Engine, Outgoing, TopicPartition
from streams.runtime import view
from tests.sim import advisors, cast, oracle, watch
from tests.sim.advisors import Advisors
from tests.sim.broker import Broker, BrokerError, Faults, SimLog, SimSnapshots
from tests.sim.cast import SESSION_MS, Group, Host, Person, Pool, retrying
from tests.sim.kernel import Process, World
from tests.sim.oracle import Recording, judge
from tests.sim.scene import (
    CATALOGUE,
    COMMANDS,
    DECISIONS,
    FACTS,
    INBOX_PEOPLE,
    INBOX_WORKERS,
    RUBBISH,
    RULE_SETS,
    SERVICES,
    SOURCES,
    TOPICS,
    applied,
    fold_for,
    inventory,
    line,
    measurement,
    message,
    poisonous_line,
    policy,
    probe,
    slicer_for,
    slicer_of,
)
from tests.sim.watch import Watch

TROUBLE_MS_MIN = 2_000
TROUBLE_MS_MAX = 20_000
"""The shorter of two draws: what breaks mostly breaks in a short run too, and more of them are played in a time."""
CALM_MS = 60_000
LAST_REBALANCE_MS = 3_000
"""Later than any restart, so that everybody is there."""
LOOK_MS = 250
QUIET_LOOKS = 3
DECODED_MAX = 4_096


class Engines(Struct, frozen=True):
    """The classes under test; a mutation replaces one."""

    detect: Callable[..., Engine] = DetectEngine
    decide: Callable[..., Engine] = DecideEngine
    dispatch: Callable[..., Engine] = DispatchEngine


class Result(Struct):
    """What became of a seed."""

    seed: int
    violations: list[str]
    facts: int
    decisions: int
    commands: int
    crashes: int
    trace: list[str]


class Chaos:
    """Crashes and pauses, by chance, at any await, until the world is calm."""

    def __init__(self, world: World) -> None:
        self.crash = world.random.choice((0.0, 0.005, 0.02, 0.05))
        self.pause = world.random.choice((0.0, 0.001, 0.004))
        self.lease = world.luck(0.5)
        self.crashes = 0
        self.group_of: dict[str, Group] = {}
        self._world = world

    def before_call(self, process: Process) -> None:
        """Let a process crash now or while its call is under way, or fall asleep."""
        drawn = self._world.random.random()
        if drawn < self.crash:
            self.crashes += 1
            if self._world.luck(0.3):
                process.crash("killed")
            else:
                incarnation = process.incarnation
                self._world.after(self._world.between(0, 12), partial(self._kill, process, incarnation))
        elif drawn < self.crash + self.pause:
            length_ms = self._world.between(500, 3 * SESSION_MS)
            process.pause(length_ms)
            group = self.group_of.get(process.name)
            if group is not None and length_ms > SESSION_MS:
                self._world.after(SESSION_MS, group.rebalance)
                self._world.after(length_ms + self._world.between(1, 500), group.rebalance)
            process.lease_lost = self.lease and length_ms > SESSION_MS

    def _kill(self, process: Process, incarnation: int) -> None:
        if process.incarnation == incarnation:
            process.crash("killed")


class Play:
    """All who take part in one run."""

    def __init__(self, seed: int, engines: Engines, *, trace: bool) -> None:
        self.world = world = World(seed, trace=trace)
        self.trouble_ms = min(world.between(TROUBLE_MS_MIN, TROUBLE_MS_MAX) for _ in range(2))
        luck = world.random.choice
        faults = Faults(
            append_fails=luck((0.0, 0.002, 0.01)),
            ack_unknown=luck((0.0, 0.03)),
            read_fails=luck((0.0, 0.002)),
            splits=luck((0.0, 0.3)),
            slow=luck((0.0, 0.05, 0.2)),
        )
        self.watch = Watch(world)
        self.broker = Broker(world, faults, self.watch.landed)
        self.chaos = Chaos(world)
        self.broken: set[str] = set()
        self.snapshots = [SimSnapshots(world, luck((0.0, 0.1))) for _ in range(2)]
        self.pool = Pool(world, self.broker, self.broken)
        self.person = Person(world, self.broker)
        self.advisors = Advisors(world, self.broker)
        self.groups: list[Group] = []
        self.hosts: list[Host] = []
        self.processes: list[Process] = []
        self._engines = engines
        self._nonces = 0
        self._cast()

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
            roles += [(f"{name}-{number}", group, build) for number in range(2)]
        stale, repeats = self.world.random.choice((0.0, 0.8)), self.world.random.choice((0.0, 0.05))
        for name, group, build in roles:
            host = Host(log, group, build)
            host.stale, host.repeats = stale, repeats
            self.hosts.append(host)
            process = Process(self.world, name, host.run, self.chaos, (BrokerError, SupersededError))
            group.join(process)
            self.chaos.group_of[name] = group
            self.processes.append(process)
        self.processes.append(Process(self.world, "pool", retrying(self.pool.run), self.chaos, ()))
        self.processes.append(Process(self.world, "person", retrying(self.person.run), self.chaos, ()))
        self.processes.append(Process(self.world, "advisors", retrying(self.advisors.run), self.chaos, ()))

    def _nonce(self) -> str:
        self._nonces += 1
        return f"n{self._nonces}"

    def _detect(self, process: Process) -> Engine:
        return self._engines.detect(SimLog(self.broker), TOPICS, slicer_for, str(process), self._nonce)

    def _decide(self, process: Process) -> Engine:
        places = [Keeping(self.snapshots[0], 2_000), Keeping(self.snapshots[1], 7_000)]
        clock_ms = partial(getattr, self.world, "now_ms")
        return self._engines.decide(SimLog(self.broker), TOPICS, places, fold_for, str(process), clock_ms)

    def _dispatch(self, _: Process) -> Engine:
        return self._engines.dispatch(SimLog(self.broker), TOPICS)

    # ------------------------------------------------------------------------------------------------------- the play

    def run(self) -> None:
        """Play the trouble, then the calm."""
        world, broker = self.world, self.broker
        broker.land(message(INBOX_PEOPLE, applied(policy(world), "policy")))
        broker.land(message(INBOX_PEOPLE, applied(inventory(world), "inventory")))
        for process in self.processes:
            process.start()
        for group in self.groups:
            group.rebalance()
        self._schedule()
        world.run(self.trouble_ms)
        self._calm_down()
        quiet = 0
        while quiet < QUIET_LOOKS and world.now_ms < self.trouble_ms + CALM_MS and not world.violations:
            world.run(world.now_ms + LOOK_MS)
            quiet = quiet + 1 if self._at_rest() else 0
        if quiet < QUIET_LOOKS and not world.violations:
            world.violated(f"no rest after {CALM_MS} ms of calm: {self._unrest()}")

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
            restores=frozenset(self.world.between(0, self.broker[FACTS].end) for _ in range(2)),
        )

    def _schedule(self) -> None:
        """Draw when producers speak, services break, groups rebalance, and the odd things happen."""
        world = self.world
        at = partial(world.between, 0, self.trouble_ms)
        for _ in range(self._share(world.between(20, 60))):
            world.after(at(), self._speak)
        for _ in range(self._share(world.between(5, 20))):
            world.after(at(), self._measure)
        for _ in range(world.between(2, 6)):
            world.after(at() // 2, self._break)
        for _ in range(self._share(world.between(0, 8))):
            world.after(at(), self.groups[max(world.between(-1, 2), 0)].rebalance)
        for _ in range(world.between(0, 6)):
            world.after(at(), self._probe)
        for share, action in (
            (0.3, self._step_clock),
            (0.3, self._poison),
            (0.15, self._rubbish),
            (0.2, self._marker),
            (0.3, self._retention),
            (0.3, self._change_rules),
            (0.2, self._change_policy),
        ):
            if world.luck(share):
                world.after(at(), action)

    def _share(self, count: int) -> int:
        """Return how many of ``count`` events of the longest run fall to one as long as this."""
        return count * self.trouble_ms // TROUBLE_MS_MAX

    def _speak(self) -> None:
        for _ in range(self.world.between(1, 5)):
            self.broker.land(line(self.world, self.broker.clock_ms, self.broken))

    def _measure(self) -> None:
        self.broker.land(measurement(self.world, self.broker.clock_ms))

    def _break(self) -> None:
        self.broken.add(SERVICES[self.world.between(0, len(SERVICES) - 1)])

    def _probe(self) -> None:
        self.broker.land(message(INBOX_WORKERS, probe(self.world, self.broker.clock_ms, self.broken)))

    def _step_clock(self) -> None:
        self.broker.clock_step_ms += self.world.random.choice((-5_000, -300, 2_000, 90_000))

    def _poison(self) -> None:
        self.broker.land(poisonous_line(self.broker.clock_ms))

    def _rubbish(self) -> None:
        self.broker.land(Outgoing(TOPICS.facts, RUBBISH))

    def _marker(self) -> None:
        self.broker[SOURCES[0]].end += self.world.between(1, 3)

    def _retention(self) -> None:
        partition = self.broker[SOURCES[self.world.between(0, 1)]]
        partition.earliest = self.world.between(partition.earliest, partition.end)

    def _change_rules(self) -> None:
        self.broker.land(message(INBOX_PEOPLE, applied(RULE_SETS[1], "rules")))

    def _change_policy(self) -> None:
        self.broker.land(message(INBOX_PEOPLE, applied(policy(self.world), "policy")))

    def _calm_down(self) -> None:
        """No more faults: everybody wakes up and notices where things stand."""
        self.world.note("calm")
        self.chaos.crash = self.chaos.pause = 0.0
        self.broker.faults = Faults()
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
        return late


@contextmanager
def remembering() -> Iterator[None]:
    """Decode equal bytes once: events are frozen, and every reader of a run decodes the same records."""
    fact = lru_cache(DECODED_MAX)(codec.decode_fact)
    decision = lru_cache(DECODED_MAX)(codec.decode_decision)
    with ExitStack() as stack:
        for module in (view, decide, oracle):
            stack.enter_context(mock.patch.object(module, "decode_fact", fact))
        for module in (reading, watch, cast, advisors):
            stack.enter_context(mock.patch.object(module, "decode_decision", decision))
        yield


def play(seed: int, engines: Engines | None = None, *, trace: bool = False) -> Result:
    """Run a seed and judge it."""
    run = Play(seed, engines or Engines(), trace=trace)
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
        crashes=run.chaos.crashes,
        trace=world.trace or [],
    )
