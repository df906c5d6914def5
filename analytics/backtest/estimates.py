"""What a candidate's choices would have brought, from the choices that the log made by chance.

With μ the logged probability of an action, π the candidate's, r the reward, a the action that was taken, x what the
outcome model q sees and n draws, the share of verified success under the candidate is estimated by

* IPS: 1/n Σ w r with w = π(a)/μ(a) (D. Horvitz and D. Thompson, "A generalization of sampling without replacement from
  a finite universe", 1952). Without bias where μ > 0 wherever π > 0; its variance grows with the weights.
* SNIPS: Σ w r / Σ w (A. Swaminathan and T. Joachims, "The self-normalized estimator for counterfactual learning",
  2015). Always within 0..1, its bias vanishes with n.
* DR: 1/n Σ (Σ_b π(b) q(x, b) + w (r - q(x, a))) (M. Dudík, J. Langford and L. Li, "Doubly robust policy evaluation and
  learning", 2011). Without bias where IPS is, and of less variance the better q is.

The effect is that less the share that the log itself had in the same draws. How many draws of the candidate's own these
are worth is the effective sample size (Σ w)² / Σ w² (A. Kong, "A note on importance sampling using standardized
weights", 1992), which looks best where the heavy draws are those that never came. Both probabilities are known, so what
it is expected to be is known as well: n² / Σ Σ_b π(b)² / μ(b). That decides whether to warn.

Nothing is known of a choice that the log could not have made, and too little of one that it would have made less than
``EXPECTED_MIN`` times for that pattern on that type of service: so few draws weigh more than all others, or never came.
Draws in which the candidate gives more than ``UNSUPPORTED_MAX`` more to such choices are left out, and counted. That
depends on probabilities alone, not on what was drawn or came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
from msgspec import Struct

from analytics.backtest.bootstrap import Interval, Ratio, intervals
from analytics.backtest.draws import Draw, incidents_of
from analytics.backtest.outcomes import Shares

EXPECTED_MIN: Final = 20.0
UNSUPPORTED_MAX: Final = 0.01
MOVED_MIN: Final = 0.1
"""From this share of probability that goes to other actions on, the candidate chooses otherwise."""
EFFECTIVE_MIN: Final = 30.0
"""Draws in which the candidate chooses otherwise have to be worth as many, or the intervals are too narrow."""
_SHARES: Final = {
    "ips": Ratio("weighted", "draws"),
    "snips": Ratio("weighted", "weight"),
    "dr": Ratio("robust", "draws"),
}
"""Each estimator as a ratio of sums over draws; ``_estimates`` names the columns."""
ESTIMATORS: Final = tuple(_SHARES)
_FIGURES: Final = _SHARES | {
    f"{name}_effect": Ratio(share.over, share.under, "reward", "draws", least=-1.0) for name, share in _SHARES.items()
}


class Estimate(Struct, frozen=True, kw_only=True):
    """Share of verified success under the candidate, 0..1, and how much more that is than the log had."""

    share: Interval
    effect: Interval


class Effect(Struct, frozen=True, kw_only=True):
    """What is known of the effect. Shares are of the draws that count."""

    draws: int
    """Choices with a known outcome, up to the first differing decision of each incident."""
    counted: int
    """Those of them that the log can say something about."""
    incidents: int
    """Of the counted: how many incidents they are of."""
    changed: int
    """Of the counted: where the candidate's probabilities are others."""
    not_chosen: int
    """Draws in which the candidate would not have acted, or a person is asked by one of both only."""
    unsupported: int
    """Draws in which the candidate prefers what the log would have chosen less than ``EXPECTED_MIN`` times there."""
    logged_share: float | None
    """None when no draw counts."""
    moved: int
    """Of the changed: where the candidate chooses otherwise, by ``MOVED_MIN``."""
    effective: float
    """Effective sample size of all that count."""
    worth: float
    """What it is expected to be of the moved; of all that count where none is moved."""
    weight_max: float
    estimates: dict[str, Estimate]
    """By ``ESTIMATORS``; empty when no draw counts."""
    flags: tuple[str, ...]
    """Why the estimates must not be trusted, or say nothing of a part."""


class _Terms(Struct, frozen=True):
    """Of one draw: its weight, and what it contributes to the doubly robust estimate."""

    draw: Draw
    weight: float
    robust: float


def estimate(draws: Sequence[Draw], *, seed: int = 1) -> Effect:
    """Return what draws say about the candidate; same draws, same seed, same figures."""
    chosen = [draw for draw in draws if draw.candidate]
    counted = supported(chosen)
    terms = terms_of(counted)
    apart = [distance(one.draw) for one in terms]
    weights = [one.weight for one in terms]
    moved = [draw for draw, far in zip(counted, apart, strict=True) if far >= MOVED_MIN]
    found = Effect(
        draws=len(draws),
        counted=len(counted),
        incidents=incidents_of(counted),
        changed=sum(far > 0.0 for far in apart),
        moved=len(moved),
        not_chosen=len(draws) - len(chosen),
        unsupported=len(chosen) - len(counted),
        logged_share=sum(draw.reward for draw in counted) / len(counted) if counted else None,
        effective=effective(weights),
        worth=worth(moved or counted),
        weight_max=max(weights, default=0.0),
        estimates=_estimates(terms, seed) if sum(weights) > 0.0 else {},
        flags=(),
    )
    otherwise = (one for one, far in zip(terms, apart, strict=True) if far >= MOVED_MIN)
    return _flagged(found, {one.draw.reward for one in otherwise if one.weight > 0.0})


def _flagged(found: Effect, rewards: set[int]) -> Effect:
    """Return what was found with its flags; ``rewards`` are those of the moved draws that weigh anything."""
    flags = []
    if found.unsupported:
        flags.append(
            f"no support: in {found.unsupported} draws the candidate prefers what the log would not have chosen "
            f"{EXPECTED_MIN:.0f} times"
        )
    if found.not_chosen:
        flags.append(f"no support: in {found.not_chosen} draws the candidate would not have acted as the log did")
    if found.changed and found.worth < EFFECTIVE_MIN:
        flags.append(
            f"too few: the {found.moved or found.counted} draws in which the candidate chooses otherwise are worth "
            f"{found.worth:.0f} of its own, and {EFFECTIVE_MIN:.0f} are needed: don't trust the intervals"
        )
    if len(rewards) == 1:
        helped, fails = ("helped", "fails") if 1 in rewards else ("did not help", "helps")
        flags.append(
            f"one-sided: where the candidate chooses otherwise, every draw that it could have made {helped}: the "
            f"intervals don't know how often such a choice {fails}"
        )
    if found.draws and not found.counted:
        flags.append("no estimate: no draw is left that the log can say something about")
    return Effect(**{name: getattr(found, name) for name in found.__struct_fields__} | {"flags": tuple(flags)})


def supported(draws: Sequence[Draw]) -> list[Draw]:
    """Return the draws in which the candidate chooses what the log would have chosen often enough to tell."""
    expected: dict[tuple[str, str, str], float] = {}
    for draw in draws:
        for action, share in draw.logged.items():
            key = draw.pattern, draw.service_type, action
            expected[key] = expected.get(key, 0.0) + share

    def excess(draw: Draw) -> float:
        return sum(
            max(share - draw.logged.get(action, 0.0), 0.0)
            for action, share in draw.candidate.items()
            if action not in draw.logged or expected[draw.pattern, draw.service_type, action] < EXPECTED_MIN
        )

    return [draw for draw in draws if excess(draw) <= UNSUPPORTED_MAX]


def distance(draw: Draw) -> float:
    """Return which share of probability the candidate gives to other actions than the log (total variation)."""
    actions = {*draw.logged, *draw.candidate}
    return sum(abs(draw.logged.get(action, 0.0) - draw.candidate.get(action, 0.0)) for action in actions) / 2.0


def effective(weights: Sequence[float]) -> float:
    """Return the effective sample size of weights; 0 of none."""
    squares = sum(weight * weight for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def worth(draws: Sequence[Draw]) -> float:
    """Return the effective sample size that draws are expected to have, by their probabilities alone."""
    squares = sum(
        share * share / draw.logged[action]
        for draw in draws
        for action, share in draw.candidate.items()
        if action in draw.logged
    )
    return len(draws) ** 2 / squares if squares else 0.0


def terms_of(draws: Sequence[Draw]) -> list[_Terms]:
    """Return weights and doubly robust terms of draws that the log supports."""
    shares, found = Shares(), []
    for draw in draws:
        expected = sum(share * shares.of(draw, action) for action, share in draw.candidate.items())
        weight = draw.candidate.get(draw.action, 0.0) / draw.logged[draw.action]
        found.append(_Terms(draw, weight, expected + weight * (draw.reward - shares.of(draw, draw.action))))
        shares.add(draw)
    return found


def _estimates(terms: Sequence[_Terms], seed: int) -> dict[str, Estimate]:
    sums = pl.DataFrame(
        {
            "incident": [one.draw.incident for one in terms],
            "reward": [float(one.draw.reward) for one in terms],
            "weighted": [one.weight * one.draw.reward for one in terms],
            "weight": [one.weight for one in terms],
            "robust": [one.robust for one in terms],
            "draws": [1.0] * len(terms),
        }
    )
    sums = sums.group_by("incident", maintain_order=True).sum().drop("incident")
    found = intervals(sums, _FIGURES, seed=seed)
    return {name: Estimate(share=found[name], effect=found[f"{name}_effect"]) for name in ESTIMATORS}
