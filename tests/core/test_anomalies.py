"""What is unlike a service's own past is said once, and once that it is over."""

from __future__ import annotations

import pytest

from streams.core import anomalies, outlooks
from streams.core.config import Inventory, Policy
from streams.core.events import Decision, Tally
from streams.core.num import draw
from tests.core.world import World, figure, of_kind, spec


def minute(world: World, service: str, **metrics: float) -> list[Decision]:
    """Let a service report metrics, and a minute pass."""
    return world.sample(service, **metrics) + world.wait(60)


def usual(world: World, service: str, minutes: int, *metrics: str) -> list[Decision]:
    """Let a service report metrics about 50 for so many minutes."""
    decided = []
    for at in range(minutes):
        decided += minute(world, service, **{name: 50.0 + 4.0 * draw(f"{name} {at}") for name in metrics})
    return decided


def odd(world: World, service: str, minutes: int, *metrics: str, by: float = 40.0) -> list[Decision]:
    """Let a service report metrics far from that."""
    decided = []
    for at in range(minutes):
        decided += minute(world, service, **{name: 50.0 + by + 4.0 * draw(f"{name} {at}") for name in metrics})
    return decided


def errors(world: World, service: str, count: int) -> list[Decision]:
    """Let a service write so many error lines, and a minute pass."""
    tally = Tally(at_ms=world.ms, service=service, severity="error", pattern="", template="t", count=count)
    return world.slice(tallies=(tally,)) + world.wait(60)


def test_one_metric_is_judged_by_itself() -> None:
    """A throughput that jumps after two hours is an anomaly once, and over some minutes after it fell back."""
    world = World()
    assert of_kind(usual(world, "api", 120, "throughput"), "anomaly_began") == []
    decided = odd(world, "api", 8, "throughput") + usual(world, "api", 60, "throughput")
    (began,), (ended,) = of_kind(decided, "anomaly_began"), of_kind(decided, "anomaly_ended")
    assert (began.service, began.reason) == ("api", "throughput")
    assert figure(began, "surprise") >= 3.0
    assert (ended.reason, ended.refers_to) == ("throughput", began.id)
    assert figure(ended, "surprise") >= figure(began, "surprise")
    assert figure(ended, "since_ms") == ended.at_ms - began.at_ms


def test_several_metrics_are_judged_jointly() -> None:
    """Of four metrics one goes astray: one anomaly of the metrics, which names the one that is furthest away."""
    world, names = World(), ("cpu", "memory", "throughput", "queue_depth")
    usual(world, "api", 120, *names)
    decided = []
    for at in range(10):
        values = {name: 50.0 + 4.0 * draw(f"{name} {at}") for name in names}
        decided += minute(world, "api", **{**values, "queue_depth": 400.0})
    (began,) = of_kind(decided, "anomaly_began")
    assert began.reason == "metrics: queue_depth"


def test_a_metric_that_comes_later_joins_the_others() -> None:
    """A third metric widens the row and does not make the past of the first two forgotten."""
    world = World()
    usual(world, "api", 60, "cpu", "throughput")
    rows = world.fold._state.foresight.by_service["api"].group
    assert of_kind(usual(world, "api", 60, "cpu", "throughput", "power"), "anomaly_began") == []
    outlook = world.fold._state.foresight.by_service["api"]
    assert outlook.metrics == ("cpu", "throughput", "power")
    assert outlook.group is rows
    assert outlook.group is not None
    assert outlook.group.rows > 110


def test_a_single_metric_that_gets_company_is_judged_with_it() -> None:
    """An anomaly of the one metric ends when the second comes, and nothing is held of it any more."""
    world = World()
    usual(world, "api", 120, "throughput")
    assert len(of_kind(odd(world, "api", 2, "throughput"), "anomaly_began")) == 1
    (ended,) = of_kind(odd(world, "api", 2, "throughput", "cpu"), "anomaly_ended")
    assert ended.reason == anomalies.JUDGED_JOINTLY
    assert world.fold._state.foresight.detectors == 0
    assert world.fold._state.foresight.groups == 1


def test_a_flood_of_error_lines_is_an_anomaly() -> None:
    """A service of the inventory that writes 300 error lines a minute instead of a few is abnormal by these."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api"),)))
    calm = [errors(world, "api", 1 + int(3 * draw(str(at)))) for at in range(90)]
    assert of_kind([one for decided in calm for one in decided], "anomaly_began") == []
    decided = errors(world, "api", 300) + errors(world, "api", 300) + errors(world, "api", 300)
    assert anomalies.ERROR_LINES in [one.reason for one in of_kind(decided, "anomaly_began")]


def test_the_first_errors_of_a_quiet_day_are_none() -> None:
    """Nine error lines after hours without any are no anomaly."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api"),)))
    for _ in range(90):
        world.normal("api")
        world.wait(60)
    decided = errors(world, "api", 9) + errors(world, "api", 9)
    world.normal("api")
    assert of_kind(decided, "anomaly_began") == []


def test_one_threshold_for_all() -> None:
    """With a threshold that nothing reaches, nothing is abnormal; with a low one, much is."""
    world, other = World(), World()
    world.apply("policy", Policy(anomaly_surprise=100.0))
    other.apply("policy", Policy(anomaly_surprise=0.5))
    for one in (world, other):
        usual(one, "api", 120, "throughput")
        odd(one, "api", 8, "throughput")
    assert of_kind(world.decisions, "anomaly_began") == []
    assert len(of_kind(other.decisions, "anomaly_began")) > 1


def test_false_alarms_are_rare() -> None:
    """Six services that report noise for four hours each make at most one anomaly."""
    world, began = World(), 0
    for at in range(240):
        for number in range(6):
            noise = {name: 50.0 + 9.0 * draw(f"{number} {name} {at}") for name in ("cpu", "power", "throughput")}
            began += len(of_kind(world.sample(f"s-{number}", **noise), "anomaly_began"))
        world.wait(60)
    assert began <= 1


def test_old_metrics_teach_and_are_not_told() -> None:
    """An anomaly of three hours ago is learnt and not said."""
    world = World()
    for at in range(130):
        value = 90.0 if at > 120 else 50.0 + 4.0 * draw(f"old {at}")
        assert of_kind(world.sample("api", age_s=10_800.0, throughput=value), "anomaly_began") == []
        world.wait(60)
    assert world.fold._state.foresight.by_service["api"].detectors["throughput"].track.values > 100


def test_anomalies_of_an_hour_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of an hour none is recorded; the next hour has room again."""
    monkeypatch.setattr(outlooks, "ANOMALIES_PER_HOUR_MAX", 1)
    held = outlooks.Outlooks()
    assert [held.may_say_anomaly(at_ms) for at_ms in (0, 1, 3_599_999, 3_600_000)] == [True, False, False, True]


@pytest.mark.parametrize(("limit", "metrics"), [("DETECTORS_MAX", ("power",)), ("GROUPS_MAX", ("power", "cpu"))])
def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch, limit: str, metrics: tuple[str, ...]) -> None:
    """A service that comes when all room is taken is not judged until another one is forgotten."""
    monkeypatch.setattr(anomalies, limit, 1)
    world = World()
    usual(world, "one", 3, *metrics)
    usual(world, "two", 3, *metrics)
    held = world.fold._state.foresight
    two = held.by_service["two"]
    assert (two.group, two.detectors) == (None, {})
    held.forget("one")
    usual(world, "two", 3, *metrics)
    assert (two.group is not None) or two.detectors
