"""Stuck detection: what counts, when it is said, what it changes, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import stuck
from streams.core.config import Inventory, Policy, check
from streams.core.errors import InputError
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.stuck import Record, of_pattern, of_specialist, of_strategy
from tests.core.team import a_world as a_team
from tests.core.team import acted
from tests.core.world import World, kinds, spec

HOUR_MS = 3_600_000
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    attempts_max=1,
    cooldown_ms=0,
    flapping_ms=0,
    quiet_close_ms=10_000,
    exploration_rate=0.0,
    prior_weight=1_000.0,
    blast_radius_share=1.0,
    breaker_failures=1_000,
    budget_per_target=1_000,
    budget_per_service=1_000,
    budget_total=1_000,
    coordination=False,
    autonomy=False,
)
SERVICES = tuple(f"s{number}" for number in range(12))


def a_world(**policy: Any) -> World:
    """Return a world with a dozen services, in which nothing but stuck detection holds an action back."""
    world = World()
    world.apply("policy", replace(POLICY, **policy))
    world.apply("inventory", Inventory(services=tuple(spec(name) for name in SERVICES)))
    return world


def of(decisions: list[Decision], kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in decisions if one.kind == kind]


def figures(decision: Decision) -> dict[str, float]:
    """Return the figures of a decision by name."""
    return {one.name: one.value for one in decision.figures}


def fail(world: World, service: str, times: int, **how: Any) -> None:
    """Let a service crash and the action on it fail, once an incident."""
    for _ in range(times):
        command = of(world.detect(service, "process_crash"), "commanded")[-1]
        world.outcome(command.id, ok=False, **how)
        world.wait(12)


def heal(world: World, service: str) -> None:
    """Let a service crash, and the action on it help."""
    world.detect(service, "process_crash")
    world.outcome(of(world.decisions, "commanded")[-1].id)
    world.wait(5)
    world.normal(service)
    assert "verified" in kinds(world.wait(2))


def test_the_tenth_failure_is_said_with_its_evidence_in_the_same_fact() -> None:
    """Nine failures over incidents are none; the tenth says how many failed, and since when nothing helped."""
    world = a_world()
    heal(world, "s0")
    fail(world, "s0", 9)
    assert not of(world.decisions, "stuck")
    fail(world, "s0", 1)
    said = of(world.decisions, "stuck")[0]
    assert (said.reason, said.service, said.pattern) == ("process_crash on s0", "s0", "process_crash")
    evidence = figures(said)
    assert (evidence["attempts"], evidence["failures"], evidence["success_rate"]) == (10, 10, 0)
    assert evidence["consecutive_failures"] == 10
    assert evidence["minutes_since_success"] > 0
    ended = next(one for one in world.decisions if one.kind == "command_ended" and one.refers_to == said.refers_to)
    assert ended.facts_offset == said.facts_offset


def test_what_is_stuck_is_given_to_a_person_at_once() -> None:
    """The incident of the tenth failure, and every one after it, is escalated without an action, with the evidence."""
    world = a_world()
    fail(world, "s0", 10)
    reasons = [one.reason for one in of(world.decisions, "escalated")]
    assert reasons == [*["attempts used up"] * 9, "stuck: process_crash on s0"]
    decided = world.detect("s0", "process_crash")
    assert kinds(decided) == ["incident_opened", "escalated"]
    assert figures(decided[1])["failures"] == 10


def test_another_pattern_of_the_service_is_not_meant() -> None:
    """What is stuck is the pattern of a service, not the service."""
    world = a_world()
    fail(world, "s0", 10)
    world.apply("policy", replace(POLICY, stuck_failures=0))
    world.apply("policy", POLICY)
    fail(world, "s0", 9)
    assert "commanded" in kinds(world.detect("s0", "port_conflict"))


def test_a_strategy_is_counted_over_all_services() -> None:
    """Ten services on which a restart failed once: the eleventh is not restarted, but given to a person."""
    world = a_world()
    for service in SERVICES[:10]:
        fail(world, service, 1)
    assert [one.reason for one in of(world.decisions, "stuck")] == ["strategy restart"]
    decided = world.detect(SERVICES[10], "process_crash")
    assert (decided[-1].kind, decided[-1].reason) == ("escalated", "stuck: strategy restart")
    assert decided[-1].options


def test_a_specialist_answers_for_the_plans_that_it_leads() -> None:
    """When the plans of a leader failed often enough, the next incident of its kind is a person's."""
    world = a_team(stuck_failures=1, cooldown_ms=0)
    world.outcome(acted(world).id, ok=False)
    said = [one.reason for one in of(world.decisions, "stuck")]
    assert of_specialist("database-optimizer") in said
    assert of(world.decisions, "escalated")


@pytest.mark.parametrize("status", ["refused", "expired"])
def test_what_was_never_run_says_nothing_of_a_strategy(status: str) -> None:
    """Commands that no pool takes leave the pattern of the service stuck, and the strategy as it was."""
    world = a_world()
    fail(world, "s0", 10, status=status)
    assert [one.reason for one in of(world.decisions, "stuck")] == ["process_crash on s0"]
    assert "commanded" in kinds(world.detect("s1", "process_crash"))


def test_a_person_releases_what_is_stuck() -> None:
    """After ``resume`` it is tried again, and counted from nothing."""
    world = a_world()
    fail(world, "s0", 10)
    world.wait(12)
    released = of(world.resume(), "stuck_released")
    said = {one.id for one in of(world.decisions, "stuck")}
    assert {one.refers_to for one in released} == said
    assert {one.reason for one in released} == {"resumed by ada"}
    fail(world, "s0", 9)
    assert len(of(world.decisions, "stuck")) == len(said)


def test_an_applied_file_releases_what_is_stuck() -> None:
    """Another inventory means that somebody changed something: it is tried again."""
    world = a_world()
    fail(world, "s0", 10)
    world.wait(12)
    decided = world.apply("inventory", Inventory(services=(spec("s0"),)))
    assert "stuck_released" in kinds(decided)
    assert "commanded" in kinds(world.detect("s0", "process_crash"))


def test_a_success_releases_what_is_stuck() -> None:
    """An action that was under way when its strategy got stuck, and helped, lets the strategy be used again."""
    world = a_world()
    world.detect(SERVICES[11], "process_crash")
    under_way = of(world.decisions, "commanded")[-1]
    for service in SERVICES[:10]:
        world.detect(service, "process_crash")
        world.outcome(of(world.decisions, "commanded")[-1].id, ok=False)
    assert of(world.decisions, "stuck")
    world.outcome(under_way.id)
    world.wait(5)
    world.normal(SERVICES[11])
    assert [one.reason for one in of(world.wait(2), "stuck_released")] == ["strategy restart helped"]
    assert "commanded" in kinds(world.detect(SERVICES[10], "process_crash"))


def test_old_failures_do_not_count() -> None:
    """A failure from before the window leaves nine that count."""
    policy = replace(POLICY, stuck_window_ms=HOUR_MS)
    record = Record()
    assert not record.failed(0, policy)
    for number in range(9):
        assert not record.failed(HOUR_MS + number, policy)
    assert record.failed(HOUR_MS + 9, policy)


@given(st.lists(st.booleans(), max_size=60))
def test_it_is_stuck_with_ten_failures_and_less_than_a_tenth_of_success(outcomes: list[bool]) -> None:
    """Whatever came before: it is said when the last stretch that holds ten failures has less than 10 % success."""
    record, told = Record(), []
    for number, success in enumerate(outcomes):
        if success:
            record.succeeded(number)
            continue
        said = record.failed(number, POLICY)
        stretch = outcomes[: number + 1]
        while stretch.count(False) > 10 or (stretch and stretch[0]):
            stretch = stretch[1:]
        assert said == (stretch.count(False) == 10 and stretch.count(True) / len(stretch) < 0.1)
        told.append(said)


def test_records_are_bounded_and_a_stuck_one_that_leaves_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two records the oldest leaves; when that one was stuck, it is released with a word."""
    monkeypatch.setattr(stuck, "RECORDS_MAX", 2)
    world = a_world(stuck_failures=2)
    fail(world, "s0", 2, status="refused")
    fail(world, "s1", 1, status="refused")
    fail(world, "s2", 1, status="refused")
    reasons = [one.reason for one in of(world.decisions, "stuck_released")]
    assert reasons == ["forgotten: too many others had attempts since"]
    assert len(world.fold._state.stuck.records) == 2


def test_a_snapshot_keeps_what_is_stuck() -> None:
    """A fold that is restored escalates what the other one would."""
    world = a_world()
    fail(world, "s0", 10)
    world.fold = Fold.restore(world.fold.snapshot(), world.fold._catalogue)
    assert world.detect("s0", "process_crash")[-1].reason == f"stuck: {of_pattern('s0', 'process_crash')}"


def test_names_of_strategies_specialists_and_patterns_do_not_meet() -> None:
    """A service that is called like a strategy is no strategy."""
    assert len({of_pattern("restart", "strategy"), of_strategy("restart"), of_specialist("restart")}) == 3


def test_more_failures_than_are_remembered_are_refused() -> None:
    """A policy that wants more failures than are kept says so."""
    with pytest.raises(InputError, match="stuck_failures"):
        check(Policy(stuck_failures=101))
