"""Autonomy by evidence: where actions begin, how they fall and climb, and what each level means."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core import autonomy
from streams.core.autonomy import APPROVE, AUTO, SHADOW, Autonomy, bound, earned_by
from streams.core.config import Inventory, Policy
from streams.core.events import CATEGORIES, Decision
from streams.core.inventory import SERVICE_TYPES
from streams.core.learning import Lessons, Where
from tests.core.world import World, kinds, spec

POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=0,
    flapping_ms=0,
    quiet_close_ms=10_000,
    attempts_max=1,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    breaker_failures=1_000,
    budget_per_target=1_000,
    budget_per_service=1_000,
    budget_total=1_000,
    stuck_failures=0,
    coordination=False,
)
CRASH = Where(pattern="process_crash", category="process", service_type="process")
RESTART = "process.restart"
CATALOGUE = strategies()


def a_world(mode: str = "auto", **policy: Any) -> World:
    """Return a world with one service."""
    world = World()
    world.apply("policy", replace(POLICY, **policy))
    world.apply("inventory", Inventory(services=(spec("api", mode=mode),)))
    return world


def of(decisions: list[Decision], kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in decisions if one.kind == kind]


def crash(world: World, *, ok: bool) -> list[Decision]:
    """Let the service crash, agree to the action if that is asked for, and let it help or not."""
    decided = world.detect("api", "process_crash")
    asked = of(decided, "approval_requested")
    if asked:
        decided += world.answer(asked[0], approved=True)
    decided += world.outcome(of(decided, "commanded")[0].id, ok=ok)
    if ok:
        decided += [*world.wait(5), *world.normal("api"), *world.wait(2)]
    return decided + world.wait(12)


def levels(lessons: Lessons, where: Where, action: str, *outcomes: bool) -> list[str]:
    """Return the level after each of some outcomes."""
    found = []
    for success in outcomes:
        lessons.learn(where, action, success=success, forgetting=0.0)
        found.append(earned_by(bound(CATALOGUE, lessons, POLICY, where, action), POLICY))
    return found


def test_everything_that_the_catalogue_offers_begins_at_auto() -> None:
    """Before there are outcomes no shipped fix, and no action without one, has less than the inventory's mode."""
    for fix in CATALOGUE.fixes:
        where = Where(pattern=fix.pattern, category=CATEGORIES[0], service_type=fix.service_type)
        assert earned_by(bound(CATALOGUE, Lessons(), POLICY, where, fix.action), POLICY) == AUTO
    for row in CATALOGUE.actions:
        where = Where(pattern="other", category=CATEGORIES[0], service_type=SERVICE_TYPES[0])
        assert earned_by(bound(CATALOGUE, Lessons(), POLICY, where, row.id), POLICY) == AUTO


def test_failures_in_a_row_cost_what_was_not_earned() -> None:
    """An action that nobody ships as a fix loses auto with the third failure and comes to shadow with the ninth."""
    offered = Where(pattern="other", category="process", service_type="process")
    assert levels(Lessons(), offered, RESTART, *[False] * 9) == [AUTO] * 2 + [APPROVE] * 6 + [SHADOW]


def test_a_sure_fix_falls_later() -> None:
    """A shipped fix with a confidence of 0.95 loses auto with the seventh failure and comes to shadow with the 16th."""
    assert levels(Lessons(), CRASH, RESTART, *[False] * 16) == [AUTO] * 6 + [APPROVE] * 9 + [SHADOW]


def test_what_fell_climbs_again() -> None:
    """One success after three failures brings back what the third one cost."""
    offered = Where(pattern="other", category="process", service_type="process")
    assert levels(Lessons(), offered, RESTART, *[False] * 3, *[True])[2:] == [APPROVE, AUTO]


def test_what_succeeded_often_outlasts_three_failures() -> None:
    """After twenty successes the same action is still at auto after three failures."""
    offered = Where(pattern="other", category="process", service_type="process")
    assert levels(Lessons(), offered, RESTART, *[True] * 20, *[False] * 3)[-1] == AUTO


def test_below_auto_a_person_is_asked() -> None:
    """A restart whose failure cost it auto is not commanded but asked for, and the reason says why."""
    world = a_world(autonomy_auto_min=0.8)
    (changed,) = of(crash(world, ok=False), "autonomy_changed")
    assert changed.reason == f"{RESTART}: auto to approve"
    assert {one.name: one.value for one in changed.figures}["verified_failures"] == 1
    asked = world.detect("api", "process_crash")[-1]
    assert asked.kind == "approval_requested"
    assert asked.reason.endswith("autonomy 0.70 below 0.8")


def test_verified_success_of_approved_actions_brings_auto_back() -> None:
    """A person agrees, it helps, and the next time nobody is asked."""
    world = a_world(autonomy_auto_min=0.72)
    crash(world, ok=False)
    (changed,) = of(crash(world, ok=True), "autonomy_changed")
    assert changed.reason == f"{RESTART}: approve to auto"
    assert "commanded" in kinds(world.detect("api", "process_crash"))


def test_in_shadow_it_is_scored_and_never_chosen() -> None:
    """An option in shadow is recorded with its score and without a probability, even where a rule names it."""
    world = a_world(autonomy_auto_min=0.8, autonomy_approve_min=0.75)
    crash(world, ok=False)
    world.wait(12)
    decided = next(one for one in world.detect("api", "process_crash") if one.options and one.kind != "planned")
    (restart,) = [option for option in decided.options if option.action == RESTART]
    assert (restart.barred, restart.probability) == (SHADOW, 0.0)
    assert decided.command is None or decided.command.action != RESTART
    assert sum(option.probability for option in decided.options) == pytest.approx(1.0)


def test_after_its_time_in_shadow_it_is_asked_for_once() -> None:
    """What comes to shadow is asked for again after ``autonomy_trial_ms``; when that fails, not for as long again."""
    state = Autonomy()
    assert state.settle(CRASH, RESTART, 0.1, 1_000, POLICY) == AUTO
    day = POLICY.autonomy_trial_ms
    assert state.level(CRASH, RESTART, 0.1, 999 + day, POLICY) == SHADOW
    assert state.level(CRASH, RESTART, 0.1, 1_000 + day, POLICY) == APPROVE
    assert state.settle(CRASH, RESTART, 0.1, 2_000 + day, POLICY) == ""
    assert state.level(CRASH, RESTART, 0.1, 1_999 + 2 * day, POLICY) == SHADOW


def test_evidence_never_does_more_than_the_inventory_allows() -> None:
    """A service on approve is asked for whatever its actions have earned."""
    world = a_world("approve")
    for _ in range(3):
        crash(world, ok=True)
    assert kinds(world.detect("api", "process_crash"))[-1] == "approval_requested"


def test_with_the_switch_off_the_mode_alone_counts() -> None:
    """Without autonomy by evidence an action that keeps failing is still done, and no level is told."""
    world = a_world(autonomy=False, autonomy_auto_min=0.8, autonomy_approve_min=0.75)
    for _ in range(3):
        crash(world, ok=False)
    assert of(world.detect("api", "process_crash"), "commanded")
    assert not of(world.decisions, "autonomy_changed")


def test_what_was_never_run_costs_nothing() -> None:
    """A command that no pool took changes no level."""
    world = a_world(autonomy_auto_min=0.8)
    command = of(world.detect("api", "process_crash"), "commanded")[0]
    assert "autonomy_changed" not in kinds(world.outcome(command.id, status="refused", ok=False))


def test_standings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room left a level is neither told nor remembered, and holds all the same."""
    monkeypatch.setattr(autonomy, "STANDINGS_MAX", 1)
    state = Autonomy()
    assert state.settle(CRASH, RESTART, 0.3, 0, POLICY) == AUTO
    assert state.settle(CRASH, "process.start", 0.3, 0, POLICY) == ""
    assert state.level(CRASH, "process.start", 0.3, 0, POLICY) == APPROVE
    assert len(state.standings) == 1
