"""The four phases: what brings an incident from one to the next, and when the clock runs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from tests.core.world import World, kinds, spec

POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=1_000,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    coordination=False,
)


def a_world(fields: dict[str, Any] | None = None, **policy: Any) -> World:
    """Return a world with one service."""
    world = World()
    world.apply("policy", replace(POLICY, **policy))
    world.apply("inventory", Inventory(services=(spec("api", **(fields or {})),)))
    return world


def phases(world: World) -> list[str]:
    """Return the phases that were entered after the first one, with why."""
    said = [one for one in world.decisions if one.kind in {"phase_entered", "escalated"}]
    return [one.reason if one.kind == "phase_entered" else f"4: {one.reason}" for one in said]


def figure(decision: Decision, name: str) -> float:
    """Return a figure of a decision."""
    return next(one.value for one in decision.figures if one.name == name)


def of(world: World, kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in world.decisions if one.kind == kind]


def fail(world: World) -> list[Decision]:
    """Let the newest command fail."""
    return world.outcome(of(world, "commanded")[-1].id, ok=False)


def test_each_of_the_first_three_phases_has_one_attempt() -> None:
    """Three attempts fail, one a phase; the fourth phase is one escalation."""
    world = a_world()
    world.detect("api", "process_crash")
    for _ in range(3):
        fail(world)
        world.wait(10)
    assert [figure(one, "phase") for one in of(world, "commanded")] == [1, 2, 3]
    why = "after a failed attempt, no advisor"
    assert phases(world) == [f"2: {why}", f"3: {why}", "4: attempts used up"]
    assert figure(of(world, "escalated")[0], "phase") == 4


@pytest.mark.parametrize(("attempts_max", "expected"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 3, 3])])
def test_another_number_of_attempts_leaves_phases_out_or_stays_in_the_third(
    attempts_max: int, expected: list[int]
) -> None:
    """With fewer than three attempts a person is asked sooner; those beyond three belong to the third phase."""
    world = a_world(attempts_max=attempts_max, breaker_failures=9, cooldown_factor=1.0)
    world.detect("api", "process_crash")
    for _ in range(attempts_max):
        fail(world)
        world.wait(10)
    assert [figure(one, "phase") for one in of(world, "commanded")] == expected
    assert len(of(world, "escalated")) == 1


def test_the_closing_says_which_phase_solved_it() -> None:
    """An incident that the second attempt healed was solved in phase 2."""
    world = a_world()
    world.detect("api", "process_crash")
    fail(world)
    world.wait(2)
    world.outcome(of(world, "commanded")[-1].id)
    world.wait(5)
    world.normal("api")
    (closed,) = [one for one in world.wait(2) if one.kind == "incident_closed"]
    assert (closed.reason, figure(closed, "phase")) == ("healed", 2)


def test_the_clock_stands_while_an_action_and_its_verification_run() -> None:
    """Twenty seconds until an outcome and a verification after it cost no time of a phase of five seconds."""
    world = a_world(phase1_ms=5_000, phase2_ms=5_000)
    world.detect("api", "process_crash")
    world.wait(20)
    world.outcome(of(world, "commanded")[-1].id)
    world.wait(4)
    world.detect("api", "process_crash")
    assert phases(world) == ["2: after a failed attempt, no advisor"]
    assert figure(of(world, "phase_entered")[0], "phase_clock_ms") == 0


def test_the_clock_stands_while_a_guardrail_says_no() -> None:
    """A service that is held back for two minutes is still in phase 1 when it may be acted on."""
    world = a_world()
    world.halt()
    world.detect("api", "process_crash")
    world.wait(120)
    assert figure(next(one for one in world.resume() if one.kind == "commanded"), "phase") == 1


def test_the_clock_stands_while_a_person_is_asked() -> None:
    """An approval that takes ten minutes leaves the incident in phase 1."""
    world = a_world({"mode": "approve"})
    world.detect("api", "process_crash")
    world.wait(600)
    (sent,) = world.answer(of(world, "approval_requested")[0], approved=True)
    assert (figure(sent, "phase"), figure(sent, "phase_clock_ms")) == (1, 0)


def test_a_phase_whose_time_is_over_is_left_without_an_attempt() -> None:
    """Specialists who look for longer than phase 1 lasts go on in phase 2, and it has the attempt."""
    world = a_world(coordination=True, phase1_ms=3_000, plan_ms=8_000)
    world.detect("api", "database_connection", severity="critical")
    assert kinds(world.wait(2)) == []
    assert [one.reason for one in world.wait(1)] == ["2: its time is over, no advisor"]
    entered = of(world, "phase_entered")[0]
    assert figure(entered, "phase_clock_ms") == 3_000
    world.wait(6)
    assert [figure(one, "phase") for one in of(world, "commanded")] == [2]


def test_an_incident_whose_phases_are_over_is_given_to_a_person() -> None:
    """When the time of all three is over while specialists look, they are let go and a person is asked."""
    world = a_world(coordination=True, phase1_ms=1_000, phase2_ms=1_000, phase3_ms=1_000, plan_ms=60_000)
    world.detect("api", "database_connection", severity="critical")
    for _ in range(3):
        world.specialist("database-optimizer-001", "running")
        world.wait(1)
    assert phases(world)[2:] == ["4: its time is over"]
    assert "plan_ended" in kinds(world.decisions)
    assert not of(world, "commanded")


def test_what_promises_too_little_is_passed_on_without_an_attempt() -> None:
    """A service that nothing can be done on goes through phases 2 and 3 to a person at once."""
    world = a_world({"type": "http"})
    world.detect("api", "disk_full")
    why = "no action promises more"
    assert phases(world) == [f"2: {why}, no advisor", f"3: {why}, no advisor", f"4: {why}"]


def test_a_service_that_flaps_begins_where_it_was() -> None:
    """The second incident of a pattern within the hour begins in phase 2: the quick fix did not last."""
    world = a_world()
    world.detect("api", "process_crash")
    world.outcome(of(world, "commanded")[-1].id)
    world.wait(5)
    world.normal("api")
    world.wait(2)
    world.detect("api", "process_crash")
    assert phases(world) == ["2: it broke again within 3600 s, no advisor"]
    assert figure(of(world, "commanded")[-1], "phase") == 2
