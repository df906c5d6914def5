"""What samples of metrics mean to the fold: a sign of life, and nothing about what a service's lines say."""

from __future__ import annotations

import pytest

from streams.core import services
from streams.core.samples import sample
from tests.core.test_fold import a_world, only
from tests.core.world import World, kinds


def measured(world: World, service: str, behind_ms: int = 0) -> None:
    """Append a slice of metrics with a sample of a service."""
    at_ms = world.ms - behind_ms
    found = sample(at_ms, service, "h1", "cpu", 99.0)
    world.slice("metrics", lines=0, points=1, at_max_ms=at_ms, samples=(found,))


def test_a_measured_service_is_not_the_longest_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the state is full, a service that only sends metrics stays, and one that says nothing leaves."""
    monkeypatch.setattr(services, "SERVICES_MAX", 2)
    world = a_world("api")
    for name in ("api", "store"):
        world.normal(name)
    measured(world, "api")
    (evicted,) = world.normal("mail")
    assert (evicted.kind, evicted.service) == ("service_evicted", "store")


def test_metrics_verify_nothing() -> None:
    """A service that sends metrics after an action, and no normal line, is unverified."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.outcome(command.id)
    measured(world, "api")
    world.wait(10)
    measured(world, "api")
    assert kinds(world.wait(60)) == ["unverified", "incident_closed"]


def test_late_metrics_do_not_hold_a_verification_back() -> None:
    """Metrics that lag by twenty seconds leave the window of the lines as it is."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    measured(world, "api", behind_ms=20_000)
    world.outcome(command.id)
    world.wait(2)
    world.normal("api")
    assert kinds(world.wait(6)) == []
    world.ms += 4_000
    measured(world, "api", behind_ms=20_000)
    world.normal("api")
    assert kinds(world.wait(1)) == ["verified", "incident_closed"]
