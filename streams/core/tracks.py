"""The recent minutes of one metric and its own history: five features of it, from bounded state.

A track holds six minutes (this one and the five before) as count, sum, least and most, and a history: mean and mean
square deviation of the earlier minutes' means, which says what is usual for this metric of this service (SPEC P8).
A minute is whatever ``Span.minute_ms`` says, so that the same arithmetic serves series with another unit of time.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

PARTS: Final = ("value", "mean_1m", "slope", "anomaly", "range_5m")
Five = tuple[float, float, float, float, float]
ABSENT: Final[Five] = (0.0, 0.0, 0.0, 0.0, 0.0)
VALUE_MAX: Final = 1e15
"""Values are clipped here, so that no sum or square of them overflows."""
FEATURE_MAX: Final = 10.0
"""Features are clipped here: one absurd value says no more than an odd one."""
WILD: Final = 3.0
"""A minute further away than this many deviations teaches the history no more than one that is as far away."""
FLOOR: Final = 0.01
"""What is usual never deviates by less than this part of its width: a constant is not infinitely surprised."""
TINY: Final = 1e-9


class Span(Struct, frozen=True):
    """Between what a metric lies, and how time is cut.

    ``least`` and ``most`` become -1 and 1; with ``most`` infinite, values are compared with the track's own history.
    ``settle`` is how many minutes the history needs before anything is an anomaly, ``memory`` how many it weighs.
    """

    least: float = 0.0
    most: float = math.inf
    minute_ms: int = 60_000
    minutes: int = 5
    settle: int = 5
    memory: int = 1_440


class Minute(Struct, array_like=True):
    """What fell into one minute; ``number`` is the time divided by the minute's length."""

    number: int
    count: int
    sum: float
    least: float
    most: float

    def add(self, value: float) -> None:
        """Count a value."""
        self.count += 1
        self.sum += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


class Track(Struct, array_like=True):
    """One metric of one service. ``minutes`` ascend; ``usual`` and ``square`` are the history's mean and variance."""

    at_ms: int = 0
    last: float = 0.0
    known: int = 0
    usual: float = 0.0
    square: float = 0.0
    minutes: list[Minute] = []

    def add(self, at_ms: int, value: float, span: Span) -> None:
        """Take a finite value of event time ``at_ms`` into account; one older than all minutes held is lost."""
        value = max(-VALUE_MAX, min(VALUE_MAX, value))
        number = at_ms // span.minute_ms
        if not self.minutes or number > self.minutes[-1].number:
            if self.minutes:
                self._remember(self.minutes[-1], span)
            self.minutes.append(Minute(number, 1, value, value, value))
            while self.minutes[0].number < number - span.minutes:
                del self.minutes[0]
        else:
            for minute in reversed(self.minutes):
                if minute.number == number:
                    minute.add(value)
        if at_ms >= self.at_ms:
            self.at_ms, self.last = at_ms, value

    def _remember(self, minute: Minute, span: Span) -> None:
        """Let the history learn a finished minute: a mean and variance with weights 1/n, then 1/``memory``."""
        apart = minute.sum / minute.count - self.usual
        if self.known >= span.settle:
            reach = WILD * self.deviation(span)
            apart = max(-reach, min(reach, apart))
        self.known = min(self.known + 1, span.memory)
        part = 1.0 / self.known
        self.usual += part * apart
        self.square = (1.0 - part) * (self.square + part * apart * apart)

    def deviation(self, span: Span) -> float:
        """Return by how much a minute's mean usually deviates, and at least the floor."""
        width = span.most - span.least if span.most < math.inf else abs(self.usual)
        return max(math.sqrt(self.square), FLOOR * width, TINY)

    def features(self, now_ms: int, span: Span) -> Five:
        """Return the ``PARTS`` at ``now_ms``: zeros when nothing was heard for five minutes.

        The slope is per minute, of the line of least squares through the minutes' means, weighed by their counts.
        """
        number, held = now_ms // span.minute_ms, self.minutes
        oldest = number - span.minutes
        if not held or held[-1].number < oldest:
            return ABSENT
        if held[0].number < oldest:
            held = [minute for minute in held if minute.number >= oldest]
        mean = self._mean(held, now_ms, span)
        spread = max([minute.most for minute in held]) - min([minute.least for minute in held])
        if span.most < math.inf:
            width, zero = span.most - span.least, (span.most + span.least) / 2.0
            half = width / 2.0
        else:
            width = half = max(abs(self.usual), abs(mean), TINY)
            zero = self.usual
        known = self.known >= span.settle
        return (
            _clipped((self.last - zero) / half, FEATURE_MAX),
            _clipped((mean - zero) / half, FEATURE_MAX),
            _clipped(_slope(held) / width, FEATURE_MAX),
            _clipped((mean - self.usual) / self.deviation(span) / FEATURE_MAX, 1.0) if known else 0.0,
            min(spread / width, FEATURE_MAX),
        )

    def _mean(self, held: list[Minute], now_ms: int, span: Span) -> float:
        """Return the mean of the last 60 s: this minute, and of the one before the part that is not over yet."""
        newest = held[-1]
        number = now_ms // span.minute_ms
        if len(held) == 1 or newest.number != number or held[-2].number != number - 1:
            return newest.sum / newest.count
        before = held[-2]
        rest = 1.0 - (now_ms % span.minute_ms + 1) / span.minute_ms
        return (newest.sum + rest * before.sum) / (newest.count + rest * before.count)


def _clipped(value: float, most: float) -> float:
    return most if value > most else max(value, -most)


def _slope(held: list[Minute]) -> float:
    """Return the weighted least-squares slope of the minutes' means, per minute; 0 for a single one."""
    first = held[0].number
    count = across = square = 0
    up = product = 0.0
    for minute in held:
        at = minute.number - first
        weight = minute.count
        count += weight
        across += weight * at
        up += minute.sum
        square += weight * at * at
        product += at * minute.sum
    spread = count * square - across * across
    return (count * product - across * up) / spread if spread else 0.0
