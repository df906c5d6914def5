"""Autonomy by evidence: an action for a pattern may do as much on its own as it has earned (SPEC C11).

| level | what happens when it is chosen | while the lower bound of its success |
|---|---|---|
| auto | it is done | is at least ``policy.autonomy_auto_min`` |
| approve | a person is asked | is at least ``policy.autonomy_approve_min`` |
| shadow | it is scored and recorded, and never chosen | is below that |

The bound is that of the posterior of verified outcomes for the pattern, the service's type and the action: its mean
less ``DEVIATIONS`` standard deviations, which true success exceeds with 90 % confidence if errors are normal. Before
there are outcomes the shipped confidence of a fix counts as ``policy.prior_weight`` of them, and so does
``OFFERED_SUCCESS``, the least that is shipped as a fix, for what the catalogue offers without one. With the defaults
all of these begin at auto; the least sure lose it with the third failure in a row and come to shadow with the ninth, a
fix with a confidence of 0.95 with the seventh and the sixteenth. Verified success takes them back up: that of approved
actions, and of the one that is asked for after ``policy.autonomy_trial_ms`` in shadow.

What holds is the lower of this level and the mode in the inventory: evidence never does more than people allowed.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from msgspec import Struct

from streams.core.config import Policy
from streams.core.learning import Lessons, Where, mean, variance
from streams.core.num import stored
from streams.core.strategy import Catalogue

SHADOW, APPROVE, AUTO = "shadow", "approve", "auto"
DEVIATIONS: Final = 1.2815515655446004
"""The 90 % quantile of the normal distribution."""
OFFERED_SUCCESS: Final = 0.7
"""A shipped fix has a confidence of 0.70 to 1.00 (SPEC L3)."""
STANDINGS_MAX: Final = 50_000
"""Levels that are remembered; what is beyond changes without being told, and is on trial whenever it is in shadow."""


class Standing(Struct, array_like=True):
    """The level of an action that was told last, and since when (``now_ms``)."""

    level: str
    since_ms: int


class Autonomy(Struct):
    """Levels that were told, by ``pattern|service type|action``; all others are where they begin."""

    standings: dict[str, Standing] = {}

    def level(self, where: Where, action: str, least: float, now_ms: int, policy: Policy) -> str:
        """Return what an action may do on its own whose success is bounded by ``least``: approve for one on trial."""
        if not policy.autonomy:
            return AUTO
        earned = earned_by(least, policy)
        if earned != SHADOW:
            return earned
        standing = self.standings.get(_key(where, action))
        on_trial = standing is None or now_ms - standing.since_ms >= policy.autonomy_trial_ms
        return APPROVE if on_trial else SHADOW

    def settle(self, where: Where, action: str, least: float, now_ms: int, policy: Policy) -> str:
        """Take in what an outcome made of the bound; return the level before if there is another one now, else ``""``.

        What comes to shadow, or fails there on trial, stays for ``policy.autonomy_trial_ms``.
        """
        key, earned = _key(where, action), earned_by(least, policy)
        before = self.standings[key].level if key in self.standings else AUTO
        if earned == before != SHADOW or (key not in self.standings and len(self.standings) >= STANDINGS_MAX):
            return ""
        self.standings[key] = Standing(earned, now_ms)
        return before if before != earned else ""


def earned_by(least: float, policy: Policy) -> str:
    """Return the level that a lower bound of success is worth."""
    if least >= policy.autonomy_auto_min:
        return AUTO
    return APPROVE if least >= policy.autonomy_approve_min else SHADOW


def bound(catalogue: Catalogue, lessons: Lessons, policy: Policy, where: Where, action: str) -> float:
    """Return the lower bound of an action's success, in 0..1."""
    fixes = catalogue.fixes_for(where.pattern, where.service_type)
    success = next((fix.confidence for fix in fixes if fix.action == action), OFFERED_SUCCESS)
    lesson, weight = lessons.lesson(where, action), policy.prior_weight
    posterior = weight * success + lesson.successes, weight * (1.0 - success) + lesson.failures
    return stored(max(mean(posterior) - DEVIATIONS * sqrt(variance(posterior)), 0.0))


def _key(where: Where, action: str) -> str:
    return f"{where.pattern}|{where.service_type}|{action}"
