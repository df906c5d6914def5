"""One cause over sixty services: one incident when their dependency is declared, and limits that hold when not."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from streams.core.config import Inventory, Policy
from streams.core.echoes import POOL_LOOKS_EVERY_MS, SPEAKS_WITHIN_MAX_MS
from streams.core.events import Decision
from streams.core.inventory import ProbeSpec
from streams.workers.probes import SAMPLE_MS
from tests.core.world import World, kinds, spec

CROWD = tuple(f"svc-{number:02}" for number in range(60))
ECHOES = ("connection_refused", "service_unavailable", "database_connection", "probe")
POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=3_000,
    lateness_ms=500,
    budget_total=10,
    blast_radius_share=0.1,
    cooldown_ms=1_000,
)
ENDS = {"command_overdue", "verified", "verification_failed", "unverified", "escalated", "incident_closed"}
Symptoms = Sequence[tuple[str, str]]


def world(*, declared: bool, policy: Policy = POLICY) -> World:
    """Return sixty services and a database, with or without a word of who depends on whom."""
    made = World()
    made.apply("policy", policy)
    depends_on = ("db",) if declared else ()
    crowd = tuple(spec(name, depends_on=depends_on) for name in CROWD)
    made.apply("inventory", Inventory(services=(spec("db"), *crowd)))
    return made


def probed_world(*probes: ProbeSpec) -> World:
    """Return a database that is probed, and one service that depends on it."""
    made = World()
    made.apply("policy", POLICY)
    made.apply("inventory", Inventory(services=(spec("db", probes=probes), spec("web", depends_on=("db",)))))
    return made


def say(made: World, service: str, symptom: str) -> None:
    """Let a service show a symptom: a line, or probes that fail in a row."""
    if symptom == "probe":
        made.probe(service, ok=False)
        made.probe(service, ok=False)
    else:
        made.detect(service, symptom)


def commands(made: World) -> list[Decision]:
    """Return all commands so far."""
    return [one for one in made.decisions if one.kind == "commanded"]


def largest_under_way(decisions: Sequence[Decision]) -> int:
    """Return how many services had an action under way at one time, at most."""
    under_way: set[str] = set()
    largest = 0
    for one in decisions:
        if one.kind == "commanded":
            under_way.add(one.service)
        elif one.kind in ENDS or (one.kind == "command_ended" and "ok" not in one.reason):
            under_way.discard(one.service)
        largest = max(largest, len(under_way))
    return largest


def withheld_without_a_gate(decisions: Sequence[Decision]) -> list[Decision]:
    """Return what was withheld although no gate is named that said no."""
    return [
        one
        for one in decisions
        if one.kind == "withheld" and one.reason.split() != [gate.name for gate in one.gates if not gate.passed]
    ]


orders = st.permutations(CROWD).flatmap(
    lambda crowd: st.lists(st.sampled_from(ECHOES), min_size=60, max_size=60).map(
        lambda echoes: list(zip(crowd, echoes, strict=True))
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=orders, speaks=st.integers(0, 60), pauses=st.sets(st.integers(0, 59), max_size=8))
def test_a_declared_outage_is_one_incident(order: list[tuple[str, str]], speaks: int, pauses: set[int]) -> None:
    """Whoever speaks first, and however: one incident of the database is left, and it alone is acted on, once."""
    made = world(declared=True)
    since_echo = 0.0
    for place, (service, symptom) in enumerate(order):
        if place == speaks:
            say(made, "db", "process_crash")
        # the database speaks before a possible echo has waited for as long as it is to
        if place in pauses and (place > speaks or since_echo + 0.1 < POLICY.grouping_wait_ms / 1000):
            made.wait(0.1)
            since_echo += 0.1
        say(made, service, symptom)
    if speaks == 60:
        say(made, "db", "process_crash")
    made.wait(1)
    opened = [one for one in made.decisions if one.kind == "incident_opened"]
    merged = [one for one in made.decisions if one.kind == "incident_merged"]
    assert len(opened) - len(merged) == 1
    assert made.fold.incidents_open == 1
    assert [one.service for one in commands(made)] == ["db"]
    made.outcome(commands(made)[0].id)
    made.wait(6)
    made.normal("db")
    assert kinds(made.wait(2)) == ["verified", "incident_closed"]
    assert made.fold.incidents_open == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), order=orders)
def test_the_limits_bound_an_outage_that_nobody_declared(data: st.DataObject, order: list[tuple[str, str]]) -> None:
    """Sixty-one causes for all that is known: at most the budget's actions, and the share's at one time."""
    made = world(declared=False)
    for service, symptom in [*order[:30], ("db", "process_crash"), *order[30:]]:
        say(made, service, symptom)
        if commands(made) and data.draw(st.sampled_from((True, False))):
            ended = data.draw(st.sampled_from([one.id for one in commands(made)]))
            made.outcome(ended, ok=data.draw(st.sampled_from((True, False))))
        made.wait(data.draw(st.sampled_from((0, 0, 1, 7))))
    made.wait(60)
    assert 0 < len(commands(made)) <= POLICY.budget_total
    assert largest_under_way(made.decisions) <= int(61 * POLICY.blast_radius_share)
    assert withheld_without_a_gate(made.decisions) == []
    for incident in {one.incident for one in commands(made)}:
        assert sum(one.incident == incident for one in commands(made)) <= POLICY.attempts_max
    acted_on = {one.incident for one in commands(made)}
    withheld = {one.incident for one in made.decisions if one.kind == "withheld"}
    opened = {one.incident for one in made.decisions if one.kind == "incident_opened"}
    assert opened <= acted_on | withheld


@pytest.mark.parametrize("symptom", ECHOES)
def test_who_depends_waits_for_a_look_at_the_database(symptom: str) -> None:
    """A killed database says nothing, but its pool looks every second: its dependent waits until that has had its say.

    One failed look is not enough to count, so while the database is in doubt the dependent waits for the second.
    """
    made = probed_world(ProbeSpec(kind="process", every_ms=30_000))
    made.probe("db", ok=True, kind="process")
    say(made, "web", symptom)
    made.wait(2)
    made.probe("db", ok=False, kind="process")
    made.wait(2)
    made.probe("db", ok=False, kind="process")
    made.wait(2)
    assert [one.service for one in commands(made)] == ["db"]
    assert kinds(made.decisions).count("incident_merged") == 1


@pytest.mark.parametrize("symptom", ECHOES)
@pytest.mark.parametrize(
    "probes",
    [
        (ProbeSpec(kind="process"),),
        (ProbeSpec(kind="tcp"), ProbeSpec(kind="certificate", every_ms=86_400_000, limit=7.0)),
        (ProbeSpec(kind="http", timeout_ms=600_000), ProbeSpec(kind="disk", every_ms=3_600_000, limit=90.0)),
    ],
    ids=["default", "with one once a day", "with a long time-out"],
)
def test_who_depends_waits_seconds_however_rare_a_probe_is(symptom: str, probes: tuple[ProbeSpec, ...]) -> None:
    """A dependency that is well has had its say within seconds, whatever it is probed for: its dependent acts."""
    made = probed_world(*probes)
    made.probe("db", ok=True, kind=probes[0].kind)
    say(made, "web", symptom)
    made.wait(SPEAKS_WITHIN_MAX_MS / 1000 + 1)
    assert [one.service for one in commands(made)] == ["web"]


def test_the_core_knows_how_often_a_pool_looks() -> None:
    """What a possible echo waits for is the pool's own pace."""
    assert POOL_LOOKS_EVERY_MS == SAMPLE_MS


def test_a_dependent_that_is_still_broken_gets_an_incident_of_its_own() -> None:
    """While the database is escalated but seen well again, a failed health check of a dependent is its own."""
    made = world(declared=True)
    made.detect("db", "process_crash")
    made.outcome(commands(made)[0].id, status="in_doubt", ok=False)
    say(made, "svc-01", "probe")
    assert kinds(made.decisions)[-3:] == ["symptom_joined", "health_changed", "alerted"]
    made.wait(1)
    made.normal("db")
    made.wait(1)
    say(made, "svc-02", "probe")
    assert [(one.kind, one.service) for one in made.decisions[-3:]] == [
        ("incident_opened", "svc-02"),
        ("health_changed", "svc-02"),
        ("alerted", "svc-02"),
    ]


def test_a_dependent_does_not_fail_the_databases_action() -> None:
    """Of sixty dependents one stays broken for a reason of its own: the database is verified all the same."""
    made = world(declared=True)
    made.detect("db", "process_crash")
    made.outcome(commands(made)[0].id)
    made.wait(3)
    say(made, "svc-01", "probe")
    made.detect("svc-02", "database_connection")
    made.wait(3)
    made.normal("db")
    assert "verified" in kinds(made.wait(2))
