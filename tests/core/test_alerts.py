"""Alerts: five levels, raised by what a metric takes, worsened while it lasts, resolved when it is over."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.core.events import Decision
from tests.core.test_assessing import figures, minute, told
from tests.core.test_fold import QUICK, a_world
from tests.core.world import World


def minutes(world: World, count: int, **metrics: float) -> list[Decision]:
    """Let a service report the same values for so many minutes; return what was told of alerts."""
    decided: list[Decision] = []
    for _ in range(count):
        decided += world.sample("api", **metrics)
        minute(world)
    return [one for one in decided if one.kind in {"alerted", "alert_resolved"}]


def levels(decisions: list[Decision]) -> list[tuple[str, str]]:
    """Return metric and level of alerts."""
    return [(one.reason, one.severity) for one in decisions]


@pytest.mark.parametrize(
    ("metrics", "level"),
    [
        ({"cpu": 88.0}, None),
        ({"cpu": 95.0}, "info"),
        ({"cpu": 100.0}, "warning"),
        ({"disk": 100.0}, "error"),
        ({"availability": 0.0}, "critical"),
    ],
)
def test_the_level_is_that_of_the_status(metrics: dict[str, float], level: str | None) -> None:
    """Fair is info, poor a warning, critical an error, failed critical; nobody is told of less."""
    found = minutes(a_world("api"), 2, **metrics)
    assert levels(found) == ([(next(iter(metrics)), level)] if level else [])


def test_an_alert_says_what_was_measured() -> None:
    """The figures are the value, what is usual, the points that it takes alone, and the score."""
    world = a_world("api")
    minutes(world, 7, cpu=20.0)
    (found,) = minutes(world, 2, cpu=100.0)
    said = figures(found)
    assert (said["measured"], said["usual"], said["points"], said["score"]) == (100.0, 20.0, 40.0, 60.0)
    assert (found.service, found.pattern, found.refers_to) == ("api", "", "")


def test_each_metric_has_the_level_of_what_it_takes_alone() -> None:
    """The one that takes most has the level of the service's status; another the one it would have by itself."""
    found = minutes(a_world("api"), 2, memory=100.0, cpu=94.0)
    assert levels(found) == [("cpu", "info"), ("memory", "error")]


def test_an_alert_rises_when_it_gets_worse() -> None:
    """A higher level is told at once and refers to the first alert; a lower one is not told."""
    world = a_world("api")
    (first,) = minutes(world, 2, cpu=96.0)
    (second,) = minutes(world, 2, cpu=100.0)
    assert (first.severity, second.severity, second.refers_to) == ("info", "warning", first.id)
    assert minutes(world, 2, cpu=96.0) == []


def test_an_alert_rises_while_it_lasts() -> None:
    """With every ``alert_escalate_ms`` it rises by one level, up to the highest of its state and no further."""
    world = a_world("api", policy=replace(QUICK, alert_escalate_ms=300_000))
    found = minutes(world, 40, disk=100.0)
    assert levels(found) == [("disk", "error"), ("disk", "critical")]
    assert figures(found[1])["lasted_ms"] == 300_000.0


def test_a_service_that_stays_down_is_fatal() -> None:
    """The fifth level is a failure that lasts."""
    world = a_world("api")
    for _ in range(30):
        world.probe("api", ok=False)
        world.ms += 30_000
    assert [one.severity for one in world.decisions if one.kind == "alerted"] == ["critical", "fatal"]


def test_failure_resolves_nothing() -> None:
    """While a service is down nobody knows whether its other faults are over."""
    world = a_world("api")
    minutes(world, 2, cpu=100.0)
    for _ in range(12):
        world.probe("api", ok=False)
        world.ms += 30_000
    world.sample("api", cpu=20.0)
    assert (told(world, "alerted"), told(world, "alert_resolved")) == (["cpu", "availability"], [])


def test_an_alert_is_resolved_after_calm() -> None:
    """Three minutes without a fault resolve it; one good minute does not."""
    world = a_world("api")
    (raised,) = minutes(world, 2, cpu=100.0)
    assert minutes(world, 3, cpu=20.0) == []
    (resolved,) = minutes(world, 2, cpu=20.0)
    assert (resolved.kind, resolved.reason, resolved.refers_to) == ("alert_resolved", "cpu", raised.id)
    assert (resolved.severity, figures(resolved)["lasted_ms"]) == ("warning", 240_000.0)
    assert minutes(world, 5, cpu=20.0) == []


def test_a_flapping_metric_is_one_alert() -> None:
    """A metric that is at fault every other minute is told of once, and again only because it lasts."""
    world = a_world("api")
    for _ in range(10):
        minutes(world, 1, cpu=100.0)
        minutes(world, 1, cpu=20.0)
    assert [one.refers_to == "" for one in world.decisions if one.kind == "alerted"] == [True, False]
    assert told(world, "alert_resolved") == []


def test_a_metric_that_is_reported_no_longer_is_resolved() -> None:
    """Nobody knows of a fault that nobody measures: its alert ends."""
    world = a_world("api")
    minutes(world, 2, cpu=100.0, memory=10.0)
    assert levels(minutes(world, 10, memory=10.0)) == [("cpu", "warning")]
    assert told(world, "alert_resolved") == ["cpu"]


def test_old_evidence_alerts_nobody() -> None:
    """What an import shows is in the history, but no person is told of it."""
    world = a_world("api")
    for number in range(10):
        world.sample("api", 86_400 - number * 60, cpu=100.0)
    assert told(world, "assessed") == ["poor"] * 9
    assert told(world, "alerted") == []
