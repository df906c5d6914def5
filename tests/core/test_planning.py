"""Plans in the fold: what is done with reports and findings, and when a plan goes on."""

from __future__ import annotations

from typing import Any

import pytest

from streams.catalogue import strategies
from streams.core.fold import Fold
from tests.core.team import (
    a_world,
    bring_up,
    call,
    explored,
    finish_looks,
    held,
    name_of,
    of,
    option,
)
from tests.core.world import kinds

# ------------------------------------------------------------------------------------------------------------ findings


def test_a_finding_changes_the_choice() -> None:
    """What was found speaks for an action, and the reason of the decision says so."""
    without = explored(a_world(), "configuration_changed", 0.0)
    speaking = explored(a_world(), "configuration_changed", 1.0)
    assert without.command is not None
    assert speaking.command is not None
    assert (without.command.action, without.reason) == (
        "process.restart",
        "rule:scale_down, departed to process.restart: nothing that the rule names can be done",
    )
    assert speaking.command.action == "process.rollback_config"
    assert speaking.reason.startswith("rule:scale_down, configuration_changed=1, departed to process.rollback_config: ")
    for action in ("process.rollback_config", "process.restart"):
        rises = option(speaking, action).expected_success - option(without, action).expected_success
        assert (rises > 0) == (action == "process.rollback_config")


def test_the_act_belongs_to_its_plan() -> None:
    """The command is a normal one: an attempt that counts, and refers to the plan."""
    world = a_world()
    commanded = explored(world, "configuration_changed", 1.0)
    assert commanded.command is not None
    assert (commanded.command.kind, commanded.command.attempt) == ("recovery", 1)
    assert commanded.refers_to == of(world.decisions, "planned")[0].id
    assert len(world.fold._state.guard.issued) == 1


STRANGE: dict[str, dict[str, Any]] = {
    "an unknown code": {"code": "made_up"},
    "not a number": {"value": float("nan")},
    "infinite": {"value": float("inf")},
    "another command": {"command_id": "1-999-0"},
    "another host": {"host": "h2"},
    "another topic": {"code": "locks_held"},
    "another service": {"service": "web"},
}


@pytest.mark.parametrize("what", sorted(STRANGE))
def test_a_stranger_s_finding_changes_nothing(what: str) -> None:
    """A finding that is not of our look, or is no finding, is not kept."""
    world = a_world()
    survey = call(world)[-1]
    given = {"command_id": survey.id, "code": "process_alive", "value": 1.0, **STRANGE[what]}
    world.found(given.pop("command_id"), given.pop("code"), given.pop("value"), **given)
    (incident,) = world.fold._state.incidents.by_id.values()
    assert incident.plan is not None
    assert incident.plan.findings == {}


@pytest.mark.parametrize("fields", [{"host": "h2"}, {"plan": "1-999-0"}, {"state": "gone"}])
def test_a_stranger_s_report_changes_nothing(fields: dict[str, Any]) -> None:
    """Who is of another plan or host, or in no state that there is, is none of ours."""
    world = a_world()
    call(world)
    before = world.fold._state.roster.held.copy()
    world.specialist("database-optimizer-001", **{"state": "failed", **fields})
    (incident,) = world.fold._state.incidents.by_id.values()
    assert incident.plan is not None
    assert incident.plan.members[0].state == "spawned"
    assert world.fold._state.roster.held == before


# ------------------------------------------------------------------------------------------------------------ going on


def test_all_steps_over_is_a_synchronisation() -> None:
    """The plan acts in the fact in which the last look ends."""
    world = a_world()
    call(world)
    bring_up(world)
    decided = finish_looks(world)
    assert kinds(decided)[-3:] == ["command_ended", "synchronised", "commanded"]
    assert decided[-2].reason == "9 of 9 steps, 0 findings"


def test_a_plan_does_not_wait_longer_than_it_may() -> None:
    """After plan_ms it is acted on what there is, to the second."""
    world = a_world()
    call(world)
    bring_up(world)
    assert not of(world.wait(9), "synchronised")
    assert kinds(world.wait(1)) == ["synchronised", "commanded"]


def test_a_lost_outcome_costs_no_more_than_the_plan_s_time() -> None:
    """A look that never ends is too late, and the plan says so; its late outcome changes nothing."""
    world = a_world()
    survey = call(world)[-1]
    bring_up(world)
    synchronised = of(world.wait(10), "synchronised")[0]
    assert "too late: survey by architect" in synchronised.reason
    assert kinds(world.outcome(survey.id)) == ["command_ended"]


def test_who_is_never_heard_of_is_lost_after_five_seconds() -> None:
    """A silent specialist is told to go, in case that it is there; with all of them lost nothing is waited for."""
    world = a_world()
    call(world)
    world.specialist("network-engineer-001", "spawned")
    assert kinds(world.wait(4)) == []
    assert [name_of(one) for one in of(world.wait(1), "released")] == [
        "database-optimizer-001",
        "performance-optimizer-001",
    ]
    assert kinds(world.specialist("network-engineer-001", "failed")) == ["synchronised", "commanded"]


@pytest.mark.parametrize(("status", "freed"), [("refused", 1), ("expired", 1), ("in_doubt", 0)])
def test_a_spawn_that_fails_is_a_member_lost(status: str, freed: int) -> None:
    """What was never brought up holds nothing; what may be there is told to go."""
    world = a_world()
    spawned = call(world)[1]
    effect = "unknown" if status == "in_doubt" else "none"
    decided = world.outcome(spawned.id, status=status, ok=False, effect=effect)
    assert kinds(decided)[1:] == ([] if freed else ["released"])
    assert len(held(world)) == 3 - freed


def test_a_spawn_that_ended_well_is_a_member_that_runs() -> None:
    """The outcome of a spawn says as much as the report, whichever comes first."""
    world = a_world()
    decided = call(world)
    world.outcome(decided[1].id, effect="none")
    assert of(world.outcome(decided[-1].id), "looked")[0].reason == "locks by database-optimizer-001"


def test_reports_that_come_twice_change_nothing() -> None:
    """The same reports, findings and outcomes again lead to no further decision."""
    world = a_world()
    survey = call(world)[-1]
    bring_up(world)
    world.outcome(survey.id)
    assert bring_up(world) == []
    assert world.outcome(survey.id) == []
    assert world.found(survey.id, "process_alive", 1.0) == []


def test_a_plan_survives_a_snapshot() -> None:
    """A fold restored in the middle of a plan decides what the other one decides."""
    world = a_world()
    call(world)
    bring_up(world)
    world.fold = Fold.restore(world.fold.snapshot(), strategies())
    finish_looks(world)
    again = Fold.new(strategies())
    for fact, offset, append_ms in world.facts:
        again.apply(fact, offset, append_ms)
    assert again.snapshot() == world.fold.snapshot()
