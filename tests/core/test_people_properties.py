"""Whatever people ask for, in whatever order, some things hold."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.requests import METHODS, STEPS, HealRequested
from tests.core.asking import answer, lift, mute, task
from tests.core.world import World, spec

SERVICES = ("api", "apple", "db")
POLICY = Policy(
    verify_after_ms=5_000, stay_away_ms=5_000, cooldown_ms=1_000, attempts_max=2, quiet_close_ms=60_000, flapping_ms=0
)


class Crowd:
    """Services that break and people who answer, mute and ask, by one seed; ``until_ms`` is when a mute ends."""

    def __init__(self, seed: int) -> None:
        self.luck = random.Random(seed)
        self.world = World()
        self.world.apply("policy", POLICY)
        self.world.apply("inventory", Inventory(services=tuple(spec(name) for name in SERVICES)))
        self.tasks = 0
        self.maintained: dict[str, tuple[str, int]] = {}
        """Service (or the begin of some) and end of each maintenance that holds, by its id."""

    def live(self, turns: int) -> None:
        """Let things happen."""
        for _ in range(turns):
            self.luck.choice(
                (
                    self.break_one,
                    self.break_one,
                    self.report,
                    self.report,
                    self.wait,
                    self.answer,
                    self.mute,
                    self.lift,
                    self.give,
                    self.heal,
                )
            )()

    def break_one(self) -> None:
        """Have a service break."""
        self.see(self.world.detect(self.luck.choice(SERVICES), self.luck.choice(("process_crash", "out_of_memory"))))

    def report(self) -> None:
        """Have the pool say how a command ended, or a service that it is well."""
        commands = [one.command for one in self.world.decisions if one.command is not None]
        if commands and self.luck.random() < 0.6:
            self.see(self.world.outcome(self.luck.choice(commands[-5:]).id, ok=self.luck.random() < 0.5))
        else:
            self.see(self.world.normal(self.luck.choice(SERVICES)))

    def wait(self) -> None:
        """Let time pass."""
        self.see(self.world.wait(self.luck.choice((1, 5, 20, 70))))

    def answer(self) -> None:
        """Take a step on an escalation, known or not."""
        known = [one.id for one in self.world.decisions if one.kind == "escalated"]
        wanted = self.luck.choice([*known[-3:], "1-0-0"])
        method = self.luck.choice((*METHODS, "process.restart", "docker.restart", ""))
        self.see(answer(self.world, wanted, self.luck.choice((*STEPS, "guessed")), method=method, assignee="bob"))

    def mute(self) -> None:
        """Set a mute."""
        service, kind = self.luck.choice((*SERVICES, "a*", "")), self.luck.choice(("silence", "maintenance"))
        seconds = self.luck.choice((1, 10, 60))
        decided = mute(self.world, kind, service=service, seconds=seconds)
        if kind == "maintenance":
            (one,) = [one for one in decided if one.kind == "mute_set"]
            self.maintained[one.id] = (service, self.world.ms + seconds * 1000)
        self.see(decided)

    def lift(self) -> None:
        """Lift a mute that may be over."""
        set_ = [one.id for one in self.world.decisions if one.kind == "mute_set"]
        if set_:
            wanted = self.luck.choice(set_[-3:])
            self.maintained.pop(wanted, None)
            self.see(lift(self.world, wanted))

    def give(self) -> None:
        """Give a task, with or without an action."""
        self.tasks += self.luck.random() < 0.8
        action = self.luck.choice(("", "process.restart"))
        self.see(task(self.world, f"t{self.tasks}", action=action, service=self.luck.choice(SERVICES)))

    def heal(self) -> None:
        """Have the pool healed."""
        self.see(self.world.say(HealRequested(author="ada", reason="")))

    def see(self, decided: list[Decision]) -> None:
        """Hold what was decided now against what is maintained now."""
        for one in decided:
            held = [
                service
                for service, end_ms in self.maintained.values()
                if end_ms > one.append_ms
                and (one.service.startswith("a") if service == "a*" else service in {"", one.service})
            ]
            assert not held or one.kind not in {"commanded", "escalated"}, (one.kind, one.service, held)


@pytest.mark.parametrize("seed", range(25))
def test_people_steer_and_break_nothing(seed: int) -> None:
    """Nothing is acted on or escalated under maintenance; an issue has one open escalation; a task one end."""
    crowd = Crowd(seed)
    crowd.live(150)
    world = crowd.world
    opened: Counter[str] = Counter()
    for one in world.decisions:
        if one.kind == "escalated":
            opened[one.incident] += 1
            assert opened[one.incident] <= 1, one
        if one.kind == "escalation_resolved" or one.kind in {"incident_closed", "incident_merged"}:
            opened[one.incident] = 0
    ends = Counter(one.refers_to for one in world.decisions if one.kind == "task_ended")
    assert set(ends.values()) <= {1}
    assert ends.keys() <= {one.id for one in world.decisions if one.kind == "task_given"}
    given = [one.reason.split()[0] for one in world.decisions if one.kind == "task_given"]
    assert len(given) == len(set(given))
    assert all(one.refers_to for one in world.decisions if one.kind.startswith(("escalation_", "resolution_")))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_people_did_is_folded_to_the_same_bytes(seed: int) -> None:
    """From the beginning, or from a snapshot in the middle, the same facts give the same decisions and state."""
    crowd = Crowd(seed)
    crowd.live(120)
    again, middle = Fold.new(crowd.world.fold._catalogue), len(crowd.world.facts) // 2
    decided = []
    for fact, offset, append_ms in crowd.world.facts:
        if offset == middle:
            again = Fold.restore(again.snapshot(), crowd.world.fold._catalogue)
        decided += again.apply(fact, offset, append_ms)
    assert decided == crowd.world.decisions
    assert again.snapshot() == crowd.world.fold.snapshot()
