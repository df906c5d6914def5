"""The answers that need no model: by the tables of the catalogue and the functions of the core that the fold uses.

Where the fold decides with what it has learnt, these decide with what is shipped: the service keeps no state.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final

from msgspec.structs import fields

from streams.advise.questions import (
    AgentSelection,
    Alternative,
    AnomalyAnalysis,
    Decided,
    ImpactEstimation,
    RecoverySelection,
    ResourcePlanning,
    RiskAssessment,
)
from streams.catalogue import hints, strategies
from streams.catalogue.patterns import patterns
from streams.core.anomaly import NOTHING, Detector
from streams.core.calling import FIRST_WAY_SUCCESS, NEXT_WAY_LESS
from streams.core.choosing import best_of, is_open
from streams.core.commands import verb_of
from streams.core.config import Policy
from streams.core.coordination import members_of
from streams.core.errors import InputError
from streams.core.fleet import Reach
from streams.core.forecast import BUCKET_MS, Forecast, Trend, capacity, forecast
from streams.core.inventory import SWITCH_KINDS, TOOLS, ServiceSpec, Switch
from streams.core.learning import Lessons
from streams.core.num import stored
from streams.core.risk import Standing, assess, impact
from streams.core.strategy import Question, score_options

SETTLING: Final = 30
"""Values after which an anomaly is told with half of its confidence."""
WATCH: Final = 2.0
"""-log10 of the rate of what is to be watched; ``Policy.anomaly_surprise`` is that of what is to be acted on."""
KNOWN, UNKNOWN = 0.9, 0.5
"""Confidence in the risk of an action that the tables know, and of one that they take for the worst."""
LEVELS: Final = (("critical", 0.6), ("high", 0.3), ("medium", 0.1), ("low", 0.0))
"""An impact is of the first level whose share it reaches."""
USUAL: Final = {"process": ("argv",), "systemd": ("unit",), "docker": ("container",), "http": ("base_url",)}
"""What services of a type have, if nothing is declared."""
MANY: Final = {"hybrid": ("unit", "container"), "kubernetes": ("deployment",)}


@singledispatch
def by_rules(question: Any) -> Decided:
    """Return the answer of the rules. Raises ``InputError`` saying what of the question makes no sense."""
    raise TypeError(question)


@by_rules.register
def _anomaly(question: AnomalyAnalysis) -> Decided:
    detector, found = Detector(), NOTHING
    for place, value in enumerate(question.values):
        found = detector.see(round(place * question.interval_s * 1_000), value)
    sure = Policy().anomaly_surprise
    said = "act" if found.surprise >= sure else "watch" if found.surprise >= WATCH else "ignore"
    known = len(question.values) / (len(question.values) + SETTLING)
    confidence = stored(known * (found.score if said != "ignore" else 1.0 - found.score / 2.0))
    reason = f"as rare as 10^-{found.surprise:.1f} in {len(question.values)} values"
    if said != "ignore" and question.metric in hints():
        reason += f"; {hints()[question.metric]}"
    figures = {"surprise": stored(found.surprise), "score": stored(found.score), "values": float(len(question.values))}
    return _decided(question, said, confidence, reason, ("act", "watch", "ignore"), figures)


@by_rules.register
def _recovery(question: RecoverySelection) -> Decided:
    asked = Question(
        pattern=question.pattern,
        category=_category(question),
        severity=question.severity,
        spec=_spec(question),
        failed=question.failed,
        findings=question.findings,
        standing=Standing(
            reach=Reach(dependents=question.dependents, neighbours=question.neighbours), down=question.down
        ),
    )
    answer = score_options(asked, strategies(), Lessons(), Policy())
    best = best_of(answer.options)
    rest = sorted((one for one in answer.options if one is not best and is_open(one)), key=lambda one: -one.score)
    return Decided(
        decision=question.decision,
        recommendation=best.action,
        confidence=best.expected_success,
        reason=answer.why(best),
        source="rules",
        alternatives=[Alternative(recommendation=one.action, confidence=one.expected_success) for one in rest],
        figures={"expected_success": best.expected_success, "cost": best.cost, "risk": best.risk, "score": best.score},
    )


def _spec(question: RecoverySelection) -> ServiceSpec:
    """Return an entry of the inventory that has what is declared. Raises ``InputError`` for what no entry has."""
    kinds = {field.name: type(field.default) for field in fields(ServiceSpec)}
    values: dict[str, Any] = {"switches": {}, "tools": {}}
    wanted = question.declared or [*USUAL.get(question.service_type, ()), *MANY.get(question.service_type, ())]
    for part in wanted:
        kind, _, name = part.partition(":")
        if kind == "switch" and name in SWITCH_KINDS:
            values["switches"][name] = Switch(kind=name, file="declared", values=("on", "off"))
        elif kind == "tool" and name in TOOLS:
            values["tools"][name] = ("declared",)
        elif kinds.get(part) in _DECLARED and part not in {"name", "host", "type", "mode", "owner"}:
            values[part] = _DECLARED[kinds[part]]
        else:
            raise InputError(f"declared: {part} is no part of a service that an action needs")
    return ServiceSpec(name="asked", host="asked", type=question.service_type, **values)


_DECLARED: Final[dict[type, Any]] = {str: "declared", tuple: ("declared",), int: 1, bool: True}


@by_rules.register
def _agent(question: AgentSelection) -> Decided:
    teams = strategies().teams
    team = teams.team(question.pattern)
    members = members_of(teams, _category(question), team)
    names = [row.name for row in members]
    way = team.ways[0]
    when = "at once" if team.at_once_from and not question.failed_attempts else "after a failed attempt"
    figures = {"cpu": 0.0, "memory_mb": 0.0, "bandwidth_mbps": 0.0}
    for row in members:
        figures["cpu"] += row.cpu
        figures["memory_mb"] += row.memory_mb
        figures["bandwidth_mbps"] += row.bandwidth_mbps
    return Decided(
        decision=question.decision,
        recommendation=names[0],
        confidence=FIRST_WAY_SUCCESS,
        reason=f"leads in {_category(question) or 'what is of no category'}; {way} coordination, called {when}",
        source="rules",
        alternatives=[
            Alternative(recommendation=name, confidence=stored(max(FIRST_WAY_SUCCESS - NEXT_WAY_LESS * place, 0.0)))
            for place, name in enumerate(names[1:], 1)
        ],
        support=names[1:],
        figures={name: stored(value) for name, value in figures.items()},
    )


@by_rules.register
def _risk(question: RiskAssessment) -> Decided:
    row = strategies().action(question.action)
    standing = Standing(reach=Reach(dependents=question.dependents, neighbours=question.neighbours), down=question.down)
    found = assess(
        strategies().risk,
        verb_of(question.action),
        reversible=row is not None and row.reversible,
        blast_radius=row.blast_radius if row is not None else "host",
        standing=standing,
    )
    most = Policy().risk_auto_max
    said = "approve" if found.overall > most else "auto"
    known = "" if row is not None else "the catalogue has no such action, so it is as risky as can be; "
    reason = f"{known}risk {found.overall:.2f}, without asking up to {most:.2f}"
    confidence = KNOWN if row is not None else UNKNOWN
    return _decided(question, said, confidence, reason, ("auto", "approve"), found.figures())


@by_rules.register
def _impact(question: ImpactEstimation) -> Decided:
    reach = Reach(
        dependents=question.dependents,
        users=question.users,
        business=question.business,
        technology=question.technology,
    )
    found = impact(strategies().risk, question.severity, reach)
    most = max((value for name, value in found.items() if name.startswith("impact_")), default=0.0)
    said = next(name for name, least in LEVELS if most >= least)
    nearest = min(abs(most - least) for _, least in LEVELS[:-1])
    confidence = stored(min(0.5 + 2.0 * nearest, 0.95))
    weight = strategies().risk.severities[question.severity]
    reason = f"{question.severity} weighs {weight:.1f}; the largest share is {most:.2f}"
    return _decided(question, said, confidence, reason, tuple(name for name, _ in LEVELS), found)


@by_rules.register
def _resource(question: ResourcePlanning) -> Decided:
    trend = Trend()
    for minute, value in enumerate(question.values):
        trend.add(minute * BUCKET_MS, value)
    now_ms = len(question.values) * BUCKET_MS
    said = forecast(trend, now_ms, question.ahead_minutes * BUCKET_MS)
    choices = ("scale_up", "hold", "scale_down")
    if not said.valid:
        reason = f"{len(question.values)} minutes are too few for a forecast: nothing speaks for a change"
        return _decided(question, "hold", 0.0, reason, choices, {"values": float(len(question.values))})
    found = capacity(said, question.units, Policy().capacity_target * question.limit, question.limit)
    figures = {"value": said.value, "low": said.low, "high": said.high, "slope": said.slope, "use": found.use}
    figures |= {"use_high": found.use_high, "units": float(found.units)}
    reason = f"in {question.ahead_minutes} minutes {found.use:.0%} of the limit, at most {found.use_high:.0%}"
    return _decided(question, found.advice, _sure(said, question.limit), reason, choices, figures)


def _sure(said: Forecast, limit: float) -> float:
    """Return the confidence in a forecast: the less, the wider its interval is against the limit."""
    return stored(max(0.9 - (said.high - said.low) / limit, 0.1))


def _category(question: RecoverySelection | AgentSelection) -> str:
    known = {rule.id: rule.category for rule in patterns().rules}
    return question.category or known.get(question.pattern, "")


def _decided(
    question: AnomalyAnalysis | RiskAssessment | ImpactEstimation | ResourcePlanning,
    said: str,
    confidence: float,
    reason: str,
    choices: tuple[str, ...],
    figures: dict[str, float],
) -> Decided:
    """Return an answer that is one of a few words; what is left of certainty is shared by the others."""
    others = [one for one in choices if one != said]
    rest = stored((1.0 - confidence) / len(others))
    return Decided(
        decision=question.decision,
        recommendation=said,
        confidence=confidence,
        reason=reason,
        source="rules",
        alternatives=[Alternative(recommendation=one, confidence=rest) for one in others],
        figures=figures,
    )
