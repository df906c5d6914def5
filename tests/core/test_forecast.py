"""Where a series is going, when it arrives, and when nothing can be said."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from streams.core.forecast import (
    BUCKET_MS,
    BUCKETS_MAX,
    UNITS_MAX,
    Capacity,
    Forecast,
    Trend,
    capacity,
    forecast,
    until,
)
from streams.core.num import draw

AHEAD_MS = 15 * BUCKET_MS


def trend(*values: float) -> Trend:
    """Return a trend that heard a value each minute, the first at 0."""
    heard = Trend()
    for minute, value in enumerate(values):
        heard.add(minute * BUCKET_MS, value)
    return heard


def leak(minutes: int, slope: float, noise: float = 0.5, begin: float = 20.0) -> list[float]:
    """Return the values of a leak: a ramp with noise that is the same every time."""
    return [begin + slope * minute + noise * (draw(f"{slope}/{minute}") - 0.5) for minute in range(minutes)]


def said_of(values: list[float], ahead_ms: int = AHEAD_MS) -> Forecast:
    """Return the forecast of values of which the last minute is just over."""
    return forecast(trend(*values), len(values) * BUCKET_MS, ahead_ms, 0.0, 100.0)


def test_not_valid_before_there_is_history() -> None:
    """Fifteen minutes ahead need twenty-five of history, thirty need forty; before that nothing is said."""
    for minutes, ahead in ((24, 15), (39, 30)):
        found = said_of(leak(minutes, 0.5), ahead * BUCKET_MS)
        assert (found.valid, found.value, found.low, found.high) == (False, 0.0, 0.0, 0.0)
        assert said_of(leak(minutes + 1, 0.5), ahead * BUCKET_MS).valid
    assert not until(said_of(leak(24, 0.5)), 24 * BUCKET_MS, 90.0).valid


def test_a_series_that_ended_is_not_forecast() -> None:
    """A series that was last heard more than five minutes ago has no forecast."""
    ended = trend(*leak(50, 0.5))
    assert forecast(ended, 50 * BUCKET_MS, AHEAD_MS).valid
    assert not forecast(ended, 60 * BUCKET_MS, AHEAD_MS).valid


@pytest.mark.parametrize("slope", [0.2, 0.5, 1.0, -0.3])
def test_a_leak_is_carried_on(slope: float) -> None:
    """A ramp is where it leads, within its interval, 15 and 30 minutes ahead; its slope is found."""
    values = leak(91, slope, begin=30.0)
    for ahead in (15, 30):
        found = forecast(trend(*values[:60]), 60 * BUCKET_MS, ahead * BUCKET_MS)
        assert found.slope == pytest.approx(slope, rel=0.1)
        assert found.low <= values[60 + ahead] <= found.high
        assert found.value == pytest.approx(30.0 + slope * (60 + ahead), abs=1.5)


def test_noise_has_no_trend() -> None:
    """What only varies is forecast to stay, and never said to reach a limit far away at any expected time."""
    values = [50.0 + 10.0 * (draw(f"noise {minute}") - 0.5) for minute in range(60)]
    found = said_of(values)
    assert found.slope == 0.0
    assert 45.0 < found.value < 55.0
    reached = until(found, 60 * BUCKET_MS, 95.0)
    assert (reached.expected_ms, reached.latest_ms) == (-1, -1)
    assert reached.earliest_ms > AHEAD_MS


def test_one_absurd_minute_changes_little() -> None:
    """A single wild value neither becomes the level nor the slope."""
    values = leak(60, 0.5)
    wild = [*values[:58], 5_000.0, values[59]]
    found, calm = forecast(trend(*wild), 60 * BUCKET_MS, AHEAD_MS), forecast(trend(*values), 60 * BUCKET_MS, AHEAD_MS)
    assert found.level == pytest.approx(values[59], abs=2.0)
    assert found.slope == pytest.approx(calm.slope, rel=0.1)


def test_time_to_exhaustion() -> None:
    """A leak's limit is expected when it is reached, and the interval holds that time."""
    now_ms = 60 * BUCKET_MS
    found = until(said_of(leak(60, 0.5)), now_ms, 20.0 + 0.5 * 100)
    assert found.expected_ms == pytest.approx(40 * BUCKET_MS, rel=0.05)
    assert found.earliest_ms < 40 * BUCKET_MS < found.latest_ms


def test_a_limit_below() -> None:
    """A falling series reaches a limit below it, and never one above."""
    falling = said_of(leak(60, -0.5, begin=90.0))
    below, above = (until(falling, 60 * BUCKET_MS, limit) for limit in (40.0, 99.0))
    assert below.expected_ms == pytest.approx(40 * BUCKET_MS, rel=0.05)
    assert (above.expected_ms, above.latest_ms) == (-1, -1)


@given(st.lists(st.floats(-1e18, 1e18), max_size=80), st.floats(-1e6, 1e6), st.integers(0, 40))
def test_intervals_are_in_order(values: list[float], limit: float, ahead: int) -> None:
    """From any values, low <= value <= high, and the times to a limit are in order; never means later than all."""
    now_ms = len(values) * BUCKET_MS
    found = forecast(trend(*values), now_ms, ahead * BUCKET_MS)
    assert found.low <= found.value <= found.high
    reached = until(found, now_ms, limit)
    times = (reached.earliest_ms, reached.expected_ms, reached.latest_ms)
    assert [float("inf") if at < 0 else at for at in times] == sorted(float("inf") if at < 0 else at for at in times)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e300, 1e300)), max_size=100))
def test_state_is_bounded(values: list[tuple[int, float]]) -> None:
    """However values come, an hour of ascending minutes is held, in little more than a kilobyte."""
    heard = Trend()
    for at_ms, value in values:
        heard.add(at_ms, value)
    numbers = [bucket.number for bucket in heard.buckets]
    assert numbers == sorted(set(numbers))
    assert not numbers or numbers[-1] - numbers[0] < BUCKETS_MAX
    assert len(msgspec.msgpack.encode(heard)) < 1_100


@given(*[st.lists(st.floats(0.0, 100.0), min_size=1, max_size=10)] * 2)
def test_no_look_ahead(one: list[float], other: list[float]) -> None:
    """What is forecast at a moment is the same whatever values of later minutes are known already."""
    begin = leak(50, 0.3)
    said = {forecast(trend(*begin, *later), 50 * BUCKET_MS, AHEAD_MS) for later in (one, other)}
    assert len(said) == 1


def test_the_order_within_a_minute_does_not_matter() -> None:
    """Values of whole numbers that arrive in another order within their minute give the same forecast."""
    there, back = Trend(), Trend()
    for minute in range(50):
        values = [float(minute + step) for step in range(4)]
        for value, reverse in zip(values, values[::-1], strict=True):
            there.add(minute * BUCKET_MS, value)
            back.add(minute * BUCKET_MS, reverse)
    assert forecast(there, 50 * BUCKET_MS, AHEAD_MS) == forecast(back, 50 * BUCKET_MS, AHEAD_MS)


def test_capacity_for_what_grows() -> None:
    """Use that will be 60 % at most of two units takes three to stay below 50 %: scale up."""
    use = Forecast(valid=True, at_ms=0, value=55.0, low=50.0, high=60.0, level=40.0, slope=1.0)
    assert capacity(use, 2, 50.0) == Capacity(valid=True, use=0.55, use_high=0.6, units=3, advice="scale_up")


def test_capacity_for_what_shrinks() -> None:
    """Four units of which even the high end uses 20 % fit into two; with the target just met, all are kept."""
    use = Forecast(valid=True, at_ms=0, value=15.0, low=10.0, high=20.0, level=40.0, slope=-1.0)
    assert (capacity(use, 4, 50.0).units, capacity(use, 4, 50.0).advice) == (2, "scale_down")
    assert (capacity(use, 4, 20.0).units, capacity(use, 4, 20.0).advice) == (4, "hold")


def test_no_capacity_without_a_forecast() -> None:
    """Nothing is advised from a history that is too short."""
    assert capacity(said_of(leak(10, 0.5)), 3, 70.0) == Capacity(valid=False, use=0.0, use_high=0.0, units=3, advice="")


def test_a_limit_that_is_reached_after_all_calendars_is_never_reached() -> None:
    """A time that no reader of the event log could hold is said to be never."""
    said = Forecast(valid=True, at_ms=900_000, value=3e-9, low=2e-9, high=4e-9, level=0.0, slope=2e-10)
    near = until(said, 0, 1.0)
    assert (near.valid, near.expected_ms, near.latest_ms) == (True, -1, -1)


def test_a_target_of_next_to_nothing_takes_as_much_as_there_may_be() -> None:
    """However small the share of use is that a person wants, the capacity for it is a number."""
    said = Forecast(valid=True, at_ms=0, value=90.0, low=80.0, high=95.0, level=90.0, slope=0.0)
    assert capacity(said, 100, 1e-320).units == UNITS_MAX
