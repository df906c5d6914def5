"""A forecast as a small picture, and as the sentence that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from streams.web.shown import figure, spoken, unit
from streams.web.states import Forecast

WIDTH: Final = 320.0
TOP: Final = 6.0
BOTTOM: Final = 78.0
"""Between the two lie all values, in the picture's own units; below it are the times."""
FLAT: Final = 1e-9
LIMIT_REACH: Final = 3.0
"""A limit is drawn while it lies within so many times the values' span of them: farther up, all else would be flat."""

Point = tuple[int, float]
"""A time in ms and a value."""


class Drawn(Struct, frozen=True, kw_only=True):
    """Coordinates of a picture that is 320 wide: what was, what is expected, the interval around it, the limit."""

    past: str
    ahead: str
    between: str
    dot_x: str
    dot_y: str
    limit_y: str | None
    now_x: str
    begins: str
    ends: str


class Expected(Struct, frozen=True, kw_only=True):
    """A forecast as the page shows it: its numbers, the sentence, the picture."""

    forecast: Forecast
    told: str
    drawn: Drawn


def expected(forecast: Forecast, past: Sequence[Point]) -> Expected:
    """Return how a forecast is shown; ``past`` are the metric's values before it, maybe none."""
    return Expected(forecast=forecast, told=_told(forecast), drawn=_draw(forecast, past))


def _told(one: Forecast) -> str:
    """Return the picture in words."""
    interval = f"{figure(one.low)} to {figure(one.high)}"
    then = f"{figure(one.value)} in {spoken(one.for_ms - one.at_ms)} ({interval})"
    limit = "" if one.limit is None else f"; the limit is {figure(one.limit)}"
    return f"{figure(one.level)} {unit(one.metric)} now, expected {then}{limit}."


def _draw(one: Forecast, past: Sequence[Point]) -> Drawn:
    before = [point for point in past if point[0] < one.at_ms]
    begin_ms = min((at_ms for at_ms, _ in before), default=one.at_ms)
    here, then = (one.at_ms, one.level), (one.for_ms, one.value)
    values = [one.level, one.low, one.high, *(value for _, value in before)]
    low, high = min(values), max(values)
    if one.limit is not None and one.limit - high <= LIMIT_REACH * max(high - low, FLAT):
        high = max(high, one.limit)
    frame = _Frame(begin_ms, one.for_ms, low, high)
    return Drawn(
        past=frame.points([*before, here]) if before else "",
        ahead=frame.points([here, then]),
        between=frame.points([here, (one.for_ms, one.high), (one.for_ms, one.low)]),
        dot_x=frame.x(one.for_ms),
        dot_y=frame.y(one.value),
        limit_y=frame.y(one.limit) if one.limit is not None and low <= one.limit <= high else None,
        now_x=frame.x(one.at_ms),
        begins=f"{spoken(one.at_ms - begin_ms)} ago" if before else "",
        ends=f"in {spoken(one.for_ms - one.at_ms)}",
    )


class _Frame:
    """From times and values to a picture's coordinates."""

    def __init__(self, begin_ms: int, end_ms: int, low: float, high: float) -> None:
        self._begin_ms, self._span_ms = begin_ms, max(end_ms - begin_ms, 1)
        self._low, self._span = low, max(high - low, FLAT)

    def x(self, at_ms: int) -> str:
        return f"{(at_ms - self._begin_ms) / self._span_ms * WIDTH:.1f}"

    def y(self, value: float) -> str:
        return f"{BOTTOM - (value - self._low) / self._span * (BOTTOM - TOP):.1f}"

    def points(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(at_ms)},{self.y(value)}" for at_ms, value in points)
