"""Intervals of ratios of sums over incidents: the bootstrap of what they are off by in their own standard errors.

An incident's draws belong together, so incidents are drawn anew, with replacement, not draws (A. Davison and D.
Hinkley, "Bootstrap methods and their application", 1997, section 3.8). Each resample gives the figure and its standard
error by the delta method; how far the figure is off, in standard errors, is exceeded in a share 1 - ``LEVEL`` of the
resamples, and so many standard errors are the interval's half (P. Hall, "On symmetric bootstrap confidence intervals",
1988). Large weights are rare, and resamples that lack them know it by their small standard error: percentiles, also
bias-corrected and accelerated, held the truth less often.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import combinations_with_replacement
from math import inf, isnan, nan, sqrt
from typing import Final, NamedTuple

import polars as pl
from msgspec import Struct

LEVEL: Final = 0.95
RESAMPLES: Final = 600
_ROWS_AT_ONCE: Final = 2_000_000

Sums = Mapping[str, float]


class Interval(Struct, frozen=True, kw_only=True):
    """An estimate and the interval that holds the truth in ``LEVEL`` of all logs."""

    value: float
    low: float
    high: float


class Ratio(NamedTuple):
    """The figure over / under - less_over / less_under, of sums by column; without ``less_over`` the first part alone.

    What it estimates lies in ``least`` .. 1; an estimate that does not is moved there, and so are its interval's ends.
    """

    over: str
    under: str
    less_over: str = ""
    less_under: str = ""
    least: float = 0.0

    def columns(self) -> tuple[str, ...]:
        """Return the names of the sums that it is made of, in alphabetical order."""
        less = {self.less_over, self.less_under} if self.less_over else set()
        return tuple(sorted({self.over, self.under} | less))

    def value(self, sums: Sums) -> float:
        """Return the figure; NaN where a sum that it is divided by is 0."""
        first = _divided(sums[self.over], sums[self.under])
        return first - _divided(sums[self.less_over], sums[self.less_under]) if self.less_over else first

    def error(self, sums: Sums) -> float:
        """Return its standard error; ``sums`` has those of products as well, see ``product``."""
        columns, pairs = _plan(self)
        slopes = dict.fromkeys(columns, 0.0)
        parts = [(1.0, self.over, self.under)]
        parts += [(-1.0, self.less_over, self.less_under)] if self.less_over else []
        for sign, over, under in parts:
            slopes[over] += sign / sums[under]
            slopes[under] -= sign * sums[over] / sums[under] ** 2
        variance = 0.0
        for one, other, twice, both in pairs:
            variance += twice * slopes[one] * slopes[other] * sums[both]
        return sqrt(max(variance, 0.0))


@cache
def _plan(figure: Ratio) -> tuple[tuple[str, ...], tuple[tuple[str, str, float, str], ...]]:
    """Return its columns, and each pair of them with how often it counts and the name of their product."""
    columns = figure.columns()
    pairs = combinations_with_replacement(columns, 2)
    return columns, tuple((one, other, 1.0 if one == other else 2.0, product(one, other)) for one, other in pairs)


def product(one: str, other: str) -> str:
    """Return the name of the sum of products of two columns."""
    return "*".join(sorted((one, other)))


def intervals(
    sums: pl.DataFrame, figures: Mapping[str, Ratio], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Return the interval of each figure; ``sums`` has a row an incident, with what each of its columns sums up."""
    pairs = {pair for one in figures.values() for pair in combinations_with_replacement(one.columns(), 2)}
    squared = sums.with_columns(
        (pl.col(one) * pl.col(other)).alias(product(one, other)) for one, other in sorted(pairs)
    )
    exact = squared.sum().row(0, named=True)
    again = resampled(squared, seed=seed, resamples=resamples).rows(named=True)
    return {name: _interval(figure, exact, again) for name, figure in figures.items()}


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


def _interval(figure: Ratio, exact: Sums, again: list[dict[str, float]]) -> Interval:
    value = figure.value(exact)
    off = sorted(_off(figure, value, sums) for sums in again)
    error = figure.error(exact)
    half = off[min(int(LEVEL * len(off)), len(off) - 1)] * error if error else 0.0
    low, value, high = (min(max(one, figure.least), 1.0) for one in (value - half, value, value + half))
    return Interval(value=value, low=low, high=high)


def _off(figure: Ratio, value: float, sums: Sums) -> float:
    """Return how far a resample's figure is off, in its own standard errors; infinite where it knows of none."""
    found = figure.value(sums)
    if found == value:
        return 0.0
    error = 0.0 if isnan(found) else figure.error(sums)
    return abs(found - value) / error if error else inf


def _divided(over: float, under: float) -> float:
    return over / under if under else nan
