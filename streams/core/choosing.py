"""One of several options is chosen by chance that can be recomputed, with probabilities that are known exactly.

Most of the time it is the one with the highest score. The others get what chance there is, given all outcomes so far,
that they are better after all, and together at most ``rate``: so exploration goes where it can teach something, and
ends by itself. With scores d apart whose variances add up to v, that chance is at most exp(-d² / 2v) / 2 for normal
errors (the Chernoff bound); choosing by it is W. Thompson's "probability matching", 1933.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Final

from msgspec.structs import replace

from streams.core.events import STRATEGIES, Option
from streams.core.num import draw, exp, stored

EXPLORATION_RISK_MAX: Final = 0.5
"""What is riskier is never chosen to learn something."""
PROBABILITY_MIN: Final = 1e-6
"""Less than this is no probability: once in a million decisions teaches nothing."""
TINY: Final = 1e-12
NOT_EXPLORED: Final = "not_explored"
ACTING: Final = frozenset(STRATEGIES) - {"escalate"}


def with_probabilities(options: Sequence[Option], variances: Sequence[float], rate: float) -> tuple[Option, ...]:
    """Return the options with their probabilities; ``variances`` are those of their scores, in the same order."""
    if not options:
        return ()
    first = max(range(len(options)), key=lambda place: (is_open(options[place]), options[place].score))
    chances = [
        0.0
        if place == first or not may_be_explored(option)
        else _chance(options[first].score - option.score, variance + variances[first])
        for place, (option, variance) in enumerate(zip(options, variances, strict=True))
    ]
    total = fsum(chances)
    scale = min(1.0, rate / total) if total > 0.0 else 0.0
    shares = [stored(chance * scale) if chance * scale >= PROBABILITY_MIN else 0.0 for chance in chances]
    shares[first] = stored(1.0 - fsum(shares))
    return tuple(
        replace(option, probability=share, barred=option.barred if share else option.barred or NOT_EXPLORED)
        for option, share in zip(options, shares, strict=True)
    )


def may_be_explored(option: Option) -> bool:
    """Tell whether an option may be chosen to learn something, although another one is better by all that is known."""
    return option.risk <= EXPLORATION_RISK_MAX and option.strategy != "escalate" and not option.barred


def _chance(apart: float, variance: float) -> float:
    return 0.5 * exp(-apart * apart / (2.0 * max(variance, TINY)))


def is_open(option: Option) -> bool:
    """Tell whether an option may be chosen: no hard gate takes it out."""
    return option.barred in {"", NOT_EXPLORED}


def best_of(options: Sequence[Option]) -> Option:
    """Return the option with the highest score of those that may be chosen; of equals the one listed first."""
    return max(options, key=lambda option: (is_open(option), option.score))


def worth_doing(options: Sequence[Option]) -> tuple[Option, ...]:
    """Return the actions among what was weighed that may be taken and are worth their cost and risk, the best first.

    Ways in which a team may work are weighed too, and are no actions. What costs and risks more than it promises is
    left out: to stop a service that crashes is an option of its type, and whoever writes to its log might like an
    advisor to name it.
    """
    worth = [one for one in options if one.strategy in ACTING and is_open(one) and one.score > 0.0]
    return tuple(sorted(worth, key=lambda one: -one.score))


def choose(options: Sequence[Option], identity: str) -> Option:
    """Return the option that the decision ``identity`` draws: same identity, same choice, on every host."""
    left = draw(identity)
    for option in options:
        if left < option.probability:
            return option
        left -= option.probability
    return best_of(options)
