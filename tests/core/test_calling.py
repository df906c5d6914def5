"""When specialists are called, who they are, and who says no."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.kinds import SENDING_KINDS
from tests.core.team import (
    CALLED,
    POLICY,
    UNSURE,
    a_world,
    bring_up,
    call,
    held,
    name_of,
    of,
)
from tests.core.world import kinds


def test_a_team_is_called_before_it_is_acted() -> None:
    """A pattern whose team comes at once brings up its specialists, and nothing is done to the service yet."""
    decided = call(a_world())
    assert kinds(decided) == CALLED
    assert decided[0].strategy == "hierarchical"
    assert decided[0].reason == "team at once"
    assert {one.refers_to for one in decided[1:]} == {decided[0].id}


def test_a_milder_case_is_acted_on_alone() -> None:
    """Below the severity from which a team comes at once, the first attempt goes without it."""
    assert kinds(a_world().detect("api", "database_connection")) == ["incident_opened", "commanded"]


def test_after_a_failed_attempt_specialists_are_called() -> None:
    """The second attempt is planned by those whom the pattern's category and team name."""
    world = a_world()
    world.outcome(world.detect("api", "process_crash")[-1].id, ok=False)
    planned = of(world.wait(3), "planned")[0]
    assert planned.reason == "after a failed attempt"
    assert planned.options[0].action == "error-detective+devops-troubleshooter+performance-optimizer"


def test_who_is_unsure_calls_specialists() -> None:
    """When the best option promises less than the policy asks for, it is found out more before anything is done."""
    planned = call(a_world(), pattern=UNSURE)[0]
    assert (planned.kind, planned.reason) == ("planned", "unsure")
    assert kinds(call(a_world(learned_confidence_min=0.1), pattern=UNSURE)) == ["commanded"]


def test_a_spawn_says_what_the_specialist_may_hold() -> None:
    """The command names the specialist, its part, its plan, and what the catalogue gives it."""
    planned, primary, support = call(a_world())[:3]
    assert primary.command is not None
    assert support.command is not None
    assert (primary.command.kind, primary.command.action) == ("spawn", "specialist.spawn")
    assert {one.name: one.value for one in primary.command.arguments} == {
        "specialist": "database-optimizer-001",
        "part": "primary",
        "way": "hierarchical",
        "plan": planned.id,
        "cpu": "0.5",
        "memory_mb": "128",
        "bandwidth_mbps": "20",
        "keep_ms": "45000",
    }
    assert {one.name: one.value for one in support.command.arguments}["part"] == "support"


def test_nobody_is_held_for_more_than_two_hours() -> None:
    """Whatever a policy allows for looks and actions, a pool lets go of a specialist after two hours at the latest."""
    spawned = call(a_world(plan_ms=9_000_000_000, action_timeout_ms=9_000_000_000))[1]
    assert spawned.command is not None
    assert {one.name: one.value for one in spawned.command.arguments}["keep_ms"] == "7200000"


def test_a_look_says_who_looks_at_what() -> None:
    """The command names topic and specialist; those of roles name none."""
    world = a_world()
    survey = call(world)[-1]
    bring_up(world)
    look = of(world.outcome(survey.id), "looked")[0]
    assert survey.command is not None
    assert look.command is not None
    assert (survey.command.kind, survey.command.action, survey.command.arguments) == ("look", "process.survey", ())
    assert [(one.name, one.value) for one in look.command.arguments] == [
        ("topic", "locks"),
        ("specialist", "database-optimizer-001"),
    ]


# ---------------------------------------------------------------------------------------------------------- who says no


@pytest.mark.parametrize("fields", [{"mode": "observe"}, {"protected": True}])
def test_nobody_is_called_for_what_is_only_observed(fields: dict[str, Any]) -> None:
    """A service that may not be acted on gets no plan."""
    assert kinds(call(a_world(fields=fields))) == ["withheld"]


def test_halted_nobody_is_called() -> None:
    """With the kill switch on there is no plan; when it is released, there is one."""
    world = a_world()
    world.halt()
    assert kinds(call(world)) == ["withheld"]
    assert kinds(world.resume()) == ["resumed", *CALLED]


def test_with_automatic_recovery_off_nobody_is_called() -> None:
    """A gate of its own says no, as often as is asked; everything else goes on."""
    world = a_world(automatic_recovery=False)
    decided = call(world)
    assert [(one.kind, one.reason) for one in decided] == [("withheld", "automatic_recovery")]
    assert [(one.value, one.limit) for one in decided[0].gates if not one.passed] == [(0.0, 1.0)]
    assert not set(kinds(world.wait(30))) & SENDING_KINDS
    assert kinds(world.apply("policy", POLICY)) == ["config_applied", *CALLED]


def test_with_coordination_off_it_is_recorded_who_would_be_called() -> None:
    """The plan is written down, nobody is brought up, and it is acted at once."""
    decided = call(a_world(coordination=False))
    assert kinds(decided) == ["planned", "commanded"]
    assert decided[0].reason == "team at once, coordination is off"
    assert decided[1].refers_to == ""


@pytest.mark.parametrize(
    ("limit", "gate"),
    [
        ({"specialists_max": 2}, "specialists"),
        ({"specialists_cpu_max": 1.0}, "specialists_cpu"),
        ({"specialists_memory_max_mb": 351}, "specialists_memory_mb"),
        ({"specialists_bandwidth_max_mbps": 49}, "specialists_bandwidth_mbps"),
    ],
)
def test_a_team_that_would_hold_too_much_is_not_called(limit: dict[str, Any], gate: str) -> None:
    """Each of the four budgets bars every way; it is acted alone, and the plan says which one said no."""
    planned, commanded = call(a_world(**limit))
    assert (planned.strategy, planned.reason) == ("no_plan", "team at once, no room in the budget")
    assert [one.name for one in planned.gates if not one.passed] == [gate]
    assert {one.strategy: (one.barred, one.probability) for one in planned.options} == {
        "hierarchical": ("budget", 0.0),
        "parallel": ("budget", 0.0),
        "no_plan": ("", 1.0),
    }
    assert commanded.kind == "commanded"


@pytest.mark.parametrize(
    "limit",
    [
        {"specialists_max": 3},
        {"specialists_cpu_max": 1.25},
        {"specialists_memory_max_mb": 352},
        {"specialists_bandwidth_max_mbps": 50},
    ],
)
def test_a_team_that_just_fits_is_called(limit: dict[str, Any]) -> None:
    """A budget is what may be held, not what must be left."""
    assert kinds(call(a_world(**limit))) == CALLED


def test_what_others_hold_counts() -> None:
    """The room that a plan takes is missing to the next one, until its specialists are gone."""
    world = a_world("api", "web", "db", specialists_max=4)
    call(world)
    assert of(call(world, "web"), "planned")[0].strategy == "no_plan"
    for name in held(world):
        world.specialist(name, "failed")
    assert kinds(call(world, "db")) == CALLED


# --------------------------------------------------------------------------------------------------------------- names


def test_names_take_the_lowest_number_that_is_free() -> None:
    """Numbers are of the whole fleet, and of one who is gone may be given again."""
    world = a_world("a", "b", "c")
    assert [name_of(one)[-3:] for one in of(call(world, "a"), "spawned")] == ["001"] * 3
    assert [name_of(one)[-3:] for one in of(call(world, "b"), "spawned")] == ["002"] * 3
    world.specialist("performance-optimizer-001", "failed")
    assert [name_of(one) for one in of(call(world, "c"), "spawned")] == [
        "database-optimizer-003",
        "performance-optimizer-001",
        "network-engineer-003",
    ]


def test_a_name_is_free_when_its_bearer_is_gone() -> None:
    """Who was told to go keeps its name until the pool says that it is gone, or ten seconds have passed."""
    world = a_world()
    call(world)
    world.halt()
    assert len(held(world)) == 3
    world.specialist("network-engineer-001", "done")
    assert len(held(world)) == 3
    world.specialist("network-engineer-001", "released")
    assert len(held(world)) == 2
    world.ms += 10_000
    world.normal("api")
    assert held(world) == []
