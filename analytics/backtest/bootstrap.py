"""Intervals of figures that are functions of sums over incidents: the bootstrap, by whole incidents.

An incident's draws belong together, so incidents are drawn anew, with replacement, not draws (A. Davison and D.
Hinkley, "Bootstrap methods and their application", 1997, section 3.8). Intervals are bias-corrected and accelerated
(B. Efron, "Better bootstrap confidence intervals", 1987): the percentiles are moved by how far the bootstrap's median
lies from the estimate, and by its skewness, from leaving out one incident at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, isfinite
from statistics import NormalDist, fmean
from typing import Final

import polars as pl
from msgspec import Struct

LEVEL: Final = 0.95
RESAMPLES: Final = 1_000
_ROWS_AT_ONCE: Final = 2_000_000
_NORMAL: Final = NormalDist()
_TINY: Final = 1e-9


class Interval(Struct, frozen=True, kw_only=True):
    """An estimate and the interval that holds the truth in ``LEVEL`` of all logs."""

    value: float
    low: float
    high: float


def intervals(
    sums: pl.DataFrame, figures: Mapping[str, pl.Expr], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Return the interval of each figure, an expression of the sums' columns; ``sums`` has a row an incident."""
    exact = sums.sum().select(**figures)
    again = resampled(sums, seed=seed, resamples=resamples).select(**figures)
    without = sums.select(pl.all().sum() - pl.all()).select(**figures) if sums.height > 1 else exact
    return {name: _accelerated(exact[name][0], again[name].to_list(), without[name].to_list()) for name in figures}


def resampled(sums: pl.DataFrame, *, seed: int, resamples: int) -> pl.DataFrame:
    """Return the sums of as many incidents, drawn with replacement, a row a resample."""
    count = sums.height
    at_once = max(1, min(resamples, _ROWS_AT_ONCE // count))
    numbers = pl.int_range(count, eager=True)
    found = []
    for begin in range(0, resamples, at_once):
        rounds = min(at_once, resamples - begin)
        drawn = numbers.sample(rounds * count, with_replacement=True, seed=seed + begin)
        found.append(
            pl.DataFrame({one.name: one.gather(drawn).reshape((rounds, count)).arr.sum() for one in sums.get_columns()})
        )
    return pl.concat(found)


def _accelerated(value: float, again: list[float], without: list[float]) -> Interval:
    """Return the interval between two percentiles of ``again``; ``without`` leaves out one incident each."""
    again = sorted(one for one in again if isfinite(one))
    below = sum(one < value for one in again) + sum(one == value for one in again) / 2.0
    if not 0.0 < below < len(again):
        return Interval(value=value, low=min([*again, value]), high=max([*again, value]))
    bias = _NORMAL.inv_cdf(below / len(again))
    skew = _skewness(without)
    ends = []
    for share in ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0):
        moved = bias + _NORMAL.inv_cdf(share)
        ends.append(_percentile(again, _NORMAL.cdf(bias + moved / max(1.0 - skew * moved, _TINY))))
    return Interval(value=value, low=ends[0], high=ends[1])


def _skewness(without: list[float]) -> float:
    """Return the acceleration: a sixth of the skewness of what each incident contributes."""
    mean = fmean(without)
    squares = fsum((mean - one) ** 2 for one in without)
    return fsum((mean - one) ** 3 for one in without) / (6.0 * squares**1.5) if squares > 0.0 else 0.0


def _percentile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
