"""Whether what is sampled grows: the slope of Theil and Sen, which a third of wild samples does not move.

Over the second half of a run, for the first one is warm-up. Flat is what grows by less than ``GROWTH_MAX`` of its level
in that time, whatever it sways by meanwhile. https://en.wikipedia.org/wiki/Theil-Sen_estimator
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

from msgspec import Struct

GROWTH_MAX: Final = 0.05
SAMPLES_MIN: Final = 8
"""Fewer in the second half say nothing."""

Series = Sequence[tuple[float, float]]
"""Samples as (seconds since the beginning, value), in order."""


class Trend(Struct, frozen=True):
    """What a series did in the second half: its level (median) and by which share of it the slope let it grow."""

    level: float
    growth: float
    samples: int

    @property
    def judged(self) -> bool:
        """Whether there are enough samples to say anything."""
        return self.samples >= SAMPLES_MIN

    @property
    def flat(self) -> bool:
        """Whether it does not grow, as far as can be said."""
        return not self.judged or self.growth < GROWTH_MAX


def slope(series: Series) -> float:
    """Return the median slope between two samples that are a third of the time apart or more, in units a second.

    Neighbours show how a saw's teeth rise (memory until the collector comes), and not where the saw goes. Of fewer than
    two samples it is 0.0.
    """
    apart = (series[-1][0] - series[0][0]) / 3 if series else 0.0
    pairs = ((one, other) for one, other in combinations(series, 2) if other[0] - one[0] > apart)
    slopes = [(b - a) / (later - at) for (at, a), (later, b) in pairs]
    return median(slopes) if slopes else 0.0


def trend(series: Series) -> Trend:
    """Return what a series does in its second half."""
    if not series:
        return Trend(0.0, 0.0, 0)
    begin, end = series[0][0], series[-1][0]
    second = [sample for sample in series if sample[0] >= (begin + end) / 2]
    level = median(value for _, value in second)
    grown = slope(second) * (end - second[0][0])
    return Trend(round(level, 3), round(grown / level, 4) if level else 0.0, len(second))
