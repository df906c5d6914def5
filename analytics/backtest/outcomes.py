"""How likely an action is to help, by what came of others: the outcome model of the doubly robust estimate.

Shares of verified success per (pattern, service type, action), shrunk towards that of the strategy, and this towards
that of all draws: with s successes of n and a parent's share p, (s + SHRINKAGE p) / (n + SHRINKAGE), the mean of a Beta
posterior whose prior has the parent's mean and weighs SHRINKAGE outcomes (C. Morris, "Parametric empirical Bayes
inference", 1983). Cross-fitted: a draw is predicted from other incidents' draws alone, in FOLDS parts by the hash of
the incident (V. Chernozhukov et al., "Double/debiased machine learning", 2018).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final
from zlib import crc32

from analytics.backtest.draws import Draw

SHRINKAGE: Final = 4.0
FOLDS: Final = 5
_Key = tuple[str, str, str]


class Shares:
    """Shares of success, learnt from draws."""

    def __init__(self) -> None:
        self._counts: Final[dict[Hashable, tuple[float, float]]] = {}
        self._known: Final[dict[_Key, float]] = {}
        """What was asked for, after the last draw was added."""

    def add(self, draw: Draw) -> None:
        """Count a draw."""
        for key in _levels(draw, draw.action):
            successes, count = self._counts.get(key, (0.0, 0.0))
            self._counts[key] = successes + draw.reward, count + 1.0

    def without(self, part: Shares) -> Shares:
        """Return what the draws say that are not in a part of them."""
        rest = Shares()
        for key, (successes, count) in self._counts.items():
            less_successes, less = part._counts.get(key, (0.0, 0.0))
            rest._counts[key] = successes - less_successes, count - less
        return rest

    def of(self, draw: Draw, action: str) -> float:
        """Return the expected share of success of an action where ``draw`` was made."""
        key = draw.pattern, draw.service_type, action
        if key not in self._known:
            share = 0.5
            for level in _levels(draw, action):
                successes, count = self._counts.get(level, (0.0, 0.0))
                share = (successes + SHRINKAGE * share) / (count + SHRINKAGE)
            self._known[key] = share
        return self._known[key]


def _levels(draw: Draw, action: str) -> tuple[Hashable, ...]:
    """Return what an action's share is learnt as, from all draws to its own."""
    return (), draw.strategies.get(action, ""), (draw.pattern, draw.service_type, action)


def fold_of(incident: str) -> int:
    """Return the part that an incident's draws are in."""
    return crc32(incident.encode()) % FOLDS


def cross_fitted(draws: Sequence[Draw]) -> list[Shares]:
    """Return for each part what the draws of all other parts say."""
    whole, parts = Shares(), [Shares() for _ in range(FOLDS)]
    for draw in draws:
        whole.add(draw)
        parts[fold_of(draw.incident)].add(draw)
    return [whole.without(part) for part in parts]
