"""How likely an action is to help, by what came of others: the outcome model of the doubly robust estimate.

Shares of verified success per (pattern, service type, action), shrunk towards that of the strategy, and this towards
that of all draws: with s successes of n and a parent's share p, (s + SHRINKAGE p) / (n + SHRINKAGE), the mean of a Beta
posterior whose prior has the parent's mean and weighs SHRINKAGE outcomes (C. Morris, "Parametric empirical Bayes
inference", 1983).

Each draw is predicted from those before it in the log alone, so its own outcome is no part of what it is compared with
(I. Waudby-Smith et al., "Anytime-valid off-policy inference for contextual bandits", 2022).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from analytics.backtest.draws import Draw

SHRINKAGE: Final = 4.0


class Shares:
    """Shares of success, learnt from draws one by one."""

    def __init__(self) -> None:
        self._counts: Final[dict[Hashable, tuple[float, float]]] = {}

    def add(self, draw: Draw) -> None:
        """Count a draw."""
        for key in _levels(draw, draw.action):
            successes, count = self._counts.get(key, (0.0, 0.0))
            self._counts[key] = successes + draw.reward, count + 1.0

    def of(self, draw: Draw, action: str) -> float:
        """Return the expected share of success of an action where ``draw`` was made."""
        share = 0.5
        for level in _levels(draw, action):
            successes, count = self._counts.get(level, (0.0, 0.0))
            share = (successes + SHRINKAGE * share) / (count + SHRINKAGE)
        return share


def _levels(draw: Draw, action: str) -> tuple[Hashable, ...]:
    """Return what an action's share is learnt as, from all draws to its own."""
    return (), draw.strategies.get(action, ""), (draw.pattern, draw.service_type, action)
