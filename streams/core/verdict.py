"""What advisors agree on: how alike two diagnoses are, and the verdict of those that are (SPEC C4, H3).

A diagnosis says which service and which pattern are at the origin, and which action helps. Two are as alike as the
weights below say, over those parts that both know; what they would do is always known. Two whose origin is the same
agree though they would do something else about it; two that would do the same for quite different reasons do not.

Of one advisor that was asked alone, its opinion is the verdict. Of three, all three agree if any two do, else the two
that are most alike; then the action is that of theirs in which there is most confidence. Each of them adds its
confidence, times how alike its diagnosis is where it would do something else, and who disagrees adds nothing: the sum
over all who have an opinion is the verdict's confidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import fsum
from typing import Final

from msgspec import Struct

from streams.core.advice import ADVISORS
from streams.core.num import stored

AGREE_MIN: Final = 0.6
"""Diagnoses that are as alike as this agree."""
ACTION: Final = 0.4
SUSPECT: Final = 0.3
CAUSE: Final = 0.3
PAIR: Final = 2
"""Fewer than this can't agree or disagree with anybody: of three that were asked, one opinion is no answer."""
RELATED: Final = 0.5
"""The share of a weight for another action of the same strategy, or another pattern of the same category."""

AGREED, UNSURE, DISAGREED, SILENT = "agreed", "too unsure", "none agreed", "none answered"
"""What comes of a question. The second has too little confidence; after the last the rules decide alone."""


class Diagnosis(Struct, frozen=True, kw_only=True):
    """The opinion of one advisor that has one. ``suspect``, ``cause`` and its ``category`` are ``""`` while unknown.

    ``stated`` is the confidence that it states, ``confidence`` what that was worth so far, both in 0..1.
    """

    advisor: str
    action: str
    strategy: str
    suspect: str = ""
    cause: str = ""
    category: str = ""
    stated: float
    confidence: float


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of a question that ``asked`` advisors were asked: ``kind`` is one of the four words above.

    ``agreed`` of them agree on ``action``, with ``agreement`` as the least likeness of two (0 and ``""`` when none do).
    """

    kind: str
    asked: int
    agreed: int = 0
    action: str = ""
    strategy: str = ""
    confidence: float = 0.0
    agreement: float = 0.0

    def __str__(self) -> str:
        return f"{self.agreed} of {self.asked}: {self.action}" if self.kind == AGREED else self.kind


def similarity(one: Diagnosis, other: Diagnosis) -> float:
    """Return how alike two diagnoses are, in 0..1."""
    parts = [(ACTION, _alike(one.action == other.action, related=one.strategy == other.strategy))]
    if one.suspect and other.suspect:
        parts.append((SUSPECT, float(one.suspect == other.suspect)))
    if one.cause and other.cause:
        related = bool(one.category) and one.category == other.category
        parts.append((CAUSE, _alike(one.cause == other.cause, related=related)))
    return stored(fsum(weight * alike for weight, alike in parts) / fsum(weight for weight, _ in parts))


def _alike(equal: bool, *, related: bool) -> float:  # noqa: FBT001 - the comparison itself
    return 1.0 if equal else RELATED if related else 0.0


def settle(diagnoses: Iterable[Diagnosis], asked: int, confidence_min: float) -> Verdict:
    """Return the verdict of those that have an opinion, of ``asked`` (1 or 3), in whatever order they spoke."""
    known = sorted(diagnoses, key=lambda one: ADVISORS.index(one.advisor))
    if len(known) < min(asked, PAIR):
        return Verdict(kind=SILENT, asked=asked)
    group = known[:1] if asked == 1 else _agreeing(known)
    if not group:
        return Verdict(kind=DISAGREED, asked=asked)
    leads = _leader(group)
    support = fsum(one.confidence * (1.0 if one.action == leads.action else similarity(one, leads)) for one in group)
    confidence = stored(support / (1 if asked == 1 else len(known)))
    return Verdict(
        kind=AGREED if confidence >= confidence_min else UNSURE,
        asked=asked,
        agreed=len(group),
        action=leads.action,
        strategy=leads.strategy,
        confidence=confidence,
        agreement=_least(group),
    )


def _agreeing(known: Sequence[Diagnosis]) -> Sequence[Diagnosis]:
    """Return all of them if each two agree, else the two that are most alike, else none."""
    if len(known) > PAIR and _least(known) >= AGREE_MIN:
        return known
    pairs = list(combinations(known, 2))
    best = max(pairs, key=lambda pair: (_least(pair), fsum(one.confidence for one in pair)), default=())
    return best if best and _least(best) >= AGREE_MIN else ()


def _least(group: Sequence[Diagnosis]) -> float:
    return min((similarity(one, other) for one, other in combinations(group, 2)), default=1.0)


def _leader(group: Sequence[Diagnosis]) -> Diagnosis:
    """Return who advises the action in which there is most confidence; of equals, the first of ``ADVISORS``."""

    def weight(one: Diagnosis) -> tuple[float, float]:
        return fsum(other.confidence for other in group if other.action == one.action), one.confidence

    return max(group, key=weight)
