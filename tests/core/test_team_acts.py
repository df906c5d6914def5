"""What a team's act leads to, and that everybody is let go whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from streams.core.config import Inventory
from streams.core.events import Decision, Ticked
from streams.core.inventory import ProbeSpec
from streams.core.kinds import SENDING_KINDS
from streams.core.learning import Lesson
from streams.core.requests import HealRequested, TaskSubmitted
from tests.core.team import (
    CALLED,
    POLICY,
    a_world,
    acted,
    bring_up,
    call,
    explored,
    finish_looks,
    heal,
    held,
    name_of,
    of,
)
from tests.core.world import World, kinds, spec


def test_after_the_act_everybody_is_let_go_and_the_critic_looks() -> None:
    """What follows is waiting: nobody is held for it."""
    world = a_world(fields={"probes": (ProbeSpec(kind="process"),)})
    decided = world.outcome(acted(world).id)
    assert kinds(decided) == ["command_ended", "looked", "released", "released", "released"]
    assert decided[1].reason == "verify by critic"
    assert decided[2].command is not None
    assert (decided[2].command.kind, decided[2].command.action) == ("release", "specialist.release")


def test_a_verified_plan_is_done_and_teaches_its_way() -> None:
    """The plan ends before its incident; the way has a success for the pattern."""
    world = a_world()
    world.outcome(acted(world).id)
    decided = heal(world)
    assert kinds(decided) == ["verified", "plan_ended", "incident_closed"]
    assert (decided[1].reason, decided[1].strategy, decided[1].confidence) == ("done", "hierarchical", 1.0)
    assert world.fold._state.lessons.ways == {"database_connection|hierarchical": Lesson(1, 0, 1)}


def test_a_plan_whose_act_did_not_help_has_failed_and_the_next_way_is_tried() -> None:
    """A symptom that comes back ends the plan as failed; what was learned of its way counts the next time."""
    world = a_world()
    world.outcome(acted(world).id)
    world.wait(5)
    decided = world.detect("api", "database_connection", severity="critical")
    assert kinds(decided)[:4] == ["verification_failed", "plan_ended", "phase_entered", "planned"]
    assert (decided[1].reason, decided[3].strategy) == ("failed", "parallel")
    assert world.fold._state.lessons.ways == {"database_connection|hierarchical": Lesson(0, 1, 1)}


def test_an_act_that_had_no_effect_is_passed_on_inside_a_hierarchy() -> None:
    """The leader is let go, a support that may do what is best next acts, and the attempt counts."""
    world = a_world()
    first = explored(world, "host_memory_percent", 95.0, "database_connection")
    decided = world.outcome(first.id, status="expired", ok=False)
    assert kinds(decided) == ["command_ended", "released", "phase_entered", "withheld"]
    assert name_of(decided[1]) == "database-optimizer-001"
    second = of(world.wait(2), "commanded")[0]
    assert second.reason.startswith("passed on to performance-optimizer-001: ")
    assert (second.refers_to, second.command.attempt if second.command else 0) == (first.refers_to, 2)


@pytest.mark.parametrize(("pattern", "effect"), [("database_connection", "once"), ("resource_exhaustion", "none")])
def test_any_other_act_that_failed_ends_the_plan(pattern: str, effect: str) -> None:
    """After an effect nobody acts on top of it; and only a hierarchy passes on."""
    world = a_world()
    decided = world.outcome(acted(world, pattern=pattern).id, ok=False, effect=effect)
    ends = ["command_ended", "released", "released", "released", "plan_ended"]
    assert kinds(decided) == [*ends, "phase_entered", "withheld"]
    assert decided[4].reason == "failed"


def test_a_plan_on_approval_looks_first_and_asks_then() -> None:
    """Looks change nothing and need nobody's approval; the act does."""
    world = a_world(fields={"mode": "approve"})
    call(world)
    bring_up(world)
    asked = finish_looks(world)[-1]
    assert (asked.kind, asked.refers_to) == ("approval_requested", of(world.decisions, "planned")[0].id)
    assert kinds(world.answer(asked, approved=True)) == ["commanded"]


def test_nobody_is_held_for_a_person_who_does_not_answer() -> None:
    """When the time is over for which they were called, specialists are let go, and the request stands."""
    world = a_world(fields={"mode": "approve"})
    call(world)
    bring_up(world)
    asked = finish_looks(world)[-1]
    decided = world.wait(45)
    assert kinds(decided) == ["released", "released", "released", "plan_ended"]
    assert decided[-1].reason == "timed_out"
    assert kinds(world.answer(asked, approved=True)) == ["commanded"]


def test_a_halt_lets_everybody_go() -> None:
    """A plan under way ends with the kill switch, and begins anew when it is released."""
    world = a_world()
    call(world)
    bring_up(world)
    assert kinds(world.halt()) == ["halted", "released", "released", "released", "plan_ended", "withheld"]
    assert kinds(world.resume()) == ["resumed", *CALLED]


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.halt(),
        lambda world: world.apply("policy", msgspec.structs.replace(POLICY, automatic_recovery=False)),
        lambda world: world.apply("inventory", Inventory(services=(spec("api", mode="observe"),))),
    ],
    ids=["halt", "no automatic recovery", "observed"],
)
def test_nobody_waits_for_an_approval_that_would_be_for_nothing(change: Callable[[World], list[Decision]]) -> None:
    """Whatever people say no with ends a plan at once, also while a person is asked."""
    world = a_world(fields={"mode": "approve"})
    acted(world, kind="approval_requested")
    assert kinds(change(world))[1:] == ["released", "released", "released", "plan_ended"]


@pytest.mark.parametrize("mode", ["approve", "auto"])
def test_a_rejected_fact_lets_everybody_go(mode: str) -> None:
    """A fact that can't be worked on halts action, so a plan ends with the next second, asked for or looking."""
    world = a_world(fields={"mode": mode})
    call(world)
    bring_up(world)
    if mode == "approve":
        finish_looks(world)
    offset = len(world.facts)
    world.fold.reject(None, offset, world.ms, "ValueError")
    world.facts.append((Ticked(owner="o"), offset, world.ms))
    assert kinds(world.wait(1))[:4] == ["released", "released", "released", "plan_ended"]


def test_an_act_that_lasts_keeps_its_specialists() -> None:
    """Approved late, an act outlasts the time for which its team was called: nobody goes before it is overdue."""
    world = a_world(fields={"mode": "approve"}, command_ttl_ms=60_000, action_timeout_ms=60_000)
    asked = acted(world, kind="approval_requested")
    world.wait(128)
    act = world.answer(asked, approved=True)[0]
    assert kinds(world.wait(129)) == []
    assert len(held(world)) == 3
    assert kinds(world.outcome(act.id)) == ["command_ended", "released", "released", "released"]


def test_a_halt_waits_for_the_act() -> None:
    """Who acts is not let go in the middle of it; after it everybody is."""
    world = a_world()
    commanded = acted(world)
    assert kinds(world.halt()) == ["halted"]
    assert kinds(world.outcome(commanded.id)) == ["command_ended", "released", "released", "released"]


@pytest.mark.parametrize("fields", [{"mode": "observe"}, {"protected": True}, {"host": "h2"}])
def test_a_plan_ends_when_people_say_no(fields: dict[str, Any]) -> None:
    """A service that may no longer be acted on, or that moved, is looked at no more."""
    world = a_world()
    call(world)
    decided = world.apply("inventory", Inventory(services=(spec("api", **fields),)))
    assert kinds(decided)[:5] == ["config_applied", "released", "released", "released", "plan_ended"]
    assert {one.host for one in decided if one.command and one.kind == "released"} == {"h1"}


def test_a_service_that_is_gone_from_the_inventory_leaves_nobody_behind() -> None:
    """The specialists of a service that nobody knows any more are told to go on the host on which they are."""
    world = a_world()
    call(world)
    decided = world.apply("inventory", Inventory(services=(spec("web"),)))
    released = of(decided, "released")
    assert [one.command.host for one in released if one.command] == ["h1", "h1", "h1"]
    assert kinds(decided)[-2:] == ["plan_ended", "withheld"]


def test_an_echo_that_is_planned_for_is_merged() -> None:
    """When the dependency speaks, its dependent's plan ends, and everybody is let go."""
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("db"), spec("api", depends_on=("db",)))))
    world.detect("api", "database_connection", severity="critical")
    assert kinds(world.wait(2)) == CALLED
    decided = world.detect("db", "process_crash")
    assert kinds(decided) == [
        "incident_opened",
        "released",
        "released",
        "released",
        "plan_ended",
        "incident_merged",
        "commanded",
    ]


def test_commands_of_all_kinds_form_one_chain() -> None:
    """Every decision that sends a command names the one before it."""
    world = a_world()
    world.outcome(acted(world).id)
    world.say(TaskSubmitted(task_id="t", role="critic", action="", service="", description_sha256="", author="ada"))
    world.say(HealRequested(author="ada", reason=""))
    sent = [one for one in world.decisions if one.kind in SENDING_KINDS]
    assert {one.kind for one in sent} == set(SENDING_KINDS)
    assert [one.command.previous_seq for one in sent if one.command] == [-1, *(one.seq for one in sent[:-1])]
