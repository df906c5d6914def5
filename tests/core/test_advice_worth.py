"""What advisors are worth over many incidents: good ones help at once, hostile ones cost little and not for long."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from streams.core.advice import ADVISORS
from streams.core.config import Inventory, Policy
from tests.core.world import World, of_kind, spec

ACTIONS = ("process.rollback_config", "process.restart", "process.start")
SHARES = (0.5, 0.3, 0.2)
"""How often each of them is the one that helps: what the rules try first helps half of the time."""
SEEDS = (1, 2, 3)
MANY = 1_000_000
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=1_000,
    cooldown_factor=1.0,
    flapping_ms=0,
    quiet_close_ms=20_000,
    blast_radius_share=1.0,
    budget_per_target=MANY,
    budget_per_service=MANY,
    budget_total=MANY,
    breaker_failures=MANY,
    stuck_failures=0,
    autonomy=False,
    prediction=False,
    coordination=False,
)
Says = Callable[[str, Random], tuple[str, float]]
"""From what would help (and chance) to the action that an advisor names, and its confidence."""


def good(truth: str, chance: Random) -> tuple[str, float]:
    """Name what helps four times out of five, else anything."""
    return (truth if chance.random() < 0.8 else chance.choice(ACTIONS)), 0.9


def hostile(action: str) -> Says:
    """Return advisors that always name the same, as sure as can be, and all three alike."""
    return lambda _truth, _chance: (action, 1.0)


def healed(says: Says | None, incidents: int, seed: int = 1) -> list[bool]:
    """Return which of some incidents were healed without a person."""
    chance, world = Random(seed), World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api"),)))
    return [_is_healed(world, says, chance) for _ in range(incidents)]


def _is_healed(world: World, says: Says | None, chance: Random) -> bool:
    truth = chance.choices(ACTIONS, SHARES)[0]
    if says is not None:
        world.advisors()
    begin = len(world.decisions)
    world.detect("api", "configuration_error")
    while not of_kind(world.decisions[begin:], "incident_closed"):
        _go_on(world, begin, says, truth, chance)
    return not of_kind(world.decisions[begin:], "escalated")


def _go_on(world: World, begin: int, says: Says | None, truth: str, chance: Random) -> None:
    """Answer a question, end an action, or let a second pass in which the service says that it lives."""
    new = world.decisions[begin:]
    over = {one.refers_to for one in new if one.kind in {"advice_settled", "command_ended"}}
    waits = [one for one in new if one.kind in {"advice_asked", "commanded"} and one.id not in over]
    if not waits:
        world.wait(1)
        world.normal("api")
    elif waits[-1].command is not None:
        world.outcome(waits[-1].id, ok=waits[-1].command.action == truth)
    elif says is not None:
        for advisor in ADVISORS if waits[-1].reason == "three" else ADVISORS[-1:]:
            world.opine(advisor, *says(truth, chance), suspect="api")


@pytest.fixture(scope="module")
def alone() -> list[list[bool]]:
    """Return what the rules heal alone, in three courses of events."""
    return [healed(None, 80, seed) for seed in SEEDS]


def test_good_advisors_heal_what_the_rules_have_not_learnt_yet(alone: list[list[bool]]) -> None:
    """With advisors that are right four times out of five, hardly any of the first thirty incidents needs a person."""
    advised = healed(good, 30)
    assert sum(advised) >= sum(alone[0][:30])
    assert sum(advised) >= 29


@pytest.mark.parametrize("action", ["process.stop", "process.start"])
def test_hostile_advisors_cost_little_and_not_for_long(alone: list[list[bool]], action: str) -> None:
    """Three that always name what is not offered, or seldom helps, cost a few incidents, and later none."""
    advised = [healed(hostile(action), 80, seed) for seed in SEEDS]
    assert _helped(alone, 0, 30) - _helped(advised, 0, 30) <= 5
    assert _helped(advised, 30, 80) >= _helped(alone, 30, 80) - 1


def _helped(courses: list[list[bool]], begin: int, end: int) -> int:
    return sum(sum(course[begin:end]) for course in courses)
