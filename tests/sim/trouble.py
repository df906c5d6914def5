"""What a run is troubled by and when: a seed draws it from the menu of faults; a test may ask for some alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from streams.codec import decode_fact
from streams.core.errors import InputError
from streams.core.slices import Ledger
from streams.ports import Fetched, Outgoing, TopicPartition
from tests.sim.broker import Broker
from tests.sim.cast import SESSION_MS, Group, Host
from tests.sim.kernel import Process, World
from tests.sim.scene import (
    BITTER,
    DEADLY,
    FACTS,
    INBOX_PEOPLE,
    INBOX_WORKERS,
    LOG_PARTITIONS,
    POISON,
    RUBBISH,
    RULE_SETS,
    SERVICES,
    SOURCES,
    TOPICS,
    applied,
    line,
    line_of,
    measurement,
    message,
    policy,
    probe,
)

TROUBLE_MS_MAX: Final = 20_000
HOUR_MS: Final = 3_600_000
ANEW_LOOK_MS: Final = 200
POISON_SHARE: Final = 0.01
POISONS: Final = {POISON: "line that the fold fails on", BITTER: "line that the slicer fails on"}
LOGS: Final = SOURCES[:LOG_PARTITIONS]

FAULTS: Final = (
    "process killed", "process paused", "zombie writes", "rebalance", "detect process comes", "detect process goes",
    "broker restart", "append cut short by a broker restart", "append fails",
    "broker's clock steps an hour", "producers' clock steps an hour", "hosts' clock steps an hour",
    "disk full", "disk read-only", "event-log writer killed in a commit",
    "line that the slicer fails on", "line that the fold fails on", "record that kills its process", "no fact at all",
    "topic made anew", "retention overtakes an outage",
)  # fmt: skip
"""What is counted each time that it meets somebody."""


MENU: Final = frozenset({
    "kills", "pauses", "appends fail", "splits", "slow", "restart", "rebalances", "come and go", "hours", "archive",
    "disk", "disk deaths", "poison", "deadly", "rubbish", "anew", "outage",
})  # fmt: skip
"""What is on the menu and harms; beside it there are things that are only odd."""


class Menu:
    """Which faults a run has: each by its chance, or ``only`` those that are named."""

    def __init__(self, world: World, only: Collection[str] | None) -> None:
        self._world = world
        self._only = only

    def has(self, fault: str, share: float) -> bool:
        """Tell whether a fault is played in this run, as it is in ``share`` of all."""
        drawn = self._world.luck(share)
        return drawn if self._only is None else fault in self._only

    def degree(self, fault: str, *degrees: float) -> float:
        """Return how bad a fault is in this run; without it, 0."""
        drawn = self._world.random.choice(degrees)
        if self._only is None:
            return drawn
        return max(degrees) if fault in self._only else 0.0


class Trouble:
    """Lets producers speak, services break, groups rebalance, and odd things happen, for ``length_ms``."""

    def __init__(
        self,
        world: World,
        broker: Broker,
        menu: Menu,
        length_ms: int,
        groups: Sequence[Group],
        detects: Sequence[tuple[Process, Host]],
        broken: set[str],
    ) -> None:
        self.former: dict[TopicPartition, list[list[Fetched]]] = {}
        """What the log topic held before it was made anew."""
        self.is_anew = False
        """It was made anew, and nobody has said yet that it was meant."""
        self.is_told = False
        """Detect has stopped because of it."""
        self._world = world
        self._broker = broker
        self._menu = menu
        self._length_ms = length_ms
        self._groups = groups
        self._detects = detects
        self._broken = broken
        self.is_deadly = menu.has("deadly", 0.05)
        self._poison = 0.0
        self._is_over = False
        self._silent = False
        """Producers have stopped, for the log topic is to be made anew."""
        self._out: list[Process] = []

    def schedule(self) -> None:
        """Draw what happens and when."""
        world, menu = self._world, self._menu
        at = partial(world.between, 0, self._length_ms)
        self._poison = POISON_SHARE if menu.has("poison", 0.3) else 0.0
        for _ in range(self._share(world.between(20, 60))):
            world.after(at(), self._speak)
        for _ in range(self._share(world.between(5, 20))):
            world.after(at(), self._measure)
        for _ in range(world.between(2, 6)):
            world.after(at() // 2, self._break)
        for _ in range(world.between(0, 6)):
            world.after(at(), self._probe)
        for _ in range(self._share(world.between(0, 8) if menu.has("rebalances", 1.0) else 0)):
            world.after(at(), self._groups[max(world.between(-1, 2), 0)].rebalance)
        for fault, share, action in (
            ("small steps", 0.3, self._step_clock),
            ("hours", 0.1, partial(self.step_hour, "broker")),
            ("hours", 0.1, partial(self.step_hour, "producers")),
            ("hours", 0.1, partial(self.step_hour, "hosts")),
            ("poison", 0.2, partial(self._say, POISON)),
            ("poison", 0.1, partial(self._say, BITTER)),
            ("rubbish", 0.15, self._rubbish),
            ("markers", 0.2, self._marker),
            ("retention", 0.3, self._retention),
            ("configuration", 0.3, self._change_rules),
            ("configuration", 0.2, self._change_policy),
            ("restart", 0.15, self._restart),
            ("come and go", 0.2, self._come),
            ("outage", 0.1, self._outage),
            ("anew", 0.1, self._make_anew),
        ):
            if menu.has(fault, share):
                world.after(at(), action)
        if self.is_deadly:
            world.after(at() // 2, partial(self._say, DEADLY))

    def end(self) -> None:
        """Let what is broken for a while be mended."""
        self._broker.up_at_ms = self._world.now_ms
        self._is_over = True
        self._end_outage()

    def _share(self, count: int) -> int:
        """Return how many of ``count`` events of the longest run fall to one as long as this."""
        return count * self._length_ms // TROUBLE_MS_MAX

    # ---------------------------------------------------------------------------------------------- what is said

    def _speak(self) -> None:
        for _ in range(self._world.between(1, 5)):
            if self._world.luck(self._poison):
                self._say(BITTER if self._world.luck(0.5) else POISON)
            else:
                self._land(line(self._world, self._broker.producer_ms, self._broken))

    def _land(self, out: Outgoing) -> None:
        if not self._silent:
            self._broker.land(out)

    def _say(self, service: str) -> None:
        if service in POISONS:
            self._world.plays(POISONS[service])
        self._land(line_of(service, self._broker.producer_ms))

    def _measure(self) -> None:
        self._broker.land(measurement(self._world, self._broker.producer_ms))

    def _break(self) -> None:
        self._broken.add(SERVICES[self._world.between(0, len(SERVICES) - 1)])

    def _probe(self) -> None:
        self._broker.land(message(INBOX_WORKERS, probe(self._world, self._broker.host_ms, self._broken)))

    def _rubbish(self) -> None:
        self._world.plays("no fact at all")
        self._broker.land(Outgoing(TOPICS.facts, RUBBISH))

    def _change_rules(self) -> None:
        self._broker.land(message(INBOX_PEOPLE, applied(RULE_SETS[1], "rules")))

    def _change_policy(self) -> None:
        self._broker.land(message(INBOX_PEOPLE, applied(policy(self._world), "policy")))

    # ---------------------------------------------------------------------------------------- clocks and the broker

    def _step_clock(self) -> None:
        self._broker.clocks.broker_ms += self._world.random.choice((-5_000, -300, 2_000, 90_000))

    def step_hour(self, whose: str, *ways: int) -> None:
        """Set the clock of ``broker``, ``producers`` or ``hosts`` an hour forward (1) or back (-1)."""
        self._world.plays(f"{whose}' clock steps an hour" if whose.endswith("s") else f"{whose}'s clock steps an hour")
        step_ms = self._world.random.choice(ways or (-1, 1)) * HOUR_MS
        setattr(self._broker.clocks, f"{whose}_ms", getattr(self._broker.clocks, f"{whose}_ms") + step_ms)

    def _restart(self) -> None:
        length_ms = self._world.between(50, 2_000)
        self._broker.restart(length_ms)
        for group in self._groups:
            self._world.after(length_ms + self._world.between(1, 1_000), group.rebalance)

    def _marker(self) -> None:
        if not self._silent:
            self._broker[SOURCES[0]].end += self._world.between(1, 3)

    def _retention(self) -> None:
        partition = self._broker[SOURCES[self._world.between(0, 1)]]
        if self._silent:
            return
        partition.earliest = self._world.between(partition.earliest, partition.end)

    # ------------------------------------------------------------------------------------------ detect comes and goes

    def _come(self) -> None:
        """Let one detect process more join, and later one go: one after the other, as when versions are changed."""
        world, (process, _) = self._world, self._detects[-1]
        world.plays("detect process comes")
        self._groups[0].join(process)
        process.come()
        self._groups[0].rebalance()
        world.after(world.between(200, 4_000), partial(self._go, *self._detects[world.between(1, 2)]))

    def _go(self, process: Process, host: Host) -> None:
        """Let a process give back its partitions and stop, or stop and be missed a session later."""
        world, group = self._world, self._groups[0]
        world.plays("detect process goes")
        if world.luck(0.5):
            group.leave(process)
            group.rebalance()
            world.after(world.between(0, 1_500), partial(self._gone, process, host))
            return
        self._gone(process, host)
        group.leave(process)
        world.after(SESSION_MS, group.rebalance)

    def _gone(self, process: Process, host: Host) -> None:
        process.leave()
        host.positions = {}
        if process in self._out:
            self._out.remove(process)

    def _outage(self) -> None:
        """Stop all detect processes for some time, while producers go on."""
        world = self._world
        self._out = [process for process, _ in self._detects if not process.away]
        for process in self._out:
            process.leave()
        length_ms = world.between(300, 4_000)
        for _ in range(world.between(1, 4)):
            world.after(world.between(0, length_ms), self._speak)
        world.after(length_ms, self._end_outage)

    def _end_outage(self) -> None:
        """Delete some of what was said, mostly beyond what was read, and start the processes again."""
        if not self._out:
            return
        read = self.accounted()
        for where in LOGS:
            partition = self._broker[where]
            if self._world.luck(0.7) and partition.end > partition.earliest and not self._silent:
                partition.earliest = self._world.between(partition.earliest + 1, partition.end)
                if 0 <= read.holding(*where).to_offset < partition.earliest:
                    self._world.plays("retention overtakes an outage")
        for process in self._out:
            process.come()
        self._out = []

    # ------------------------------------------------------------------------------------------- a topic made anew

    def _make_anew(self) -> None:
        """Stop the producers, and make the log topic anew once all of it has been read."""
        broker, read = self._broker, self.accounted()
        records = [broker[where].records for where in LOGS]
        if self._is_over or self.former or not all(records) or any(broker[where].earliest for where in LOGS):
            self._silent = False
            return
        self._silent = True
        if any(read.holding(*where).to_offset != broker[where].records[-1].offset + 1 for where in LOGS):
            self._world.after(ANEW_LOOK_MS, self._make_anew)
            return
        self._world.plays("topic made anew")
        self.former = {where: [old.records] for where, old in broker.recreate(LOGS[0].topic).items()}
        self.is_anew = True

    def accept(self) -> None:
        """Note that somebody said that the new topic is meant: producers go on."""
        self.is_anew = self._silent = False

    def accounted(self) -> Ledger:
        """Return how far the sources are accounted for in the facts."""
        ledger = Ledger()
        for record in self._broker[FACTS].records:
            try:
                ledger.judge(decode_fact(record.value or b""))
            except InputError:
                continue
        return ledger
