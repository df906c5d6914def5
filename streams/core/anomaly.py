"""Is a value of a series abnormal? One value at a time, no look ahead, the same constants for every series.

A value is looked at in four ways: how far it jumped, how far the last hour is from the long run, how restless the last
hour was, and, where the series has a daily rhythm, how far it is from what this time of the day is like. For each a
``Tail`` says how rare that is for this series. Their sum is put to one more ``Tail``, so the answer is a rate of
episodes again, whatever the four have in common: a threshold means the same for each series.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct, field

from streams.core.num import log
from streams.core.series import LARGEST, Departure, Season, Track
from streams.core.tails import Tail, score

QUIET: Final = 0.5
"""Surprise of one view that says nothing."""
LEAST: Final = 1e-300
"""What stands for zero under a logarithm."""


class Finding(Struct, frozen=True):
    """What is to be said of one value.

    ``score`` is in 0..1, one minus the rate of episodes as strong in this series' past; ``surprise`` is -log10 of that
    rate, which tells apart what is close to 1.
    """

    score: float = 0.0
    surprise: float = 0.0


NOTHING: Final = Finding()


class Detector(Struct):
    """One series."""

    track: Track = field(default_factory=Track)
    season: Season = field(default_factory=Season)
    jump: Tail = field(default_factory=Tail)
    level: Tail = field(default_factory=Tail)
    restless: Tail = field(default_factory=Tail)
    daily: Tail = field(default_factory=Tail)
    whole: Tail = field(default_factory=Tail)

    def see(self, at_ms: int, value: float) -> Finding:
        """Say how abnormal a value is for what was seen before it, then learn it. Times must not go back.

        What is no finite number was not measured: never abnormal, and not learnt.
        """
        if not math.isfinite(value):
            return NOTHING
        value = min(max(value, -LARGEST), LARGEST)
        long_level = self.track.level.mean
        departure = self.track.see(value)
        beside = self.season.see(at_ms, value, long_level)
        if self.track.values <= 1:
            return NOTHING
        together = self._views(departure, beside)
        surprise = self.whole.surprise(together)
        self.whole.learn(together)
        return Finding(score(surprise), surprise)

    def _views(self, departure: Departure, beside: float | None) -> float:
        noise = departure.noise + LEAST
        total = _ask(self.jump, departure.error + noise)
        total += _ask(self.level, departure.offset + noise)
        total += _ask(self.restless, departure.volatility + noise)
        return total if beside is None else total + _ask(self.daily, beside + noise)


def _ask(tail: Tail, size: float) -> float:
    """Return what a view adds: its surprise above ``QUIET``; then let it learn."""
    number = log(size)
    surprise = tail.surprise(number)
    tail.learn(number)
    return max(surprise - QUIET, 0.0)
