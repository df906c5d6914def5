"""What is taken for the echo of a dependency, and for how long: a service's own fault is never swallowed by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.core.config import Inventory, Policy
from streams.core.echoes import ECHOES_FOR_MS
from streams.core.events import Decision
from streams.core.inventory import ProbeSpec
from tests.core.world import World, kinds, spec

POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=3_000,
    lateness_ms=500,
    cooldown_ms=1_000,
    exploration_rate=0.0,
    blast_radius_share=1.0,
)
PROBES = (ProbeSpec(kind="tcp"),)


def a_world(**database: Any) -> World:
    """Return a service and the database that it depends on, both probed."""
    made = World()
    made.apply("policy", POLICY)
    services = (spec("api", depends_on=("db",), probes=PROBES), spec("db", **{"probes": PROBES, **database}))
    made.apply("inventory", Inventory(services=services))
    return made


def broken_api(made: World, seconds: int) -> list[Decision]:
    """Let probes of the api fail every five seconds for so long; return the actions on it."""
    decided: list[Decision] = []
    for _ in range(seconds // 5):
        decided += made.probe("api", ok=False, kind="tcp")
        decided += made.wait(5)
    return acts_on(decided, "api")


def acts_on(decided: list[Decision], service: str) -> list[Decision]:
    """Return the actions on a service."""
    return [one for one in decided if (one.kind, one.service) == ("commanded", service)]


def escalated(made: World) -> None:
    """Break the database and leave in doubt what its action did."""
    act = made.detect("db", "database_lock")[-1]
    assert kinds(made.outcome(act.id, status="in_doubt", ok=False))[-1] == "escalated"


@pytest.mark.parametrize("database", [{"mode": "observe"}, {"protected": True}], ids=["observed", "protected"])
@pytest.mark.parametrize("first", ["db", "api"])
def test_nothing_echoes_what_may_not_be_acted_on(database: dict[str, Any], first: str) -> None:
    """A dependency that nobody will heal has no echoes, whoever speaks first: its dependent is acted on."""
    made = a_world(**database)
    if first == "api":
        made.detect("api", "service_unavailable")
    made.detect("db", "database_lock")
    broken_api(made, 60)
    assert acts_on(made.decisions, "api")
    assert "incident_merged" not in kinds(made.decisions)


def test_nothing_echoes_a_stranger() -> None:
    """A dependency that is not in the inventory is only observed, so it has no echoes."""
    made = World()
    made.apply("policy", POLICY)
    made.apply("inventory", Inventory(services=(spec("api", depends_on=("db",), probes=PROBES),)))
    made.detect("db", "database_lock")
    assert broken_api(made, 60)


@pytest.mark.parametrize("symptom", ["probe", "connection_refused"])
def test_echoes_end_some_time_after_the_dependency_broke(symptom: str) -> None:
    """A dependency that a person was asked for, and that shows no sign of life, has echoes for a bounded time."""
    made = a_world()
    escalated(made)
    opened_ms = made.ms
    acts: list[Decision] = []
    while not acts and made.ms < opened_ms + 2 * ECHOES_FOR_MS:
        made.detect("db", "database_lock", severity="warning")
        acts = broken_api(made, 20) if symptom == "probe" else acts_on(_refused(made, 20), "api")
    assert opened_ms + ECHOES_FOR_MS <= acts[0].now_ms <= opened_ms + ECHOES_FOR_MS + 60_000


def _refused(made: World, seconds: int) -> list[Decision]:
    return made.detect("api", "connection_refused") + made.wait(seconds)


def test_a_dependency_that_goes_on_warning_is_alive() -> None:
    """A database that is well by its probes and repeats a known warning is not broken since each of its warnings."""
    made = a_world()
    escalated(made)
    made.wait(1)
    made.probe("db", ok=True, kind="tcp")
    made.wait(1)
    made.detect("db", "database_lock")
    assert broken_api(made, 60)


@pytest.mark.parametrize("symptom", ["service_unavailable", "database_connection"])
def test_what_dependents_say_does_not_keep_an_incident_open(symptom: str) -> None:
    """A database that has said nothing for policy.quiet_close_ms is closed, however often its dependents complain."""
    made = a_world()
    escalated(made)
    for _ in range(POLICY.quiet_close_ms // 10_000):
        made.detect("api", symptom)
        made.wait(10)
    closed = [one for one in made.decisions if one.kind == "incident_closed"]
    assert [(one.service, one.reason) for one in closed] == [("db", "subsided")]


def test_a_dependency_that_is_acted_on_has_echoes() -> None:
    """While the database is acted on, what its dependent reports is the database's, however long that takes."""
    made = a_world()
    act = made.detect("db", "process_crash")[-1]
    assert act.kind == "commanded"
    assert broken_api(made, 60) == []


def test_a_crash_line_ends_the_wait() -> None:
    """A service that says itself that it crashed is acted on at once, although its failed probes may be an echo."""
    made = a_world()
    made.probe("api", ok=False, kind="tcp")
    made.probe("api", ok=False, kind="tcp")
    assert [one.pattern for one in acts_on(made.detect("api", "process_crash"), "api")] == ["process_crash"]


def test_a_crash_line_ends_the_wait_of_what_ranks_higher() -> None:
    """A database that can't be had leads, ranking above a crash; its team is called at once all the same."""
    made = a_world()
    made.detect("api", "database_connection")
    assert "planned" in kinds(made.detect("api", "process_crash"))


@pytest.mark.parametrize("first", ["process_crash", "database_connection"])
def test_what_crashed_by_its_own_line_is_not_merged(first: str) -> None:
    """An incident in which a service said that it crashed is no echo of the dependency that speaks next."""
    made = a_world(mode="approve")
    made.apply("policy", msgspec.structs.replace(POLICY, automatic_recovery=False))
    for symptom in sorted({first, "process_crash"}):
        made.detect("api", symptom)
    assert kinds(made.detect("db", "database_lock")) == ["incident_opened", "withheld"]
    assert made.fold.incidents_open == 2


def test_what_only_echoed_is_merged() -> None:
    """An incident of nothing but echoes is merged, however many kinds of them there were."""
    made = a_world()
    for symptom in ("service_unavailable", "database_connection", "connection_refused"):
        made.detect("api", symptom)
    assert "incident_merged" in kinds(made.detect("db", "database_lock"))
