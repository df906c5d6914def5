"""Shares with the interval that they are known to."""

from __future__ import annotations

import math
from typing import Final

from analytics.report.told import Rate

Z: Final = 1.959964
"""Of the normal distribution: 95 % lie within so many standard deviations."""


def rate(count: int, of: int, target: float | None = None) -> Rate:
    """Return a share with its 95 % interval (E. B. Wilson, "Probable inference", 1927), which holds for few, too."""
    if of == 0:
        return Rate(count=count, of=of, share=None, low=None, high=None, target=target)
    share = count / of
    if not 0 <= share <= 1:  # more escalations than incidents: no share of anything, so it has no interval
        return Rate(count=count, of=of, share=share, low=None, high=None, target=target)
    scale = 1 + Z * Z / of
    centre = (share + Z * Z / (2 * of)) / scale
    reach = Z / scale * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    low = 0.0 if count == 0 else max(0.0, centre - reach)
    high = 1.0 if count == of else min(1.0, centre + reach)
    return Rate(count=count, of=of, share=share, low=low, high=high, target=target)


def chance_of(seen: int, of: int, probability: float) -> float:
    """Return how probable it is that something of a probability happens ``seen`` times or more in ``of`` trials."""
    if probability <= 0:
        return 1.0 if seen == 0 else 0.0
    if probability >= 1:
        return 1.0
    log_yes, log_no = math.log(probability), math.log1p(-probability)
    terms = (
        math.exp(math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * log_yes + (of - k) * log_no)
        for k in range(seen, of + 1)
    )
    return min(1.0, math.fsum(terms))
