"""Plans in the fold: when specialists are called, what is done with their reports, and that all of them are let go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.catalogue import strategies
from streams.core.config import Inventory, Policy
from streams.core.events import Decision, Option
from streams.core.fold import Fold
from streams.core.inventory import ProbeSpec
from streams.core.kinds import SENDING_KINDS
from streams.core.learning import Lesson
from tests.core.world import World, kinds, spec

POLICY = Policy(
    verify_after_ms=3_000,
    stay_away_ms=5_000,
    cooldown_ms=2_000,
    lateness_ms=1_000,
    unverified_after_ms=20_000,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    command_ttl_ms=20_000,
    action_timeout_ms=5_000,
)
UNSURE = "performance_degradation"
"""Its rule names a strategy that these services have no action for."""
CALLED = ["planned", "spawned", "spawned", "spawned", "looked"]


def a_world(*services: str, fields: dict[str, Any] | None = None, **policy: Any) -> World:
    """Return a world with these services; one named ``api`` when none is."""
    world = World()
    world.apply("policy", msgspec.structs.replace(POLICY, **policy))
    specs = [spec(name, **(fields or {})) for name in services or ("api",)]
    world.apply("inventory", Inventory(services=tuple(specs)))
    return world


def call(world: World, service: str = "api", pattern: str = "database_connection") -> list[Decision]:
    """Break a service so that its team is called at once; return what was decided after the incident was opened."""
    return world.detect(service, pattern, severity="critical")[1:]


def of(decisions: list[Decision], kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in decisions if one.kind == kind]


def bring_up(world: World) -> list[Decision]:
    """Report everybody of the last plan as running."""
    plan = of(world.decisions, "planned")[-1].id
    names = [name_of(one) for one in of(world.decisions, "spawned") if one.refers_to == plan]
    return [decision for name in names for decision in world.specialist(name, "running")]


def name_of(decision: Decision) -> str:
    """Return the specialist that a decision is about."""
    return decision.reason.partition(" ")[0]


def finish_looks(world: World, findings: dict[str, float] | None = None) -> list[Decision]:
    """End every look that has not ended, until there is no further one; return what was decided."""
    decided: list[Decision] = []
    while True:
        ended = {one.refers_to for one in of(world.decisions, "command_ended")}
        left = [one for one in of(world.decisions, "looked") if one.id not in ended]
        if not left:
            return decided
        for one in left:
            for code, value in (findings or {}).items():
                world.found(one.id, code, value)
            decided += world.outcome(one.id)


def held(world: World) -> list[str]:
    """Return the names of all specialists that are not known to be gone."""
    state = world.fold._state
    state.roster.needs(state.clock.now_ms)
    return list(state.roster.held)


# --------------------------------------------------------------------------------------------------------------- when


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


# ------------------------------------------------------------------------------------------------------------ findings


def explored(world: World, code: str, value: float, pattern: str = UNSURE) -> Decision:
    """Return the decision to act, after every look told of the same finding."""
    call(world, pattern=pattern)
    bring_up(world)
    return of(finish_looks(world, findings={code: value}), "commanded")[0]


def option(decision: Decision, action: str) -> Option:
    """Return an option of a decision."""
    return next(one for one in decision.options if one.action == action)


def test_a_finding_changes_the_choice() -> None:
    """What was found speaks for an action, and the reason of the decision says so."""
    without = explored(a_world(), "configuration_changed", 0.0)
    speaking = explored(a_world(), "configuration_changed", 1.0)
    assert without.command is not None
    assert speaking.command is not None
    assert (without.command.action, without.reason) == ("process.restart", "rule:scale_down")
    assert speaking.command.action == "process.rollback_config"
    assert speaking.reason == "rule:scale_down, configuration_changed=1"
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


# -------------------------------------------------------------------------------------------------- acting and after it


def acted(world: World, service: str = "api", pattern: str = "database_connection") -> Decision:
    """Bring a plan to its act; return that decision."""
    call(world, service, pattern)
    bring_up(world)
    return of(finish_looks(world), "commanded")[-1]


def test_after_the_act_everybody_is_let_go_and_the_critic_looks() -> None:
    """What follows is waiting: nobody is held for it."""
    world = a_world(fields={"probes": (ProbeSpec(kind="process"),)})
    decided = world.outcome(acted(world).id)
    assert kinds(decided) == ["command_ended", "looked", "released", "released", "released"]
    assert decided[1].reason == "verify by critic"
    assert decided[2].command is not None
    assert (decided[2].command.kind, decided[2].command.action) == ("release", "specialist.release")


def heal(world: World) -> list[Decision]:
    """Let a service stay well until its action is verified."""
    world.wait(2)
    world.normal("api")
    decided = world.wait(8)
    world.ms += 4_000
    return decided + world.normal("api")


def test_a_verified_plan_is_done_and_teaches_its_way() -> None:
    """The plan ends before its incident; the way has a success for the pattern."""
    world = a_world()
    world.outcome(acted(world).id)
    decided = heal(world)
    assert kinds(decided) == ["verified", "plan_ended", "incident_closed"]
    assert (decided[1].reason, decided[1].strategy, decided[1].confidence) == ("done", "hierarchical", 1.0)
    assert world.fold._state.lessons.ways == {"database_connection|hierarchical": Lesson(1, 0)}


def test_a_plan_whose_act_did_not_help_has_failed_and_the_next_way_is_tried() -> None:
    """A symptom that comes back ends the plan as failed; what was learned of its way counts the next time."""
    world = a_world()
    world.outcome(acted(world).id)
    world.wait(5)
    decided = world.detect("api", "database_connection", severity="critical")
    assert kinds(decided)[:3] == ["verification_failed", "plan_ended", "planned"]
    assert (decided[1].reason, decided[2].strategy) == ("failed", "parallel")
    assert world.fold._state.lessons.ways == {"database_connection|hierarchical": Lesson(0, 1)}


def test_an_act_that_had_no_effect_is_passed_on_inside_a_hierarchy() -> None:
    """The leader is let go, a support that may do what is best next acts, and the attempt counts."""
    world = a_world()
    first = explored(world, "host_memory_percent", 95.0, "database_connection")
    decided = world.outcome(first.id, status="expired", ok=False)
    assert kinds(decided) == ["command_ended", "released", "withheld"]
    assert name_of(decided[1]) == "database-optimizer-001"
    second = of(world.wait(2), "commanded")[0]
    assert second.reason.startswith("passed on to performance-optimizer-001: ")
    assert (second.refers_to, second.command.attempt if second.command else 0) == (first.refers_to, 2)


@pytest.mark.parametrize(("pattern", "effect"), [("database_connection", "once"), ("resource_exhaustion", "none")])
def test_any_other_act_that_failed_ends_the_plan(pattern: str, effect: str) -> None:
    """After an effect nobody acts on top of it; and only a hierarchy passes on."""
    world = a_world()
    decided = world.outcome(acted(world, pattern=pattern).id, ok=False, effect=effect)
    assert kinds(decided) == ["command_ended", "released", "released", "released", "plan_ended", "withheld"]
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
    sent = [one for one in world.decisions if one.kind in SENDING_KINDS]
    assert {one.kind for one in sent} == set(SENDING_KINDS)
    assert [one.command.previous_seq for one in sent if one.command] == [-1, *(one.seq for one in sent[:-1])]
