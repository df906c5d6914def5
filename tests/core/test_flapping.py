"""A service that comes back and breaks again, by itself and among others, in any order."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from tests.core.world import World, kinds, spec

HOUR_MS = 3_600_000
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=4_000,
    budget_total=12,
    blast_radius_share=1.0,
    exploration_rate=0.0,
    breaker_failures=4,
    breaker_open_ms=20_000,
    coordination=False,
)


def world(policy: Policy = POLICY, *services: str) -> World:
    """Return a world with a policy and services that may be acted on."""
    made = World()
    made.apply("policy", policy)
    made.apply("inventory", Inventory(services=tuple(spec(name) for name in services or ("api",))))
    return made


def commands(decisions: list[Decision]) -> list[Decision]:
    """Return the commands among decisions."""
    return [one for one in decisions if one.kind == "commanded"]


def heal(made: World, service: str = "api") -> None:
    """Carry out the newest command on a service, with success that is verified."""
    command = next(one for one in reversed(commands(made.decisions)) if one.service == service)
    made.outcome(command.id)
    made.wait(5)
    made.normal(service)
    assert "verified" in kinds(made.wait(2))


def pass_time(made: World, seconds: int, service: str = "other") -> None:
    """Let time pass in which somebody else says now and then that all is well, as in any fleet."""
    for _ in range(seconds // 30):
        made.wait(30)
        made.normal(service)


def test_a_service_that_stayed_healed_for_the_time_begins_anew() -> None:
    """An hour after its last healing a service has all its attempts again, and the shortest cool-down."""
    made = world()
    for _ in range(3):
        made.detect("api", "process_crash")
        made.wait(20)
        heal(made)
    pass_time(made, 3_630)
    command = commands(made.detect("api", "process_crash"))[0]
    assert command.command is not None
    assert command.command.attempt == 1
    made.outcome(command.id, ok=False)
    made.wait(2)
    assert not commands(made.wait(1))
    assert commands(made.wait(1))[0].now_ms - command.now_ms == POLICY.cooldown_ms


def test_within_the_time_it_goes_on_where_it_was() -> None:
    """Fifty minutes after its third healing the same pattern is not acted on: a person is asked at once."""
    made = world()
    for _ in range(3):
        made.detect("api", "process_crash")
        made.wait(20)
        heal(made)
    pass_time(made, 3_000)
    assert kinds(made.detect("api", "process_crash")) == ["incident_opened", "escalated"]


def test_without_a_time_for_flapping_each_incident_begins_anew() -> None:
    """With ``flapping_ms`` 0 a healed service has all its attempts and the shortest cool-down again."""
    made = world(replace(POLICY, flapping_ms=0))
    for _ in range(4):
        command = commands(made.detect("api", "process_crash"))[0]
        assert command.command is not None
        assert command.command.attempt == 1
        heal(made)


def test_the_breaker_opens_for_all_and_closes_after_its_time() -> None:
    """Four failures over four services in a row: a fifth is tried only when the breaker's time is over."""
    services = ("a", "b", "c", "d", "e")
    made = world(POLICY, *services)
    for service in services[:4]:
        failed = commands(made.detect(service, "process_crash"))[0]
        made.outcome(failed.id, ok=False)
    opened_ms = made.decisions[-1].now_ms
    assert made.detect("e", "process_crash")[-1].reason == "breaker"
    made.wait(40)
    later = [one for one in commands(made.decisions) if one.now_ms > opened_ms]
    assert min(one.now_ms for one in later) == opened_ms + POLICY.breaker_open_ms
    assert "e" in {one.service for one in later}


class Flapping(RuleBasedStateMachine):
    """Services that break, are healed or not, and break again, in any order."""

    services = ("api", "db", "web")
    patterns = ("process_crash", "out_of_memory")

    @initialize()
    def begin(self) -> None:
        self.world = world(POLICY, *self.services)

    @rule(service=st.sampled_from(services), pattern=st.sampled_from(patterns))
    def breaks(self, service: str, pattern: str) -> None:
        self.world.detect(service, pattern)

    @precondition(lambda self: bool(commands(self.world.decisions)))
    @rule(service=st.sampled_from(services), ok=st.booleans())
    def ends(self, service: str, ok: bool) -> None:  # noqa: FBT001 - the machine draws it
        sent = [one for one in commands(self.world.decisions) if one.service == service]
        if sent:
            self.world.outcome(sent[-1].id, ok=ok)

    @rule(service=st.sampled_from(services))
    def is_well(self, service: str) -> None:
        self.world.wait(5)
        self.world.normal(service)
        self.world.wait(2)

    @rule(seconds=st.integers(1, 90))
    def waits(self, seconds: int) -> None:
        self.world.wait(seconds)

    @invariant()
    def attempts_of_an_incident_are_limited(self) -> None:
        for incident in {one.incident for one in commands(self.world.decisions)}:
            mine = [one for one in commands(self.world.decisions) if one.incident == incident]
            assert len(mine) <= POLICY.attempts_max

    @invariant()
    def phases_of_an_incident_only_rise(self) -> None:
        told = [
            (one.incident, figure.value)
            for one in self.world.decisions
            for figure in one.figures
            if figure.name == "phase"
        ]
        for incident in {one for one, _ in told}:
            mine = [phase for one, phase in told if one == incident]
            assert mine == sorted(mine)
            assert set(mine) <= {1, 2, 3, 4}

    @invariant()
    def attempts_on_a_pattern_of_a_service_are_limited(self) -> None:
        sent = commands(self.world.decisions)
        for last in sent:
            same = [
                one
                for one in sent
                if (one.service, one.pattern) == (last.service, last.pattern)
                and last.now_ms - HOUR_MS < one.now_ms <= last.now_ms
            ]
            assert len(same) <= POLICY.attempts_max

    @invariant()
    def actions_stay_within_the_budget(self) -> None:
        sent = commands(self.world.decisions)
        for last in sent:
            assert sum(last.now_ms - HOUR_MS < one.now_ms <= last.now_ms for one in sent) <= POLICY.budget_total

    @invariant()
    def cool_downs_double_within_the_hour(self) -> None:
        for service in self.services:
            times = [one.now_ms for one in commands(self.world.decisions) if one.service == service]
            for number, (before, after) in enumerate(pairwise(times)):
                if after - times[0] < HOUR_MS:
                    assert after - before >= POLICY.cooldown_ms * 2**number

    @invariant()
    def a_person_is_asked_once_for_an_incident(self) -> None:
        asked = [one.incident for one in self.world.decisions if one.kind == "escalated"]
        assert len(asked) == len(set(asked))


TestFlapping = Flapping.TestCase
TestFlapping.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
