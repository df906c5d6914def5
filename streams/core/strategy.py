"""Which strategy: the tables that are asked, and the options with their scores.

SPEC C2 is the prior of the score, not a branch around it: the option that its rule names starts with
``policy.prior_weight`` pseudo-successes. Only guardrails are hard. All rules of C2 and all numbers of C3 are rows of
``catalogue/strategies.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from streams.core.choosing import best_of, is_open, with_probabilities
from streams.core.commands import verb_of
from streams.core.config import Policy
from streams.core.events import Option
from streams.core.health import HealthTable
from streams.core.inventory import ServiceSpec
from streams.core.learning import Lessons, Where, mean, variance
from streams.core.num import stored
from streams.core.prediction import Prediction
from streams.core.risk import Risk, RiskTable, Standing, assess
from streams.core.teams import Teams

CATALOGUE_WEIGHT: Final = 2.0
"""Pseudo-attempts behind the catalogue's own figure for an option."""
INCIDENT_FAILURE_WEIGHT: Final = 4.0
"""Pseudo-failures for each time that the action failed in this very incident ..."""
INCIDENT_EVIDENCE_MAX: Final = 10.0
"""... beside all other evidence, which counts as so many outcomes at most: of what failed a minute ago, a thousand
successes elsewhere say little."""
LEARNED, PREDICTED, RULE = "learned", "predicted", "rule"


class ActionRow(Struct, frozen=True, forbid_unknown_fields=True):
    """An action as the core sees it. ``success`` and ``cost`` are in 0..1, before any evidence.

    ``requires`` are parts of the service's inventory entry that must be there (see ``has``); ``patterns`` limits the
    action to these patterns (empty: any).
    """

    id: str
    service_type: str
    strategy: str
    success: float
    cost: float
    repeatable: bool
    reversible: bool = False
    blast_radius: str = "host"
    requires: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class FixRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A shipped fix: for this pattern, on this service type, this action, with this confidence (0.70..1.00)."""

    pattern: str
    service_type: str
    action: str
    confidence: float


class RuleRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule of SPEC C2; the first that fits a severity and category, and has something to name, is the prior.

    ``name``: ``strategy`` (that of the row), ``learned`` (the fix with the highest confidence, when that is above
    ``policy.learned_confidence_min``) or ``predicted`` (the strategy that the vector of the error speaks for, when that
    prediction is valid and its confidence above ``policy.predicted_confidence_min``). No severities or categories: any.
    """

    name: Literal["strategy", "learned", "predicted"]
    severities: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    strategy: str = ""

    def fits(self, severity: str, category: str) -> bool:
        """Tell whether the rule is for such an error."""
        return (not self.severities or severity in self.severities) and (
            not self.categories or category in self.categories
        )


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


class Bound(Struct, frozen=True, forbid_unknown_fields=True):
    """The limit of a metric that is forecast, in its unit; values lie in ``least`` .. ``most``.

    ``of`` a minute counts the ``mean`` or the ``max``. ``capacity``: it is a share of something that there can be more
    or less of.
    """

    limit: float
    least: float
    most: float
    of: str
    capacity: bool


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """The shipped tables that the fold depends on. A change of them is a change of epoch."""

    actions: tuple[ActionRow, ...]
    fixes: tuple[FixRow, ...]
    patterns: tuple[PatternRow, ...]
    probes: tuple[ProbeRow, ...]
    rules: tuple[RuleRow, ...]
    """SPEC C2, in order."""
    risk: RiskTable
    """SPEC C3."""
    teams: Teams
    health: HealthTable
    """SPEC P2: how a service's metrics are judged."""
    reliefs: Mapping[str, str] = {}
    """Metric to the strategy that relieves it ..."""
    bounds: Mapping[str, Bound] = {}
    """... and to its limit, of those that are forecast."""
    categories: Mapping[str, str] = {}
    """Shipped pattern to its category."""

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
    barred: Mapping[str, str] = {}
    """Actions that must not be chosen, each with why."""
    advised: Mapping[str, float] = {}
    """Actions that advisors speak for, each with the confidence of their verdict."""
    standing: Standing = Standing()
    vector: tuple[float, ...] = ()
    """The error as ``features.ERROR_FEATURES``, for what becomes of it to be learnt."""
    predicted: Prediction | None = None
    """The best strategy by the vector."""

    @property
    def where(self) -> Where:
        """What is learnt from the answer is about this."""
        return Where(pattern=self.pattern, category=self.category, service_type=self.spec.type)


class Prior(Struct, frozen=True):
    """What SPEC C2 would do: by which rule, the strategy, and the action where the rule names one."""

    rule: str
    strategy: str
    action: str = ""

    def names(self, strategy: str, action: str) -> bool:
        """Tell whether this is what the rule names."""
        return action == self.action if self.action else strategy == self.strategy

    def __str__(self) -> str:
        return f"{self.rule}:{self.action or self.strategy}"


def prior_of(question: Question, catalogue: Catalogue, lessons: Lessons, policy: Policy) -> Prior:
    """Return what the first rule of SPEC C2 that applies would do."""
    for rule in catalogue.rules:
        if not rule.fits(question.severity, question.category):
            continue
        match rule.name:
            case "strategy":
                return Prior(RULE, rule.strategy)
            case "learned":
                found = _learned(question, catalogue, lessons, policy)
            case "predicted":
                found = _predicted(question, policy)
        if found is not None:
            return found
    return Prior(RULE, "retry")


def _learned(question: Question, catalogue: Catalogue, lessons: Lessons, policy: Policy) -> Prior | None:
    best, most = None, policy.learned_confidence_min
    for row in catalogue.actions_for(question.spec, question.pattern):
        confidence = mean(posterior_of(catalogue, lessons, policy, question.where, row.id))
        if row.strategy != "escalate" and confidence > most:
            best, most = Prior(LEARNED, row.strategy, row.id), confidence
    return best


def _predicted(question: Question, policy: Policy) -> Prior | None:
    found = question.predicted
    if found is None or not found.valid or found.confidence <= policy.predicted_confidence_min:
        return None
    return Prior(PREDICTED, found.strategy)


def fixes_of(catalogue: Catalogue, lessons: Lessons, where: Where) -> dict[str, float]:
    """Return the fixes of a pattern on a type of service with the confidence that each was taught or shipped with."""
    shipped = {row.action: row.confidence for row in catalogue.fixes_for(where.pattern, where.service_type)}
    return lessons.taught_for(where) | shipped


def posterior_of(
    catalogue: Catalogue, lessons: Lessons, policy: Policy, where: Where, action: str
) -> tuple[float, float]:
    """Return successes and failures of an action under its shipped prior, without any rule's favour.

    The mean is the confidence of a fix (``learning.mean``). A fix begins with ``policy.prior_weight`` outcomes at its
    shipped or taught confidence, any other action with ``CATALOGUE_WEIGHT`` at the catalogue's share of success.
    """
    known = fixes_of(catalogue, lessons, where).get(action)
    if known is not None:
        weight, share = policy.prior_weight, known
    else:
        row = catalogue.action(action)
        weight, share = CATALOGUE_WEIGHT, row.success if row is not None else 0.0
    return lessons.posterior(where, action, (weight * share, weight * (1.0 - share)))


class Answer(Struct, frozen=True, kw_only=True):
    """All options of a question, in the catalogue's order, what SPEC C2 says, and the findings and advice for one."""

    options: tuple[Option, ...]
    prior: Prior
    spoke: str

    def why(self, chosen: Option) -> str:
        """Return the reason of a choice: the rule, what spoke for it, and why it departs from the rule if it does."""
        named = self.prior.names(chosen.strategy, chosen.action)
        departed = "" if named else f"departed to {chosen.action}: {self._departed(chosen)}"
        return ", ".join(part for part in (str(self.prior), self.spoke, departed) if part)

    def _departed(self, chosen: Option) -> str:
        if chosen.action != best_of(self.options).action:
            return f"explored with probability {chosen.probability:.2g}"
        open_to = [option for option in self.options if is_open(option)]
        named = [option for option in open_to if self.prior.names(option.strategy, option.action)]
        if not named:
            return "nothing that the rule names can be done"
        return f"score {chosen.score:.2f} against {best_of(named).score:.2f}"


def score_options(question: Question, catalogue: Catalogue, lessons: Lessons, policy: Policy) -> Answer:
    """Return every option with its score and probability."""
    prior = prior_of(question, catalogue, lessons, policy)
    hints = [hint for hint in catalogue.teams.hints if hint.speaks(question.findings)] if question.findings else []
    fixes = fixes_of(catalogue, lessons, question.where)
    options, variances = [], []
    spoke: dict[str, float] = {}
    for row in catalogue.actions_for(question.spec, question.pattern):
        base = fixes.get(row.id, row.success)
        favour = policy.prior_weight if prior.names(row.strategy, row.id) else 0.0
        for hint in hints:
            if hint.verb == verb_of(row.id):
                favour += hint.weight
                spoke[hint.finding] = question.findings[hint.finding]
        if row.id in question.advised:
            favour += policy.advice_weight * question.advised[row.id]
            spoke["advice"] = question.advised[row.id]
        belief = lessons.posterior(
            question.where, row.id, (CATALOGUE_WEIGHT * base + favour, CATALOGUE_WEIGHT * (1.0 - base))
        )
        left = _left_after(question.failed.get(row.id, 0), belief)
        options.append(_option(row, stored(mean(belief) * left), question, catalogue, policy))
        variances.append(variance(belief) * left * left)
    return Answer(
        options=with_probabilities(options, variances, policy.exploration_rate),
        prior=prior,
        spoke=", ".join(f"{code}={value:g}" for code, value in spoke.items()),
    )


def _left_after(failures: int, belief: tuple[float, float]) -> float:
    """Return what is left of the expected success after failures in this very incident."""
    weight = min(belief[0] + belief[1], INCIDENT_EVIDENCE_MAX)
    return weight / (weight + INCIDENT_FAILURE_WEIGHT * failures)


def _option(row: ActionRow, expected: float, question: Question, catalogue: Catalogue, policy: Policy) -> Option:
    risk = _risk(row, question, catalogue).overall
    return Option(
        strategy=row.strategy,
        action=row.id,
        expected_success=expected,
        cost=row.cost,
        risk=risk,
        score=stored(expected - policy.cost_weight * row.cost - policy.risk_weight * risk),
        probability=0.0,
        barred=question.barred.get(row.id, ""),
    )


def risk_of(action: str, question: Question, catalogue: Catalogue) -> Risk:
    """Return the risk of an action on the service that is asked about; the highest for one that no table has."""
    row = catalogue.action(action) or ActionRow(
        id=action, service_type="", strategy="", success=0.0, cost=1.0, repeatable=False
    )
    return _risk(row, question, catalogue)


def _risk(row: ActionRow, question: Question, catalogue: Catalogue) -> Risk:
    return assess(
        catalogue.risk,
        verb_of(row.id),
        reversible=row.reversible,
        blast_radius=row.blast_radius,
        standing=question.standing,
    )
