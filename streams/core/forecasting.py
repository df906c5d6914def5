"""Forecasts in the fold: where metrics that have a limit are going, when they reach it, and what capacity that takes.

A series is fed with its minutes once they are over: with their means, or maxima where ``health.toml`` says so. A minute
that is reported up to five minutes late still counts, what comes to a minute later than that doesn't. Nothing is said
before 25 minutes of history.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from streams.core.forecast import BUCKET_MS, LEVEL_BUCKETS, Forecast, Until, capacity, forecast, until
from streams.core.outlooks import TRENDS_MAX, Expected, Outlook, Series
from streams.core.state import Draft, Turn
from streams.core.strategy import Bound
from streams.core.tracks import Track
from streams.core.vitals import Vital

NEAR_MS: Final = 900_000
"""How far a limit is looked for with a forecast's error; beyond, the error grows in proportion."""
FAR_MS: Final = 1_800_000
"""How far ahead a forecast is recorded once there is history enough for it: 40 minutes."""
CALM_MINUTES: Final = 5
"""An exhaustion is averted when for so many minutes on end it was not expected any more."""
TODAY: Final = 100
"""Capacity is counted in percent of today's: how many instances that is the fold doesn't know."""
SCALE_DOWN_UNITS: Final = 50
"""Less capacity is advised only when half of it would do: use that comes and goes must not turn it up and down."""


class Course(NamedTuple):
    """The course of one metric of a service at event time ``at_ms``; ``said`` is where it is 15 minutes later."""

    service: str
    metric: str
    series: Series
    bound: Bound
    at_ms: int
    said: Forecast


def look_ahead(turn: Turn, service: str, vital: Vital, outlook: Outlook, at_ms: int) -> None:
    """Feed the minutes that are over at ``at_ms`` to a service's series, and say where they are going."""
    for metric, bound in _bounds(turn, service).items():
        track, series = vital.tracks.get(metric), outlook.series.get(metric)
        if track is not None:
            series = series or _begin(turn, outlook, metric)
            if series is not None:
                _feed(series, track, vital.minute, bound)
        if series is None or turn.append_ms - at_ms > turn.policy.old_evidence_ms:
            continue
        is_due = at_ms >= series.said_at_ms + turn.policy.forecast_every_ms
        if is_due or series.expected is not None or _may_reach(series, bound, turn.policy.exhaustion_within_ms):
            said = forecast(series.trend, at_ms, NEAR_MS, bound.least, bound.most)
            course = Course(service, metric, series, bound, at_ms, said)
            _watch_limit(turn, course)
            if is_due and said.valid:
                _tell(turn, course)


def _bounds(turn: Turn, service: str) -> Mapping[str, Bound]:
    """Return the limits of a service's metrics: those that all have, and what is declared of its queue."""
    spec = turn.fleet.spec(service)
    if spec is None or not spec.queue_limit:
        return turn.catalogue.bounds
    queue = Bound(limit=float(spec.queue_limit), least=0.0, most=math.inf, of="max", capacity=True)
    return {**turn.catalogue.bounds, "queue_depth": queue}


def _begin(turn: Turn, outlook: Outlook, metric: str) -> Series | None:
    if turn.state.foresight.trends >= TRENDS_MAX:
        return None
    turn.state.foresight.trends += 1
    series = outlook.series[metric] = Series()
    return series


def _feed(series: Series, track: Track, last: int, bound: Bound) -> None:
    fed = series.trend.buckets[-1].number if series.trend.buckets else -1
    for minute in track.minutes:
        if fed < minute.number <= last:
            value = minute.most if bound.of == "max" else minute.sum / minute.count
            series.trend.add(minute.number * BUCKET_MS, value)


def _may_reach(series: Series, bound: Bound, within_ms: int) -> bool:
    """Tell whether a series can be on its way to its limit at all: most are not, and a forecast takes its time.

    No slope of a forecast is steeper than the whole range over half of the minutes; two times ``LEVEL_BUCKETS`` are
    what its level may be carried along.
    """
    means = [bucket.sum / bucket.count for bucket in series.trend.buckets]
    high, half = max(means, default=bound.least), max((len(means) - LEVEL_BUCKETS) // 2, 1)
    steepest = (high - min(means, default=bound.least)) / half
    return high + steepest * (within_ms / BUCKET_MS + 2 * LEVEL_BUCKETS) >= bound.limit


def _draft(course: Course, kind: str) -> Draft:
    draft = Draft(kind=kind, service=course.service, reason=course.metric, at_ms=course.at_ms)
    draft.figures = {"level": course.said.level, "slope": course.said.slope, "limit": course.bound.limit}
    return draft


def _tell(turn: Turn, course: Course) -> None:
    """Record a forecast, as far ahead as the history allows; a trend that is proved for 15 minutes only is not lost."""
    bound, at_ms = course.bound, course.at_ms
    course.series.said_at_ms = at_ms
    further = forecast(course.series.trend, at_ms, FAR_MS, bound.least, bound.most)
    said = further if further.valid and (further.slope or not course.said.slope) else course.said
    course = course._replace(said=said)
    draft = _draft(course, "forecast")
    draft.figures |= {"value": said.value, "low": said.low, "high": said.high, "ahead_ms": said.at_ms - at_ms}
    if bound.capacity:
        planned = capacity(said, TODAY, turn.policy.capacity_target * bound.limit, bound.limit)
        draft.strategy = _advice(planned.units)
        draft.figures |= {"units": planned.units, "use": planned.use, "use_high": planned.use_high}
    turn.write(draft)


def _advice(units: int) -> str:
    if units > TODAY:
        return "scale_up"
    return "scale_down" if units <= SCALE_DOWN_UNITS else ""


def _watch_limit(turn: Turn, course: Course) -> None:
    """Say once that a limit is near, and then whether it came or was averted."""
    said, limit, expected = course.said, course.bound.limit, course.series.expected
    if said.valid and said.level >= limit:
        if expected is not None:
            draft = _draft(course, "exhaustion_came")
            draft.refers_to = expected.id
            draft.figures["since_ms"] = course.at_ms - expected.at_ms
            turn.write(draft)
            course.series.expected = None
        return
    near = until(said, course.at_ms, limit)
    if near.valid and 0 <= near.expected_ms <= turn.policy.exhaustion_within_ms:
        if expected is None:
            _expect(turn, course, near)
        else:
            expected.calm = 0
    elif expected is not None:
        expected.calm += 1
        if expected.calm >= CALM_MINUTES:
            averted(turn, course.service, course.series, course.metric, course.at_ms)


def _expect(turn: Turn, course: Course, near: Until) -> None:
    draft = _draft(course, "exhaustion_expected")
    draft.strategy = turn.catalogue.reliefs.get(course.metric, "")
    draft.figures |= {
        "earliest_ms": near.earliest_ms,
        "expected_ms": near.expected_ms,
        "latest_ms": near.latest_ms,
    }
    course.series.expected = Expected(turn.write(draft).id, course.at_ms)


def averted(turn: Turn, service: str, series: Series, reason: str, at_ms: int) -> None:
    """Say that the exhaustion that was expected of a series is not any more."""
    expected, series.expected = series.expected, None
    if expected is not None:
        draft = Draft(kind="exhaustion_averted", service=service, reason=reason, at_ms=at_ms, refers_to=expected.id)
        draft.figures = {"since_ms": at_ms - expected.at_ms}
        turn.write(draft)
