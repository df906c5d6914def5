"""How likely an action is to help, by what came of others: the outcome model of the doubly robust estimate.

Shares of verified success per (pattern, service type, action), shrunk towards that of the strategy, and this towards
that of all draws: with s successes of n and a parent's share p, (s + SHRINKAGE p) / (n + SHRINKAGE), the mean of a Beta
posterior whose prior has the parent's mean and weighs SHRINKAGE outcomes (C. Morris, "Parametric empirical Bayes
inference", 1983). Cross-fitted: a draw is predicted from other incidents' draws alone, in FOLDS parts by the hash of
the incident (V. Chernozhukov et al., "Double/debiased machine learning", 2018).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final
from zlib import crc32

from analytics.backtest.draws import Draw

SHRINKAGE: Final = 4.0
FOLDS: Final = 5


class Shares:
    """Shares of success, learnt from draws."""

    def __init__(self) -> None:
        self._counts: Final[dict[Hashable, list[float]]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, draw: Draw) -> None:
        """Count a draw."""
        strategy = draw.strategies[draw.action]
        for key in ((), (strategy,), (draw.pattern, draw.service_type, draw.action)):
            counted = self._counts[key]
            counted[0] += draw.reward
            counted[1] += 1.0

    def of(self, draw: Draw, action: str) -> float:
        """Return the expected share of success of an action where ``draw`` was made."""
        share = 0.5
        for key in ((), (draw.strategies.get(action, ""),), (draw.pattern, draw.service_type, action)):
            successes, count = self._counts.get(key, (0.0, 0.0))
            share = (successes + SHRINKAGE * share) / (count + SHRINKAGE)
        return share


def fold_of(incident: str) -> int:
    """Return the part that an incident's draws are in."""
    return crc32(incident.encode()) % FOLDS


def cross_fitted(draws: Sequence[Draw]) -> list[Shares]:
    """Return for each part what the draws of all other parts say."""
    fitted = [Shares() for _ in range(FOLDS)]
    for draw in draws:
        for part in range(FOLDS):
            if part != fold_of(draw.incident):
                fitted[part].add(draw)
    return fitted
