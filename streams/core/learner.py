"""Two online learners of a probability: logistic regression on a vector, and the calibration of what it says.

Both learn one example at a time, once, hold bounded state and give equal bytes on every host. Sources: sequential
updating of a logistic regression's normal approximation, D. Spiegelhalter and S. Lauritzen, "Sequential updating of
conditional probabilities on directed graphical structures", 1990, with the rank-one inverse of J. Sherman and W.
Morrison, 1950; pool adjacent violators, R. Barlow et al., "Statistical inference under order restrictions", 1972.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from operator import mul
from typing import Final

from msgspec import Struct, field

from streams.core.num import logistic

VARIANCE: Final = 0.3
"""Of a weight that nothing is known of. 0.15 to 1 do about as well on engines; the more, the faster it learns."""
DRIFT: Final = 50_000
"""Examples in which what was learnt is forgotten: each brings variances this part of the way back to ``VARIANCE``."""
DOUBT: Final = 1e-3
"""Least part that an example weighs: what was foretold for certain, and did not come, must teach something."""
MEMORY: Final = 5_000
"""Examples over which a feature's scale is a mean; then it follows with this weight."""
TINY: Final = 1e-9
"""What a feature is divided by at least, so that one that was always 0 stays 0."""
BINS: Final = 25
BIN_WIDTH: Final = 0.5
"""Bins of log-odds from -6.25 to 6.25; the outer ones take what is beyond."""
BELIEF: Final = 2.0
"""Examples that the regression's own probability weighs in each bin."""
_BELIEFS: Final = tuple(BELIEF * logistic((place - BINS // 2) * BIN_WIDTH) for place in range(BINS))
OWN_PART: Final = 0.02
"""Part of the regression's own probability in the calibrated one, so that it rises everywhere and keeps the order."""


class Regression(Struct):
    """Online logistic regression on vectors of one width, each feature divided by its root mean square.

    The weights are a normal distribution, with a mean and a covariance; the last weight is the bias. An example moves
    them as far as they are uncertain in its direction, so one pass does what many steps of a gradient would. A feature
    that is 0 adds nothing and teaches its weight nothing: so a missing value is no opinion.
    """

    width: int
    bias: float = -2.0
    positives: int = 0
    negatives: int = 0
    weights: list[float] = []
    squares: list[float] = []
    covariance: list[list[float]] = []

    def __post_init__(self) -> None:
        """Make the vectors of a regression that knows nothing yet."""
        if not self.weights:
            self.weights, self.squares = [*([0.0] * self.width), self.bias], [0.0] * self.width
            self.covariance = [[0.0] * (self.width + 1) for _ in self.weights]
            for place, row in enumerate(self.covariance):
                row[place] = VARIANCE

    @property
    def examples(self) -> int:
        """How many examples were learnt."""
        return self.positives + self.negatives

    def log_odds(self, vector: Sequence[float]) -> float:
        """Return the logarithm of the odds, of a vector of ``width`` finite numbers."""
        return self.sum(self.shares(vector))

    def sum(self, shares: Sequence[float]) -> float:
        """Return the log-odds that these shares add up to."""
        return self.weights[-1] + fsum(shares)

    def shares(self, vector: Sequence[float]) -> list[float]:
        """Return what each feature adds to the log-odds."""
        weights = self.weights[: self.width]
        return [weight * one for weight, one in zip(weights, self._scaled(vector), strict=True)]

    def _scaled(self, vector: Sequence[float]) -> list[float]:
        return [value / (sqrt(square) + TINY) for value, square in zip(vector, self.squares, strict=True)]

    def learn(self, vector: tuple[float, ...], *, true: bool) -> None:
        """Learn an example."""
        self.positives, self.negatives = self.positives + true, self.negatives + (not true)
        part = 1.0 / min(self.examples, MEMORY)
        self.squares = [
            square + (value * value - square) * part for square, value in zip(self.squares, vector, strict=True)
        ]
        scaled = [*self._scaled(vector), 1.0]
        said = logistic(fsum(map(mul, self.weights, scaled)))
        pull = [fsum(map(mul, row, scaled)) for row in self.covariance]
        weight = max(said * (1.0 - said), DOUBT)
        room = 1.0 + weight * fsum(map(mul, pull, scaled))
        step = (true - said) / room
        self.weights = [mean + step * one for mean, one in zip(self.weights, pull, strict=True)]
        for place, (row, one) in enumerate(zip(self.covariance, pull, strict=True)):
            if one:
                shrink = weight * one / room
                row[:] = [held - shrink * other for held, other in zip(row, pull, strict=True)]
            row[place] += (VARIANCE - row[place]) / DRIFT


class Calibration(Struct):
    """How often what was said at some log-odds came true: counts by bin, made monotone when read."""

    true: list[float] = field(default_factory=lambda: [0.0] * BINS)
    false: list[float] = field(default_factory=lambda: [0.0] * BINS)

    def learn(self, log_odds: float, *, true: bool) -> None:
        """Count what became of something said before."""
        (self.true if true else self.false)[_bin(log_odds)] += 1.0

    def confidence(self, log_odds: float) -> float:
        """Return the share of earlier ones at about these log-odds that were on the more frequent side, 0.5..1.

        One of each side is added, so that little evidence is little confidence.
        """
        place = _bin(log_odds)
        true, false = self.true[place] + 1.0, self.false[place] + 1.0
        return max(true, false) / (true + false)

    def probability(self, log_odds: float) -> float:
        """Return the share that came true, 0..1, linear between bins' centres; it rises with the log-odds."""
        levels = self.levels()
        place = min(max(log_odds / BIN_WIDTH + BINS // 2, 0.0), BINS - 1.0)
        below = min(int(place), BINS - 2)
        share = levels[below] + (levels[below + 1] - levels[below]) * (place - below)
        return (1.0 - OWN_PART) * share + OWN_PART * logistic(log_odds)

    def levels(self) -> list[float]:
        """Return the probability at each bin's centre by pool adjacent violators."""
        pools: list[tuple[float, float, int]] = []
        for place in range(BINS):
            pool = (self.true[place] + _BELIEFS[place], self.true[place] + self.false[place] + BELIEF, 1)
            while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
                last = pools.pop()
                pool = (last[0] + pool[0], last[1] + pool[1], last[2] + pool[2])
            pools.append(pool)
        return [hits / weight for hits, weight, bins in pools for _ in range(bins)]


def _bin(log_odds: float) -> int:
    return min(max(int(log_odds / BIN_WIDTH + BINS // 2 + 0.5), 0), BINS - 1)
