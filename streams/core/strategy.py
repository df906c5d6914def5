"""Which strategy: options, their scores, and a choice whose probability is known.

SPEC C2 is the prior of the score, not a branch around it: the option that its rule names starts with
``policy.prior_weight`` pseudo-successes. Only guardrails are hard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from streams.core.config import Policy
from streams.core.events import Option
from streams.core.inventory import ServiceSpec
from streams.core.learning import Lessons
from streams.core.num import draw, stored
from streams.core.teams import Teams

CATALOGUE_WEIGHT = 2.0
"""Pseudo-attempts behind the catalogue's own figure for an option."""
INCIDENT_FAILURE_WEIGHT = 4.0
"""Pseudo-failures for each time that the action failed in this very incident."""
EXPLORATION_RISK_MAX = 0.5
LEARNED_FIX = "learned"


class ActionRow(Struct, frozen=True, forbid_unknown_fields=True):
    """An action as the core sees it. ``success``, ``cost`` and ``risk`` are in 0..1, before any evidence.

    ``requires`` are parts of the service's inventory entry that must be there (see ``has``); ``patterns`` limits the
    action to these patterns (empty: any).
    """

    id: str
    service_type: str
    strategy: str
    success: float
    cost: float
    risk: float
    repeatable: bool
    requires: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class FixRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A shipped fix: for this pattern, on this service type, this action, with this confidence (0.70..1.00)."""

    pattern: str
    service_type: str
    action: str
    confidence: float


class PatternRow(Struct, frozen=True, forbid_unknown_fields=True):
    """How a pattern takes part in an incident.

    ``rank``: 0 may be the echo of a dependency, 1 an effect, 2 a cause (the default); the highest leads an incident.
    ``echo``: it may be the echo of a dependency as well, although it has a rank above 0 (``echoes.py``).
    ``group``: incidents of one service are kept apart by it. ``burst_lines`` of it within ``policy.burst_window_ms``
    make it ``burst_severity`` (0: no number of lines does).
    """

    id: str
    rank: int = 2
    echo: bool = False
    group: str = "health"
    burst_lines: int = 0
    burst_severity: str = "critical"

    @property
    def may_echo(self) -> bool:
        """Whether it may come from a dependency that is broken."""
        return self.echo or self.rank == 0


class ProbeRow(Struct, frozen=True, forbid_unknown_fields=True):
    """What failed probes of a kind count as."""

    kind: str
    pattern: str
    category: str
    severity: str


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """The shipped tables that the fold depends on. A change of them is a change of epoch."""

    actions: tuple[ActionRow, ...]
    fixes: tuple[FixRow, ...]
    patterns: tuple[PatternRow, ...]
    probes: tuple[ProbeRow, ...]
    rules: Mapping[str, str]
    """Category to strategy for critical and fatal severities (SPEC C2)."""
    teams: Teams

    def pattern(self, pattern_id: str) -> PatternRow:
        """Return the row of a pattern, or the default one."""
        return next((row for row in self.patterns if row.id == pattern_id), PatternRow(id=pattern_id))

    def probe(self, kind: str) -> ProbeRow | None:
        """Return what a failed probe of this kind counts as."""
        return next((row for row in self.probes if row.kind == kind), None)

    def action(self, action_id: str) -> ActionRow | None:
        """Return the row of an action."""
        return next((row for row in self.actions if row.id == action_id), None)

    def fixes_for(self, pattern: str, service_type: str) -> tuple[FixRow, ...]:
        """Return the shipped fixes of a pattern, best first as the catalogue lists them."""
        return tuple(row for row in self.fixes if row.pattern == pattern and row.service_type == service_type)

    def actions_for(self, spec: ServiceSpec, pattern: str) -> tuple[ActionRow, ...]:
        """Return what a service's type, its inventory entry and the pattern allow; escalation is always one."""
        return tuple(
            row
            for row in self.actions
            if row.service_type in {spec.type, "any"}
            and (not row.patterns or pattern in row.patterns)
            and all(has(spec, part) for part in row.requires)
        )


def has(spec: ServiceSpec, part: str) -> bool:
    """Tell whether an inventory entry has a part.

    A part is a field that is not empty, one of several such with ``|`` between them, ``switch:KIND`` or ``tool:NAME``.
    """
    kind, _, name = part.partition(":")
    if kind == "switch":
        return bool(spec.switch(name))
    if kind == "tool":
        return name in spec.tools
    return any(getattr(spec, field) for field in part.split("|"))


class Question(Struct, frozen=True, kw_only=True):
    """What is asked: a pattern on a service, and how often each action has failed in this incident already."""

    pattern: str
    category: str
    severity: str
    spec: ServiceSpec
    failed: Mapping[str, int]
    findings: Mapping[str, float]
    """What specialists found on the service, by code."""


def prior_of(question: Question, catalogue: Catalogue, lessons: Lessons, policy: Policy) -> tuple[str, str]:
    """Return what SPEC C2 would do, as (strategy, action); no action (``""``) where its rule names a strategy only."""
    if question.severity in {"critical", "fatal"}:
        ruled = catalogue.rules.get(question.category)
        if ruled:
            return ruled, ""
    best = ("", 0.0)
    possible = {row.id for row in catalogue.actions_for(question.spec, question.pattern)}
    for fix in catalogue.fixes_for(question.pattern, question.spec.type):
        if fix.action not in possible:
            continue
        confidence = lessons.expected(
            question.pattern, question.spec.type, fix.action, _shipped(fix.confidence, policy)
        )
        if confidence > best[1]:
            best = (fix.action, confidence)
    if best[1] > policy.learned_confidence_min:
        return LEARNED_FIX, best[0]
    return ("rollback" if question.severity in {"critical", "fatal"} else "retry"), ""


def _shipped(confidence: float, policy: Policy) -> tuple[float, float]:
    return policy.prior_weight * confidence, policy.prior_weight * (1.0 - confidence)


def score_options(
    question: Question, catalogue: Catalogue, lessons: Lessons, policy: Policy
) -> tuple[tuple[Option, ...], str]:
    """Return every option with its score and probability, in catalogue order, and the reason of the prior.

    The reason names the findings that spoke for an option too. An action whose risk is above ``EXPLORATION_RISK_MAX``
    is never explored.
    """
    strategy, action = prior_of(question, catalogue, lessons, policy)
    hints = [hint for hint in catalogue.teams.hints if hint.speaks(question.findings)] if question.findings else []
    spoke = {}
    fixes = {row.action: row.confidence for row in catalogue.fixes_for(question.pattern, question.spec.type)}
    scored = []
    for row in catalogue.actions_for(question.spec, question.pattern):
        favoured = row.id == action if action else row.strategy == strategy
        base = fixes.get(row.id, row.success)
        favour = policy.prior_weight if favoured else 0.0
        for hint in hints:
            if hint.verb == row.id.partition(".")[2]:
                favour += hint.weight
                spoke[hint.finding] = question.findings[hint.finding]
        prior = (
            CATALOGUE_WEIGHT * base + favour,
            CATALOGUE_WEIGHT * (1.0 - base) + INCIDENT_FAILURE_WEIGHT * question.failed.get(row.id, 0),
        )
        expected = lessons.expected(question.pattern, question.spec.type, row.id, prior)
        scored.append(_option(row, expected, policy))
    reasons = [f"{strategy}:{action}" if action else f"rule:{strategy}", *(f"{code}={spoke[code]:g}" for code in spoke)]
    return with_probabilities(scored, policy.exploration_rate), ", ".join(reasons)


def _option(row: ActionRow, expected: float, policy: Policy) -> Option:
    score = expected - policy.cost_weight * row.cost - policy.risk_weight * row.risk
    return Option(
        strategy=row.strategy,
        action=row.id,
        expected_success=expected,
        cost=row.cost,
        risk=row.risk,
        score=stored(score),
        probability=0.0,
        barred="",
    )


def with_probabilities(options: Sequence[Option], rate: float) -> tuple[Option, ...]:
    """Spread ``rate`` evenly over the best option and those that may be explored; the best takes the rest."""
    if not options:
        return ()
    best = best_of(options)
    open_to = [option for option in options if option is best or _explorable(option)]
    share = rate / len(open_to)
    return tuple(
        _replace(option, stored(share + (1.0 - rate if option is best else 0.0)) if option in open_to else 0.0)
        for option in options
    )


def _explorable(option: Option) -> bool:
    return option.risk <= EXPLORATION_RISK_MAX and option.strategy != "escalate"


def _replace(option: Option, probability: float) -> Option:
    return Option(
        strategy=option.strategy,
        action=option.action,
        expected_success=option.expected_success,
        cost=option.cost,
        risk=option.risk,
        score=option.score,
        probability=probability,
        barred=option.barred if probability else option.barred or "not_explored",
    )


def best_of(options: Sequence[Option]) -> Option:
    """Return the option with the highest score; of equals the one listed first."""
    return max(options, key=lambda option: option.score)


def choose(options: Sequence[Option], identity: str) -> Option:
    """Return the option that the decision ``identity`` draws: same identity, same choice, on every host."""
    left = draw(identity)
    for option in options:
        if left < option.probability:
            return option
        left -= option.probability
    return best_of(options)
