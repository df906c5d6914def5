"""Two online learners of a probability: logistic regression on a vector, and the calibration of what it says.

Both learn one example at a time, hold bounded state and give equal bytes on every host. Sources: AdaGrad, J. Duchi et
al., "Adaptive subgradient methods", 2011; averaged weights, O. Shamir and T. Zhang, "Stochastic gradient descent for
non-smooth optimization", 2013; reservoir sampling, J. Vitter, "Algorithm R", 1985; pool adjacent violators, R. Barlow
et al., "Statistical inference under order restrictions", 1972.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt
from operator import mul
from typing import Final

from msgspec import Struct, field

from streams.core.num import draw, logistic

RATE: Final = 0.03
"""The first step of a weight. Of 0.03, 0.1 and 0.3 the best on run-to-failure data, in one pass and in three."""
HELD_MAX: Final = 128
"""Examples of each class that are kept to be learnt from again."""
AGAIN: Final = 2
"""How many of them are learnt from again with each new example."""
MEMORY: Final = 5_000
"""Examples over which a feature's scale is a mean; then it follows with this weight."""
STEADY: Final = 500
"""Examples over which weights are averaged: what came last, such as all warnings of one failure, must not sway them."""
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


class Example(Struct, array_like=True, frozen=True):
    """A vector and whether it came true."""

    vector: tuple[float, ...]
    true: bool


class Regression(Struct):
    """Online logistic regression on vectors of one width, each feature divided by its root mean square.

    A feature that is 0 adds nothing and teaches its weight nothing: so a missing value is no opinion.
    """

    width: int
    positives: int = 0
    negatives: int = 0
    bias: float = -2.0
    bias_square: float = 1.0
    rate: float = RATE
    weights: list[float] = []
    gradients: list[float] = []
    squares: list[float] = []
    steady: list[float] = []
    """The averaged weights that predictions are made with, and their bias."""
    steady_bias: float = 0.0
    held: dict[str, list[Example]] = field(default_factory=lambda: {"true": [], "false": []})

    def __post_init__(self) -> None:
        """Make the vectors of a regression that knows nothing yet."""
        if not self.weights:
            self.weights, self.gradients = [0.0] * self.width, [1.0] * self.width
            self.squares, self.steady, self.steady_bias = [0.0] * self.width, [0.0] * self.width, self.bias

    @property
    def examples(self) -> int:
        """How many examples were learnt."""
        return self.positives + self.negatives

    def log_odds(self, vector: Sequence[float]) -> float:
        """Return the logarithm of the odds, of a vector of ``width`` finite numbers."""
        return self.sum(self.shares(vector))

    def sum(self, shares: Sequence[float]) -> float:
        """Return the log-odds that these shares add up to."""
        return self.steady_bias + fsum(shares)

    def shares(self, vector: Sequence[float]) -> list[float]:
        """Return what each feature adds to the log-odds."""
        return [
            weight * value / (sqrt(square) + TINY)
            for weight, value, square in zip(self.steady, vector, self.squares, strict=True)
        ]

    def learn(self, vector: tuple[float, ...], *, true: bool) -> None:
        """Learn an example, and a few of those that are held once more."""
        self.positives, self.negatives = self.positives + true, self.negatives + (not true)
        part = 1.0 / min(self.examples, MEMORY)
        self.squares = [
            square + (value * value - square) * part for square, value in zip(self.squares, vector, strict=True)
        ]
        example = Example(vector, true)
        self._step(example)
        for turn in range(AGAIN):
            held = self.held["true" if (self.examples + turn) % 2 else "false"]
            if held:
                self._step(held[int(draw(f"again {self.examples} {turn}") * len(held))])
        self._hold(example)
        part = max(4.0 / (self.examples + 3.0), 1.0 / STEADY)
        self.steady = [mean + (one - mean) * part for mean, one in zip(self.steady, self.weights, strict=True)]
        self.steady_bias += (self.bias - self.steady_bias) * part

    def _step(self, example: Example) -> None:
        scaled = [value / (sqrt(square) + TINY) for value, square in zip(example.vector, self.squares, strict=True)]
        error = logistic(self.bias + fsum(map(mul, self.weights, scaled))) - example.true
        pull = [error * value for value in scaled]
        self.gradients = [held + one * one for held, one in zip(self.gradients, pull, strict=True)]
        self.weights = [
            weight - self.rate * one / sqrt(held)
            for weight, one, held in zip(self.weights, pull, self.gradients, strict=True)
        ]
        self.bias_square += error * error
        self.bias -= self.rate * error / sqrt(self.bias_square)

    def _hold(self, example: Example) -> None:
        """Keep an example so that each of its class is held with equal probability."""
        held, seen = (self.held["true"], self.positives) if example.true else (self.held["false"], self.negatives)
        if len(held) < HELD_MAX:
            held.append(example)
        elif (place := int(draw(f"hold {self.examples}") * seen)) < HELD_MAX:
            held[place] = example


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
