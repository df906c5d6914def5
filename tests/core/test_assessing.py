"""Services are measured and assessed inside the fold: once a minute of their own event time, and at once when down."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from streams.catalogue import strategies
from streams.core import assessing
from streams.core.chain import sha256_of
from streams.core.config import Inventory
from streams.core.events import Decision, ProbeReported, Sample, Tally
from streams.core.fold import Fold
from streams.core.state import State
from tests.core.test_fold import QUICK, a_world, only
from tests.core.world import World, kinds, spec

MINUTE_MS = 60_000


def minute(world: World) -> None:
    """Let a minute pass."""
    world.ms += MINUTE_MS


def lines(world: World, service: str, *, age_ms: int = 0, **by_severity: int) -> list[Decision]:
    """Append a slice with so many lines by severity."""
    tallies = tuple(
        Tally(at_ms=world.ms - age_ms, service=service, severity=severity, pattern="", template="", count=count)
        for severity, count in by_severity.items()
    )
    return world.slice(tallies=tallies)


def figures(decision: Decision) -> dict[str, float]:
    """Return a decision's figures by name."""
    return {one.name: one.value for one in decision.figures}


def state_of(world: World) -> State:
    """Return what the fold remembers."""
    return world.fold._state


def told(world: World, kind: str) -> list[str]:
    """Return the reasons of all decisions of a kind."""
    return [one.reason for one in world.decisions if one.kind == kind]


def total(world: World, metric: str, last: float, **fields: Any) -> Sample:
    """Return a sample of a counter, now."""
    values: dict[str, Any] = {"service": "api", "host": "h1", "kind": "total", "series": "http_requests#a", "count": 1}
    values |= {"at_ms": world.ms, "sum": last, "min": last, "max": last}
    return Sample(metric=metric, last=last, **(values | fields))


def test_a_minute_is_assessed_when_the_next_begins() -> None:
    """The first fact of the next minute assesses the last: status, type, the metrics that are known, and the score."""
    world = a_world("api")
    begin_ms = world.ms
    world.sample("api", cpu=20.0, memory=50.0)
    world.ms += MINUTE_MS - 1
    assert kinds(world.sample("api", cpu=40.0)) == []
    world.ms += 1
    found = only(world.sample("api", cpu=90.0), "assessed")
    assert (found.service, found.reason, found.host, found.category) == ("api", "excellent", "h1", "process")
    assert figures(found) == {"cpu": 30.0, "memory": 50.0, "score": 100.0}
    assert found.at_ms == begin_ms - begin_ms % MINUTE_MS


def test_a_minute_is_assessed_once() -> None:
    """However much a service says, there is one assessment a minute, and none of minutes in which it said nothing."""
    world = a_world("api")
    for _ in range(30):
        world.sample("api", cpu=20.0)
        world.ms += 10_000
    minute(world)
    minute(world)
    world.sample("api", cpu=20.0)
    assert len(told(world, "assessed")) == 5


def test_a_service_that_is_not_in_the_inventory_is_assessed_by_its_metrics() -> None:
    """Whoever reports metrics is followed; whoever only writes lines and is not in the inventory is not."""
    world = a_world("api")
    for _ in range(2):
        world.sample("stranger", cpu=20.0)
        lines(world, "talker", info=50, error=50)
        minute(world)
    assert [one.service for one in world.decisions if one.kind == "assessed"] == ["stranger"]


def test_error_lines_stand_in_for_an_error_rate() -> None:
    """Of ten lines and more, the share of severity error and above is the error rate; of nine it is not known."""
    world = a_world("api", "db")
    lines(world, "api", info=15, warning=1, error=3, critical=1)
    lines(world, "db", info=6, error=3)
    minute(world)
    assert figures(only(lines(world, "api", info=1), "assessed"))["error_rate"] == 20.0
    assert kinds(lines(world, "db", info=1)) == []


def test_every_minute_counts_its_own_lines() -> None:
    """A minute of errors does not weigh on the next one."""
    world = a_world("api")
    lines(world, "api", error=100)
    minute(world)
    lines(world, "api", info=10)
    minute(world)
    assert figures(only(lines(world, "api", info=1), "assessed"))["error_rate"] == 0.0


def test_lines_count_a_minute_late() -> None:
    """Lines of the minute before count in this one; older ones are history and count in none."""
    world = a_world("api")
    minute(world)
    lines(world, "api", info=10)
    lines(world, "api", age_ms=MINUTE_MS, error=10)
    lines(world, "api", age_ms=3 * MINUTE_MS, error=500)
    minute(world)
    assert figures(only(lines(world, "api", info=1), "assessed"))["error_rate"] == 50.0


def test_probes_stand_in_for_availability_and_response_time() -> None:
    """The share of green liveness probes is the availability, and their latency the time that it takes to answer."""
    world = a_world("api")
    for ok, kind, latency_ms in (
        (True, "http", 40),
        (True, "http", 60),
        (True, "process", 900),
        (False, "http", 2_000),
    ):
        event = ProbeReported(
            host="h1", service="api", kind=kind, ok=ok, code="", at_ms=world.ms, latency_ms=latency_ms
        )
        world.say(event, "workers")
    world.probe("api", ok=False, kind="memory")
    minute(world)
    found = figures(only(world.probe("api", ok=True), "assessed"))
    assert (found["availability"], found["response_time"]) == (75.0, 50.0)


def test_counters_are_differenced_in_the_fold() -> None:
    """Totals of requests and errors become requests a second and the share of errors among them."""
    world = a_world("api")
    for number in range(3):
        requests, errors = total(world, "throughput", 600.0 * number), total(world, "error_rate", 3_000.0 * number)
        world.slice("metrics", lines=0, samples=(errors, requests))
        world.ms += 20_000
    minute(world)
    found = figures(only(world.sample("api", cpu=1.0), "assessed"))
    assert (found["throughput"], found["error_rate"]) == (30.0, 5.0)


def test_a_backlog_in_one_slice_is_measured_second_by_second() -> None:
    """Several scrapes in one slice give each its own rate, not the last one all of them."""
    world = a_world("api")
    world.ms += 60_000
    scrapes = [
        total(world, "throughput", last, at_ms=world.ms - 60_000 + at)
        for at, last in ((0, 0.0), (20_000, 200.0), (40_000, 1_000.0))
    ]
    world.slice("metrics", lines=0, samples=tuple(scrapes))
    assert figures(only(world.sample("api", cpu=1.0), "assessed"))["throughput"] == 25.0


def test_a_full_file_system_is_not_hidden_by_an_empty_one() -> None:
    """Of the file systems in one sample, the fullest counts."""
    world = a_world("api")
    both = total(world, "disk", 10.0, kind="gauge", count=2, sum=106.0, min=10.0, max=96.0, series="system_filesystem")
    world.slice("metrics", lines=0, samples=(both,))
    minute(world)
    assert figures(only(world.sample("api", cpu=1.0), "assessed"))["disk"] == 96.0


def test_a_change_of_status_is_told_once() -> None:
    """A status is told when it changes, with what takes most; the first one is not, and the same one again is not."""
    world = a_world("api")
    for cpu in (20.0, 20.0, 100.0, 100.0, 20.0, 20.0):
        world.sample("api", cpu=cpu)
        minute(world)
    assert told(world, "health_changed") == ["excellent to poor: cpu", "poor to excellent"]


def test_a_failed_liveness_probe_is_failure_at_once() -> None:
    """When failures count as a symptom the service has failed, without waiting for its minute; and it recovers."""
    world = a_world("api")
    world.sample("api", cpu=20.0)
    world.probe("api", ok=True)
    assert kinds(world.probe("api", ok=False)) == []
    changed = only(world.probe("api", ok=False), "health_changed")
    assert (changed.reason, figures(changed)) == ("unknown to failed: availability", {"score": 0.0})
    assert kinds(world.probe("api", ok=False)) == []
    assert only(world.probe("api", ok=True), "health_changed").reason.startswith("failed to ")


def test_probes_that_only_foretell_do_not_fail_a_service() -> None:
    """A disk that fills up is an incident, but the service answers."""
    world = a_world("api")
    for _ in range(3):
        world.probe("api", ok=False, kind="disk")
    assert told(world, "health_changed") == []


def test_a_failed_service_is_assessed_as_failed() -> None:
    """While it is down its minutes are of status failed, with a score of 0."""
    world = a_world("api")
    for _ in range(4):
        world.probe("api", ok=False)
        world.ms += 30_000
    found = only(world.probe("api", ok=False), "assessed")
    assert (found.reason, figures(found)["score"]) == ("failed", 0.0)


def test_the_last_minute_of_a_failure_is_failed() -> None:
    """A probe that is green again ends the failure with its own minute, not with the one before it."""
    world = a_world("api")
    for _ in range(3):
        world.probe("api", ok=False)
    minute(world)
    decided = world.probe("api", ok=True)
    assert only(decided, "assessed").reason == "failed"
    assert only(decided, "health_changed").reason == "failed to excellent"


def test_a_failure_ends_with_its_probes() -> None:
    """A service whose probes are taken out of the inventory is not down for ever."""
    world = a_world("api")
    for _ in range(3):
        world.probe("api", ok=False)
    world.apply("inventory", Inventory(services=(spec("api", port=9),)))
    for _ in range(6):
        world.sample("api", cpu=1.0)
        minute(world)
    assert told(world, "health_changed")[-1].endswith(" to excellent")


def test_a_producer_may_say_that_a_service_is_down() -> None:
    """An availability of 0 for a whole minute is failure; a part of it is not."""
    world = a_world("api")
    for value in (100.0, 0.0, 30.0):
        world.sample("api", availability=value)
        minute(world)
    world.sample("api", availability=30.0)
    found = [one for one in world.decisions if one.kind == "assessed"]
    assert [one.reason for one in found] == ["excellent", "failed", "critical"]
    assert state_of(world).foresight.by_service["api"].failed_at_ms == found[1].at_ms + MINUTE_MS - 1


def test_an_unknown_metric_is_skipped() -> None:
    """A sample of a metric that there is not neither stops the fold nor follows its service."""
    world = a_world("api")
    odd = total(world, "happiness", 1.0, service="odd")
    assert world.slice("metrics", lines=0, samples=(odd,)) == []
    minute(world)
    assert world.slice("metrics", lines=0, samples=(odd,)) == []


def test_old_evidence_is_assessed() -> None:
    """An import gives a service its history of minutes, in event time."""
    world = a_world("api")
    for number in range(4):
        world.sample("api", 86_400 - number * 60, cpu=20.0)
    found = [one.at_ms for one in world.decisions if one.kind == "assessed"]
    assert [later - sooner for sooner, later in pairwise(found)] == [MINUTE_MS, MINUTE_MS]


def test_the_longest_silent_service_is_followed_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, one that was silent for a quarter of an hour makes room; what it alerted is resolved."""
    monkeypatch.setattr(assessing, "VITALS_MAX", 2)
    world = a_world()
    for number in range(20):
        world.sample("busy", cpu=1.0)
        if number < 2:
            world.sample("old", cpu=100.0)
            world.slice("metrics", lines=0, samples=(total(world, "network", 1.0, service="old"),))
        minute(world)
    decided = world.sample("new", cpu=1.0)
    assert [(one.kind, one.service) for one in decided] == [("alert_resolved", "old"), ("unfollowed", "old")]
    assert set(state_of(world).foresight.by_service) == {"busy", "new"}
    assert state_of(world).vitals.counters == 0
    minute(world)
    assert only(world.sample("new", cpu=1.0), "assessed").service == "new"


def test_a_service_that_is_gone_is_followed_no_longer() -> None:
    """After 25 silent hours a service is forgotten and its alert taken back; after a day it is not."""
    world = a_world()
    for _ in range(2):
        world.sample("old", cpu=100.0)
        minute(world)
    for _ in range(24 * 60):
        world.sample("busy", cpu=1.0)
        minute(world)
    assert told(world, "unfollowed") == []
    for _ in range(62):
        world.sample("busy", cpu=1.0)
        minute(world)
    found = [(one.kind, one.service) for one in world.decisions if one.kind in {"alert_resolved", "unfollowed"}]
    assert found == [("alert_resolved", "old"), ("unfollowed", "old")]
    assert set(state_of(world).vitals.followed) == {"busy"}


@pytest.mark.parametrize("again", [0, 1])
def test_a_service_may_go_in_the_middle_of_a_slice(again: int) -> None:
    """A late counter of a service that the same slice sends away, and may bring back, stops nothing."""
    world = a_world()
    world.sample("old", cpu=1.0)
    minute(world)
    world.sample("busy", cpu=1.0)
    for _ in range(26 * 60):
        minute(world)
        world.apply("policy", QUICK)
    late = total(world, "network", 1.0, service="old", at_ms=world.facts[0][2])
    now = total(world, "cpu", 1.0, service="busy", kind="gauge")
    back = [total(world, "cpu", 1.0, service="old", kind="gauge", at_ms=late.at_ms)] * again
    assert kinds(world.slice("metrics", lines=0, samples=(late, now, *back))) == ["assessed", "unfollowed"]
    assert len(state_of(world).vitals.followed) == 1 + again


def test_no_room_is_told_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that are followed speak, a new one is not followed, and that is said once an hour and not each time."""
    monkeypatch.setattr(assessing, "VITALS_MAX", 1)
    world = a_world()
    for _ in range(70):
        world.sample("busy", cpu=1.0)
        world.sample("new", cpu=1.0)
        minute(world)
    said = [one for one in world.decisions if one.kind == "unfollowed"]
    assert [one.service for one in said] == ["", ""]
    assert {one.service for one in world.decisions if one.kind == "assessed"} == {"busy"}


def test_strangers_leave_for_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many made-up services report without a pause, one of the inventory is followed, and stays."""
    monkeypatch.setattr(assessing, "VITALS_MAX", 3)
    world = a_world()
    for number in range(10):
        if number == 2:
            world.apply("inventory", Inventory(services=(spec("api"), spec("db"))))
        for name in ("w", "x", "y", "z", *(("api", "db") if number > 2 else ())):
            world.sample(name, cpu=1.0)
        minute(world)
    assert set(state_of(world).vitals.followed) >= {"api", "db"}
    left = [(one.service, one.reason) for one in world.decisions if one.kind == "unfollowed" and one.service]
    assert [reason for _, reason in left] == ["not in the inventory, and another one is"] * 2
    assert len(state_of(world).vitals.followed) == 3


def test_measuring_goes_on_after_a_restart() -> None:
    """A fold restored from a snapshot assesses the same bytes as one that never stopped."""
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"),)))
    for number in range(8):
        world.sample("api", cpu=10.0 * number, response_time=40.0)
        world.slice("metrics", lines=0, samples=(total(world, "throughput", 100.0 * number),))
        world.ms += 25_000
    copy, cut = Fold.restore(world.fold.snapshot(), strategies()), len(world.facts)
    for number in range(20):
        world.sample("api", cpu=min(60.0 + 5 * number, 100.0), response_time=40.0 * number)
        world.slice("metrics", lines=0, samples=(total(world, "throughput", 800.0 + number),))
        world.ms += 25_000
    again = [one for fact, offset, ms in world.facts[cut:] for one in copy.apply(fact, offset, ms)]
    assert {"assessed", "health_changed", "alerted"} <= set(kinds(again))
    assert [sha256_of(one) for one in again] == [sha256_of(one) for one in world.decisions[-len(again) :]]
    assert copy.snapshot() == world.fold.snapshot()


def test_a_gauge_of_no_value_stops_nothing() -> None:
    """A sample that says that it is of no value at all is taken at its sum."""
    world = a_world("api")
    world.slice("metrics", lines=0, samples=(total(world, "memory", 5.0, kind="gauge", count=0, sum=5.0),))
    minute(world)
    assert figures(only(world.sample("api", memory=5.0), "assessed"))["memory"] == 5.0
