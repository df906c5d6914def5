"""Where a series stands in 15 to 30 minutes, when it reaches a limit, and what capacity that takes (SPEC P5, P6).

A trend holds the means of the last 60 minutes. The slope is the median over pairs of minutes half the history apart (a
Theil-Sen estimator of n/2 pairs), the level the median of the last five minutes carried along it. Most series of
servers have no trend that lasts: extrapolating them is worse than saying "as now". So the slope counts only when,
fitted to the history less its last minutes, it would have halved the error of "as now" on those. The interval is the
error that the same rule would have made within the history, wider the fewer independent times that was, and by how much
the last minutes changed the slope. It held 86 % to 93 % of what came on servers' metrics (``benchmarks/forecast.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from msgspec import Struct

from streams.core.num import stored

BUCKET_MS: Final = 60_000
BUCKETS_MAX: Final = 60
AHEAD_MAX_MS: Final = 1_800_000
TRIALS_MIN: Final = 10
"""Errors of the past that an interval rests on at least: 25 minutes of history for 15 ahead, 40 for 30."""
TRIALS_PART: Final = 0.95
"""The interval is as wide as the error that this part of the trials kept below: one wild minute doesn't open it."""
LEVEL_BUCKETS: Final = 5
GAIN: Final = 0.5
"""A trend must leave at most this part of the error of "as now". 0.3 misses slow leaks, 0.7 sees trends in noise."""
VALUE_MAX: Final = 1e15
UNITS_MAX: Final = 10_000
NEVER_MINUTES: Final = 1e9
"""What takes this long, nineteen centuries, will never be; readers' calendars end before it would."""


class Bucket(Struct, array_like=True):
    """The values of one minute; ``number`` is the time divided by ``BUCKET_MS``."""

    number: int
    count: int
    sum: float


class Trend(Struct, array_like=True):
    """The recent minutes of one series, ascending, ``BUCKETS_MAX`` at most."""

    buckets: list[Bucket] = []

    def add(self, at_ms: int, value: float) -> None:
        """Take a finite value of event time ``at_ms`` into account; one older than all that is held is lost."""
        number, value = at_ms // BUCKET_MS, max(-VALUE_MAX, min(VALUE_MAX, value))
        if not self.buckets or number > self.buckets[-1].number:
            self.buckets.append(Bucket(number, 1, value))
            oldest = number - BUCKETS_MAX
            while self.buckets[0].number <= oldest:
                del self.buckets[0]
            return
        for bucket in reversed(self.buckets):
            if bucket.number == number:
                bucket.count, bucket.sum = bucket.count + 1, bucket.sum + value


class Forecast(Struct, frozen=True, kw_only=True):
    """Where a series is expected at ``at_ms``: a value between ``low`` and ``high``; all 0 when it is not valid.

    ``level`` is where it stands now, ``slope`` how much it changes a minute (0: no trend that would have helped).
    """

    valid: bool
    at_ms: int
    value: float
    low: float
    high: float
    level: float
    slope: float


class Until(Struct, frozen=True, kw_only=True):
    """When a limit is reached, in ms from now: not valid, never on the present course (-1), or between two times.

    ``latest_ms`` is -1 when it may also never be.
    """

    valid: bool
    earliest_ms: int
    expected_ms: int
    latest_ms: int


class Capacity(Struct, frozen=True, kw_only=True):
    """What the projected use takes: ``advice`` is scale_up, scale_down, hold, or "" when nothing is known.

    ``use`` and ``use_high`` are projected shares of today's capacity, ``units`` how many of today's units that takes.
    """

    valid: bool
    use: float
    use_high: float
    units: int
    advice: str


def forecast(trend: Trend, now_ms: int, ahead_ms: int, least: float = -math.inf, most: float = math.inf) -> Forecast:
    """Return where a series is ``ahead_ms`` after ``now_ms``, within ``least`` and ``most``.

    Not valid with too short a history, or one that ended more than five minutes ago.
    """
    steps = max(1, min(ahead_ms, AHEAD_MAX_MS) // BUCKET_MS)
    times, means = _history(trend, now_ms)
    at_ms = now_ms + steps * BUCKET_MS
    trials = _trials(times, means, steps, 0.0)
    if len(trials) < TRIALS_MIN or times[-1] < now_ms // BUCKET_MS - LEVEL_BUCKETS:
        return Forecast(valid=False, at_ms=at_ms, value=0.0, low=0.0, high=0.0, level=0.0, slope=0.0)
    slope, early = _lasting_slope(times, means, steps)
    if slope != 0.0:
        trials = _trials(times, means, steps, slope)
    usual = sorted(trials)[int(TRIALS_PART * (len(trials) - 1))] * (1.0 + steps / BUCKETS_MAX)
    wrong = usual + abs(slope - early) * steps
    level = _level(times, means, slope) + slope * (now_ms // BUCKET_MS - times[-1])
    value = level + slope * steps
    kept = [stored(max(least, min(most, one))) for one in (value, value - wrong, value + wrong)]
    return Forecast(
        valid=True, at_ms=at_ms, value=kept[0], low=kept[1], high=kept[2], level=stored(level), slope=stored(slope)
    )


def until(said: Forecast, now_ms: int, limit: float) -> Until:
    """Return when a series that is forecast so reaches ``limit``: its exhaustion, from below or from above.

    Within the forecast's time the interval is as wide as the forecast's, beyond it widens in proportion to the time.
    """
    if not said.valid:
        return Until(valid=False, earliest_ms=0, expected_ms=0, latest_ms=0)
    way, span_ms = limit - said.level, said.at_ms - now_ms
    if way == 0.0:
        return Until(valid=True, earliest_ms=0, expected_ms=0, latest_ms=0)
    sign = 1.0 if way > 0.0 else -1.0
    speed, way = sign * said.slope, abs(way)
    wrong, minutes = max(said.high - said.value, said.value - said.low), span_ms / BUCKET_MS
    return Until(
        valid=True,
        earliest_ms=_reached(way, speed, wrong, minutes),
        expected_ms=_reached(way, speed, 0.0, minutes),
        latest_ms=_reached(way, speed, -wrong, minutes),
    )


def capacity(said: Forecast, units: int, target: float, limit: float = 100.0) -> Capacity:
    """Return how many units keep the projected use at or below ``target``, when ``units`` of them are ``limit`` now.

    ``target`` and the forecast are in the unit of ``limit``; the use is that of all units together, in shares of one.
    Scaling up follows the high end of the interval, scaling down only when even that fits into fewer units.
    """
    if not said.valid or units < 1:
        return Capacity(valid=False, use=0.0, use_high=0.0, units=units, advice="")
    needed = max(math.ceil(min(units * max(said.high, 0.0) / target, UNITS_MAX)), 1)
    advice = "scale_up" if needed > units else "scale_down" if needed < units else "hold"
    shares = stored(said.value / limit), stored(said.high / limit)
    return Capacity(valid=True, use=shares[0], use_high=shares[1], units=needed, advice=advice)


def _history(trend: Trend, now_ms: int) -> tuple[list[int], list[float]]:
    """Return numbers and means of the minutes that are over."""
    number = now_ms // BUCKET_MS
    held = [bucket for bucket in trend.buckets if number - BUCKETS_MAX <= bucket.number < number]
    return [bucket.number for bucket in held], [bucket.sum / bucket.count for bucket in held]


def _slope(times: Sequence[int], means: Sequence[float]) -> float:
    half = len(times) // 2
    if half == 0:
        return 0.0
    return median([(means[at + half] - means[at]) / (times[at + half] - times[at]) for at in range(len(times) - half)])


def _level(times: Sequence[int], means: Sequence[float], slope: float) -> float:
    """Return the median of the last minutes, each carried along the slope to the last one."""
    last = times[-1]
    near = zip(times[-LEVEL_BUCKETS:], means[-LEVEL_BUCKETS:], strict=True)
    return median([mean + slope * (last - at) for at, mean in near])


def _lasting_slope(times: Sequence[int], means: Sequence[float], steps: int) -> tuple[float, float]:
    """Return the slope of the history, and that without its last ``steps`` minutes; zeros unless it foretold those.

    Errors are compared by their medians, so that one wild minute decides nothing.
    """
    cut = next((at for at, time in enumerate(times) if time > times[-1] - steps), len(times))
    if cut < TRIALS_MIN:
        return 0.0, 0.0
    early, before = _slope(times[:cut], means[:cut]), times[cut - 1]
    now, carried = (_level(times[:cut], means[:cut], slope) for slope in (0.0, early))
    flat = median([abs(mean - now) for mean in means[cut:]])
    along = median(
        [abs(mean - carried - early * (at - before)) for at, mean in zip(times[cut:], means[cut:], strict=True)]
    )
    slope = _slope(times, means)
    return (slope, early) if along <= GAIN * flat and slope * early > 0.0 else (0.0, 0.0)


def _trials(times: Sequence[int], means: Sequence[float], steps: int, slope: float) -> list[float]:
    """Return the error of each forecast ``steps`` minutes ahead within the history, made along the slope."""
    at_minute = dict(zip(times, means, strict=True))
    errors = []
    for end in range(1, len(times) + 1):
        came = at_minute.get(times[end - 1] + steps)
        if came is not None:
            first = max(0, end - LEVEL_BUCKETS)
            errors.append(abs(came - _level(times[first:end], means[first:end], slope) - slope * steps))
    return errors


def _reached(way: float, speed: float, wrong: float, minutes: float) -> int:
    """Return the ms until ``way`` is gone at ``speed`` a minute, ``wrong`` nearer from the begin or growing to it.

    The error is taken whole within ``minutes`` and in proportion beyond; -1 when it is never.
    """
    if wrong >= way:
        return 0
    within = (way - wrong) / speed if speed > 0.0 else math.inf
    faster = speed + wrong / minutes
    beyond = way / faster if faster > 0.0 else math.inf
    found = within if within <= minutes else max(beyond, minutes)
    return round(found * BUCKET_MS) if found < NEVER_MINUTES else -1
