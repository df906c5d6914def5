"""What the 64 and the 32 values are, and what is never in them."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from streams.core.events import CATEGORIES, HEALTH_METRICS, SEVERITIES
from streams.core.features import (
    ERROR_FEATURES,
    SERVICE_FEATURES,
    SPANS,
    Situation,
    Trouble,
    of_error,
    of_service,
)
from streams.core.inventory import SERVICE_TYPES
from streams.core.tracks import ABSENT, FEATURE_MAX, Span, Track

MINUTE_MS = 60_000
PERCENT = SPANS["memory"]
OPEN = SPANS["response_time"]


def track(*values: float, every_ms: int = MINUTE_MS, span: Span = PERCENT) -> Track:
    """Return a track that heard these values, the first at 0."""
    heard = Track()
    for number, value in enumerate(values):
        heard.add(number * every_ms, value, span)
    return heard


def part(name: str, vector: tuple[float, ...]) -> float:
    """Return a named value of a service's vector."""
    return vector[SERVICE_FEATURES.index(name)]


def test_layout_of_a_service() -> None:
    """64 names, five for each of the twelve metrics in their order, then the four of the situation."""
    assert len(SERVICE_FEATURES) == len(set(SERVICE_FEATURES)) == 64
    assert [name.partition(".")[0] for name in SERVICE_FEATURES[:60:5]] == list(HEALTH_METRICS)
    assert SERVICE_FEATURES[5:10] == (
        "memory.value",
        "memory.mean_1m",
        "memory.slope",
        "memory.anomaly",
        "memory.range_5m",
    )
    assert SERVICE_FEATURES[60:] == ("health_score", "minutes_since_failure", "open_incidents", "correlated_in_trouble")


def test_layout_of_an_error() -> None:
    """32 names: 6 types of service, 5 severities from 6, 12 categories from 11, and nine numbers from 23."""
    assert len(ERROR_FEATURES) == len(set(ERROR_FEATURES)) == 32
    assert len(SERVICE_TYPES) == 6
    assert ERROR_FEATURES[6:11] == tuple(f"severity.{name}" for name in SEVERITIES)
    assert ERROR_FEATURES[11:23] == tuple(f"category.{name}" for name in CATEGORIES)
    assert ERROR_FEATURES[23:26] == ("memory_gib", "cpu_share", "errors_per_minute")


def test_an_error() -> None:
    """Its component, severity and category are one 1 each; the numbers stand behind them."""
    trouble = Trouble(
        component="docker", severity="fatal", category="memory", memory_gib=3.5, health_score=40.0, attempts=2
    )
    vector = of_error(trouble)
    ones = [name for name, value in zip(ERROR_FEATURES, vector, strict=True) if value == 1.0]
    assert ones == ["component.docker", "severity.fatal", "category.memory"]
    assert vector[23:] == (3.5, 0.0, 0.0, 0.4, 0.0, 0.0, 2.0, 0.0, 0.0)


def test_an_error_of_a_stranger() -> None:
    """A service that is not in the inventory is of no type."""
    assert of_error(Trouble(component="", severity="error", category="disk"))[:6] == (0.0,) * 6


def test_the_five_of_a_percentage() -> None:
    """0..100 becomes -1..1; the slope is per minute; the range is that of all values of five minutes."""
    rising = track(50.0, 55.0, 60.0, 65.0, 70.0, 75.0)
    value, mean, slope, _, spread = rising.features(5 * MINUTE_MS, PERCENT)
    assert (value, slope, spread) == pytest.approx((0.5, 0.05, 0.25))
    assert mean == pytest.approx(0.45, abs=0.01)


def test_the_mean_is_of_the_last_minute() -> None:
    """Half way through a minute, half of the minute before still counts."""
    heard = Track()
    for at_ms, value in ((0, 10.0), (30_000, 10.0), (60_000, 40.0)):
        heard.add(at_ms, value, PERCENT)
    _, mean, *_ = heard.features(90_000 - 1, PERCENT)
    assert mean == pytest.approx(2 * 25.0 / 100 - 1)


def test_a_value_without_bounds_is_compared_with_its_history() -> None:
    """Twice the usual response time is 0.5 above it, relative to what there is now."""
    usual = track(*[100.0] * 10, span=OPEN)
    assert usual.features(9 * MINUTE_MS, OPEN)[0] == 0.0
    usual.add(10 * MINUTE_MS, 200.0, OPEN)
    assert usual.features(11 * MINUTE_MS - 1, OPEN)[1] == pytest.approx(0.5, abs=0.01)


def test_anomaly_is_against_the_own_history() -> None:
    """A minute far from a settled history is an anomaly; the same value in a history that holds it is none."""
    calm, busy = track(*[20.0, 21.0] * 10), track(*[80.0, 81.0] * 10)
    for heard in (calm, busy):
        heard.add(20 * MINUTE_MS, 80.0, PERCENT)
    assert calm.features(20 * MINUTE_MS, PERCENT)[3] == 1.0
    assert abs(busy.features(20 * MINUTE_MS, PERCENT)[3]) < 0.1


def test_no_anomaly_before_there_is_a_history() -> None:
    """In its first five minutes nothing is an anomaly."""
    heard = track(20.0, 20.0, 20.0, 90.0)
    assert heard.features(3 * MINUTE_MS, PERCENT)[3] == 0.0


def test_one_wild_minute_does_not_become_usual() -> None:
    """After one absurd minute, the history is where it was before by a few deviations at most."""
    heard = track(*[20.0, 21.0] * 10, 1e300, 20.0)
    assert 20.0 <= heard.usual <= 21.0


@pytest.mark.parametrize("metric", HEALTH_METRICS)
def test_a_missing_metric(metric: str) -> None:
    """A metric that was never reported, or not for five minutes, is five zeros: never an anomaly."""
    heard = {metric: track(*[50.0] * 8, 99.0, span=SPANS[metric])}
    silent_ms = 15 * MINUTE_MS
    assert of_service({}, Situation(), silent_ms) == (0.0,) * 64
    assert of_service(heard, Situation(), silent_ms) == (0.0,) * 64
    assert track().features(0, SPANS[metric]) == ABSENT


def test_the_situation() -> None:
    """The last four are health / 100, minutes since the last failure, open incidents and correlated services."""
    situation = Situation(health_score=85.0, minutes_since_failure=7.5, open_incidents=2, correlated_in_trouble=1)
    assert of_service({}, situation, 0)[60:] == (0.85, 7.5, 2.0, 1.0)


def test_a_late_value_goes_to_its_minute() -> None:
    """A value that comes late counts in the minute that it is of, and is not the latest one."""
    heard = track(10.0, 20.0, 30.0)
    heard.add(MINUTE_MS + 1, 70.0, PERCENT)
    assert heard.minutes[1].most == 70.0
    assert heard.last == 30.0


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000_000), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=60
    ),
    st.sampled_from((PERCENT, OPEN)),
)
def test_whatever_comes_stays_bounded(values: list[tuple[int, float]], span: Span) -> None:
    """From any finite values in any order come features within their bounds, and at most six minutes are held."""
    heard = Track()
    for at_ms, value in values:
        heard.add(at_ms, value, span)
    five = heard.features(max(at_ms for at_ms, _ in values), span)
    assert all(math.isfinite(value) and abs(value) <= FEATURE_MAX for value in five)
    assert abs(five[3]) <= 1.0
    assert len(heard.minutes) <= span.minutes + 1
    assert len(msgspec.msgpack.encode(heard)) < 350


@given(*[st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30)] * 3)
def test_features_do_not_look_ahead(common: list[float], one: list[float], other: list[float]) -> None:
    """Of two series with a common begin, the features along that begin are the same."""
    said = []
    for values in (common + one, common + other):
        heard = Track()
        vectors = []
        for number, value in enumerate(values):
            heard.add(number * 20_000, value, PERCENT)
            vectors.append(of_service({"memory": heard}, Situation(), number * 20_000))
        said.append(vectors[: len(common)])
    assert said[0] == said[1]


def test_a_track_survives_a_snapshot() -> None:
    """A track that was kept and read again goes on as if nothing had happened."""
    heard = track(*[float(at % 7) for at in range(40)])
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(heard), type=Track)
    for one in (heard, again):
        one.add(41 * MINUTE_MS, 50.0, PERCENT)
    assert again == heard
