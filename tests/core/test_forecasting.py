"""Forecasts in the fold: recorded every quarter of an hour, limits said once, and what came of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.catalogue import strategies
from streams.core import forecasting, outlooks
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.forecast import forecast, until
from streams.core.num import draw
from streams.core.outlooks import Series
from tests.core.world import World, figure, of_kind, spec


def minutes(world: World, service: str, metric: str, *values: float) -> list[Decision]:
    """Let a service report a metric once a minute; return what was decided."""
    decided = []
    for value in values:
        decided += world.sample(service, **{metric: value})
        decided += world.wait(60)
    return decided


def ramp(first: float, step: float, count: int) -> list[float]:
    """Return so many values that grow by a step."""
    return [first + step * number for number in range(count)]


def test_a_forecast_is_recorded_every_quarter_of_an_hour() -> None:
    """Two hours of memory give a forecast every fifteen minutes of event time, the first after 25 minutes."""
    said = of_kind(minutes(World(), "api", "memory", *[40.0] * 120), "forecast")
    assert [later.at_ms - one.at_ms for one, later in pairwise(said)] == [900_000] * (len(said) - 1)
    assert len(said) == 7
    assert {one.reason for one in said} == {"memory"}


def test_a_forecast_looks_as_far_as_its_history_allows() -> None:
    """The first forecast is 15 minutes ahead, those with more than 40 minutes of history 30."""
    said = of_kind(minutes(World(), "api", "memory", *[40.0] * 70), "forecast")
    assert [figure(one, "ahead_ms") for one in said] == [900_000.0, 1_800_000.0, 1_800_000.0]


def test_a_forecast_follows_the_trend_to_the_minute() -> None:
    """Of a memory that grows by 0.5 a minute, what is said is what comes 30 minutes later, and lies in its interval."""
    values = ramp(30.0, 0.5, 100)
    world = World()
    begin_ms = world.ms // 60_000 * 60_000
    for one in of_kind(minutes(world, "api", "memory", *values), "forecast")[1:3]:
        came = values[(one.at_ms + int(figure(one, "ahead_ms")) - begin_ms) // 60_000]
        assert figure(one, "value") == pytest.approx(came, abs=0.51)
        assert figure(one, "low") <= came <= figure(one, "high")
        assert figure(one, "slope") == pytest.approx(0.5)


def test_metrics_without_a_limit_are_not_forecast() -> None:
    """Throughput has no limit: nothing is held of it, and nothing said."""
    world = World()
    assert of_kind(minutes(world, "api", "throughput", *[40.0] * 60), "forecast") == []
    assert world.fold._state.foresight.trends == 0


@pytest.mark.parametrize(("use", "advice"), [(30.0, "scale_down"), (60.0, ""), (90.0, "scale_up")])
def test_capacity_is_planned_with_the_forecast(use: float, advice: str) -> None:
    """At a target of 80 %, 90 % of memory takes more of it, 60 % what there is, and 30 % half of it."""
    said = of_kind(minutes(World(), "api", "memory", *[use] * 30), "forecast")[0]
    assert said.strategy == advice
    assert figure(said, "use") == pytest.approx(use / 100.0)
    assert figure(said, "units") == pytest.approx(use / 0.8, abs=1.0)


def test_a_queue_with_a_declared_limit_is_forecast() -> None:
    """A pool of 200 that fills by two a minute is said to be exhausted; a queue of no known limit is not forecast."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("pool", queue_limit=200), spec("mail"))))
    decided = []
    for depth in [*[40.0] * 15, *ramp(40.0, 2.0, 60)]:
        decided += minutes(world, "pool", "queue_depth", depth)
        decided += world.sample("mail", queue_depth=depth)
    (expected,) = of_kind(decided, "exhaustion_expected")
    assert (expected.service, expected.reason, figure(expected, "limit")) == ("pool", "queue_depth", 200.0)
    assert {one.service for one in of_kind(decided, "forecast")} == {"pool"}


def test_a_temperature_is_no_capacity() -> None:
    """A temperature is forecast, but there can't be more of it: no units, no advice."""
    said = of_kind(minutes(World(), "api", "temperature", *[90.0] * 30), "forecast")[0]
    assert "units" not in {one.name for one in said.figures}
    assert said.strategy == ""


def test_an_exhaustion_is_expected_once_and_comes() -> None:
    """A disk that fills by 1 % a minute is said to be full within half an hour, once, and full when it is."""
    decided = minutes(World(), "api", "disk", *[40.0] * 15, *ramp(40.0, 1.0, 61), *[100.0] * 10)
    (expected,) = of_kind(decided, "exhaustion_expected")
    (came,) = of_kind(decided, "exhaustion_came")
    assert (expected.reason, expected.strategy, came.refers_to) == ("disk", "scale_down", expected.id)
    due_ms = expected.at_ms + figure(expected, "expected_ms")
    assert figure(expected, "earliest_ms") <= figure(expected, "expected_ms") <= 1_800_000
    assert came.at_ms - due_ms == pytest.approx(0.0, abs=300_000)
    assert figure(came, "since_ms") == came.at_ms - expected.at_ms
    assert of_kind(decided, "exhaustion_averted") == []


def test_an_exhaustion_that_goes_away_is_averted() -> None:
    """A memory that is freed before its limit is averted once, after five minutes."""
    world = World()
    leak = minutes(world, "api", "memory", *[40.0] * 15, *ramp(40.0, 1.0, 45))
    (expected,) = of_kind(leak, "exhaustion_expected")
    (averted,) = of_kind(minutes(world, "api", "memory", *[40.0] * 30), "exhaustion_averted")
    assert (averted.reason, averted.refers_to) == ("memory", expected.id)


def test_an_exhaustion_of_a_service_that_falls_silent_is_averted() -> None:
    """A service that reports other metrics only is not on its way to a limit any more."""
    world = World()
    leak = minutes(world, "api", "memory", *[40.0] * 15, *ramp(40.0, 1.0, 45))
    assert len(of_kind(leak, "exhaustion_expected")) == 1
    assert len(of_kind(minutes(world, "api", "throughput", *[1.0] * 20), "exhaustion_averted")) == 1


def test_what_is_old_is_not_forecast() -> None:
    """Two hours of samples that come three hours late fill the trend and say nothing."""
    world = World()
    for value in ramp(30.0, 0.5, 100):
        assert of_kind(world.sample("api", age_s=10_800, memory=value), "forecast") == []
        assert of_kind(world.wait(60), "forecast") == []
    assert len(world.fold._state.foresight.by_service["api"].series["memory"].trend.buckets) == 60


def test_a_minute_that_is_reported_late_still_counts() -> None:
    """Memory that is always reported two minutes late is forecast as well, two minutes staler."""
    world = World()
    decided = []
    for value in ramp(30.0, 0.5, 50):
        decided += world.sample("api", throughput=1.0)
        decided += world.sample("api", age_s=120, memory=value)
        decided += world.wait(60)
    assert len(of_kind(decided, "forecast")) == 2


def test_the_highest_of_several_disks_counts() -> None:
    """Where health.toml says so, a minute's maximum is forecast: one full file system is not averaged away."""
    world = World()
    for _ in range(30):
        world.sample("api", disk=20.0)
        world.sample("api", disk=90.0)
        world.wait(60)
    assert figure(of_kind(world.decisions, "forecast")[0], "level") == 90.0


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a series is not forecast; what is forgotten makes room."""
    monkeypatch.setattr(forecasting, "TRENDS_MAX", 1)
    world = World()
    minutes(world, "one", "memory", 40.0, 40.0)
    minutes(world, "two", "memory", 40.0, 40.0)
    held = world.fold._state.foresight
    assert (held.trends, list(held.by_service["two"].series)) == (1, [])
    held.forget("one")
    minutes(world, "two", "memory", 40.0, 40.0)
    assert (held.trends, list(held.by_service["two"].series)) == (1, ["memory"])
    assert outlooks.TRENDS_MAX > 1


def test_the_policy_says_how_often_and_how_near() -> None:
    """A forecast every 5 minutes, and a limit that counts only when it is 10 minutes away."""
    world = World()
    world.apply("policy", Policy(forecast_every_ms=300_000, exhaustion_within_ms=600_000))
    decided = minutes(world, "api", "disk", *[40.0] * 15, *ramp(40.0, 1.0, 61))
    (expected,) = of_kind(decided, "exhaustion_expected")
    assert figure(expected, "expected_ms") <= 600_000
    assert {later.at_ms - one.at_ms for one, later in pairwise(of_kind(decided, "forecast"))} == {300_000}


def test_what_is_not_forecast_can_not_be_near_its_limit() -> None:
    """Of 400 ramps with noise each one that would be expected to reach its limit is one that is looked at."""
    bound, near, spared = strategies().bounds["disk"], 0, 0
    for number in range(400):
        series, slope = Series(), 3.0 * draw(f"slope {number}") - 1.0
        first = 20.0 + 60.0 * draw(f"first {number}")
        for minute in range(15 + int(46 * draw(f"length {number}"))):
            noise = 8.0 * (draw(f"{number} {minute}") - 0.5)
            series.trend.add(minute * 60_000, max(min(first + slope * minute + noise, 100.0), 0.0))
        now_ms = (minute + 1) * 60_000
        said = forecast(series.trend, now_ms, forecasting.NEAR_MS, bound.least, bound.most)
        found = until(said, now_ms, bound.limit)
        looked_at = forecasting._may_reach(series, bound, 1_800_000)
        if found.valid and (0 <= found.expected_ms <= 1_800_000 or said.level >= bound.limit):
            near += 1
            assert looked_at
        spared += not looked_at
    assert near > 20
    assert spared > 80
