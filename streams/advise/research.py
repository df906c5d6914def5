"""What can be found out before a model is asked, all of it on this machine (SPEC H5), and what it comes to.

First the lines around the incident and its neighbours: is it the cause, or a symptom of another's trouble? Then known
fixes, the runbook, and past incidents. ``conclude`` weighs them as an advisor's brief does; where it is sure enough,
its answer is the advisor's, and no model is called.

An option's belief is that of a Beta distribution, which the runbook begins (or ``DOUBT``) and outcomes for and against
it go on with: known fixes, or past incidents by their similarity, whichever say more, for they tell of the same events.
What failed in this very incident counts as in ``core.strategy``. The confidence is the mean times n / (n + 1) with n
outcomes, so little evidence never makes sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.advise.answers import Opinion
from streams.advise.dossier import Dossier, Past, Tried, Trouble, type_of
from streams.advise.past import Present, past_of
from streams.advise.records import Mask, Records
from streams.catalogue.advisors import Advisor
from streams.catalogue.runbooks import runbook
from streams.core.choosing import worth_doing
from streams.core.commands import verb_of
from streams.core.config import Inventory
from streams.core.errors import InputError
from streams.core.events import SEVERITIES, Decision, Option
from streams.core.fleet import Fleet
from streams.core.num import stored
from streams.core.strategy import INCIDENT_EVIDENCE_MAX, INCIDENT_FAILURE_WEIGHT

DOUBT: Final = (0.3, 0.7)
"""Outcomes for and against an action of which neither runbook nor records know."""
OUTCOMES_MAX: Final = 20.0
"""Records count as so many outcomes at most: what happened a thousand times elsewhere may still be otherwise here."""
SIMILAR_MIN: Final = 0.6
"""A past incident that is less similar says nothing: the same category alone is 0.3 at most."""
PRECEDENT: Final = 2.0
"""A precedent counts as so many incidents: that the usual fix had failed in it too makes it one of the same kind."""
RECURRING_DAYS: Final = 1.0
NEIGHBOURS_MAX: Final = 64
MINUTE_MS: Final = 60_000
AFTER_S: Final = 5
"""Trouble that began up to so many seconds after the incident's opening may still be its cause: lines are late."""
SHORT: Final = frozenset({"exhaustion_expected", "exhaustion_came"})


class Conclusion(Struct, frozen=True, kw_only=True):
    """What research makes of a dossier on behalf of one advisor; ``opinion.action`` is ``""`` without an option."""

    opinion: Opinion
    outcomes: float


class Research:
    """Gathers dossiers from one event log. For one thread."""

    def __init__(self, directory: Path, mask: Mask) -> None:
        """Open the log. Raises ``InputError`` when it is damaged."""
        self._records = Records(directory, mask)
        self._fleet = Fleet(Inventory())
        self._inventory_sha256 = ""

    def close(self) -> None:
        """Let go of the log."""
        self._records.close()

    def reaches(self, question: Decision) -> bool:
        """Tell whether the log has got as far as a question."""
        return self._records.reach(question.seq)

    def _fleet_of(self, question: Decision) -> Fleet:
        """Return the inventory that was in force when the question was asked."""
        if question.inventory_sha256 != self._inventory_sha256:
            body = self._records.inventory(question.inventory_sha256)
            if body is not None:
                self._fleet = Fleet(_inventory(body))
                self._inventory_sha256 = question.inventory_sha256
        return self._fleet

    def dossier(self, question: Decision) -> Dossier:
        """Return what the log knows of a question's incident. Raises ``InputError`` when the log is damaged."""
        records, fleet = self._records, self._fleet_of(question)
        opening = records.opening(question)
        begin_ms = opening["at_ms"] if opening else question.at_ms
        relations = relations_of(question.service, fleet, records.tied(question.service))
        symptoms, tried = records.symptoms(question, begin_ms), records.tried(question)
        spec = fleet.spec(question.service)
        service_type = spec.type if spec is not None else type_of(question)
        failed = frozenset(one.action for one in tried if one.failed)
        present = Present(question=question, service_type=service_type, symptoms=symptoms, failed=failed)
        past = past_of(records.past(question), present)
        neighbours = records.troubles(question, relations, begin_ms)
        return Dossier(
            question=question,
            service_type=service_type,
            minutes_open=(question.now_ms - opening["now_ms"]) / MINUTE_MS if opening else 0.0,
            options=worth_doing(question.options),
            symptoms=symptoms,
            neighbours=neighbours,
            templates=records.templates(question, relations, begin_ms),
            findings=records.findings(question),
            tried=tried,
            fixes=records.fixes(question.pattern, service_type),
            past=past,
            signs=signs_of(question, neighbours, past, tried),
        )


def _inventory(body: bytes) -> Inventory:
    try:
        return msgspec.json.decode(body, type=Inventory)
    except msgspec.MsgspecError as error:
        raise InputError(f"the inventory in the log can't be read: {error}") from error


def relations_of(service: str, fleet: Fleet, tied: Iterable[str]) -> dict[str, str]:
    """Return the services that are near one, itself included, each with its nearest relation, the nearest first."""
    spec = fleet.spec(service)
    host = spec.host if spec is not None else ""
    specs = fleet.inventory.services
    near: dict[str, str] = {service: "self"}
    for relation, names in (
        ("dependency", sorted(fleet.dependencies(service))),
        ("dependent", [one.name for one in specs if service in fleet.dependencies(one.name)]),
        ("tied", sorted(tied)),
        ("host", [host, *(one.name for one in specs if one.host == host)] if host else []),
    ):
        for name in names:
            if len(near) < NEIGHBOURS_MAX:
                near.setdefault(name, relation)
    return near


def signs_of(
    question: Decision, neighbours: Iterable[Trouble], past: Iterable[Past], tried: Iterable[Tried]
) -> frozenset[str]:
    """Return which signs of ``runbooks.toml`` are seen."""
    troubles = list(neighbours)
    open_ones = [one for one in troubles if one.is_open and one.kind == "incident_opened"]
    seen = {
        "dependency_troubled": any(one.relation in {"dependency", "tied"} for one in open_ones),
        "host_troubled": len({one.service for one in open_ones if one.relation == "host"}) > 1,
        "recurring": any(one.failed for one in tried)
        or any(one.service == question.service and one.healed_by and one.days_ago <= RECURRING_DAYS for one in past),
        "resource_short": any(
            one.relation == "self" and one.is_open and (one.kind in SHORT or (one.kind == "alerted" and _severe(one)))
            for one in troubles
        ),
    }
    return frozenset(name for name, is_seen in seen.items() if is_seen)


def _severe(trouble: Trouble) -> bool:
    return trouble.severity in SEVERITIES and SEVERITIES.index(trouble.severity) >= SEVERITIES.index("error")


def origin_of(dossier: Dossier) -> tuple[str, str]:
    """Return the service and pattern that an incident comes from: the first open trouble upstream, or its own."""
    upstream = [
        one
        for one in dossier.neighbours
        if one.is_open
        and one.kind == "incident_opened"
        and one.relation in {"dependency", "tied"}
        and one.seconds <= AFTER_S
    ]
    if upstream:
        first = min(upstream, key=lambda one: one.seconds)
        return first.service, first.what
    return dossier.question.service, dossier.question.pattern


def conclude(advisor: Advisor, dossier: Dossier) -> Conclusion:
    """Return what research makes of a dossier on an advisor's behalf: the option that it believes in most."""
    suspect, cause = origin_of(dossier)
    beliefs = [(_belief(advisor, dossier, option), option) for option in dossier.options]
    if not beliefs:
        nothing = Opinion(action="", suspect=suspect, cause=cause, confidence=0.0, rationale="there is no option")
        return Conclusion(opinion=nothing, outcomes=0.0)
    (confidence, outcomes), best = max(beliefs, key=lambda one: (one[0][0], one[1].score))
    opinion = Opinion(
        action=best.action,
        suspect=suspect,
        cause=cause,
        confidence=stored(confidence),
        rationale=_rationale(dossier, best, outcomes),
    )
    return Conclusion(opinion=opinion, outcomes=stored(outcomes))


def _belief(advisor: Advisor, dossier: Dossier, option: Option) -> tuple[float, float]:
    """Return the confidence in an option, and the number of outcomes that it rests on."""
    weights = advisor.weights
    good, bad = _prior(dossier, option, weights.runbook)
    more, less = _records(dossier, option.action, weights.fix, weights.past)
    good, bad = good + more, bad + less
    total = good + bad
    weight = min(total, INCIDENT_EVIDENCE_MAX)
    left = weight / (weight + INCIDENT_FAILURE_WEIGHT * dossier.failed.get(option.action, 0))
    return good / total * left * total / (total + 1.0), total


def _prior(dossier: Dossier, option: Option, weight: float) -> tuple[float, float]:
    """Return outcomes for and against an option by the runbook alone; ``DOUBT`` where it does not know of it."""
    steps = [step for step in runbook(dossier.question.pattern).steps if step.applies(dossier.signs)]
    known = [step.success for step in steps if step.verb == verb_of(option.action)]
    return (weight * max(known), weight * (1.0 - max(known))) if known else DOUBT


def _records(dossier: Dossier, action: str, fix_weight: float, past_weight: float) -> tuple[float, float]:
    """Return outcomes for and against an action, by known fixes or by similar incidents, whichever say more."""
    fix = next((one for one in dossier.fixes if one.action == action), None)
    by_fix = (fix_weight * fix.successes, fix_weight * fix.failures) if fix is not None else (0.0, 0.0)
    similar = [one for one in dossier.past if one.similarity >= SIMILAR_MIN]
    by_past = (
        past_weight * sum(_weight(one) for one in similar if one.healed_by == action),
        past_weight * sum(_weight(one) for one in similar if action in one.failed),
    )
    good, bad = max(by_fix, by_past, key=sum)
    scale = min(1.0, OUTCOMES_MAX / (good + bad)) if good + bad else 0.0
    return good * scale, bad * scale


def _weight(past: Past) -> float:
    """Return how much a past incident says."""
    return past.similarity * (PRECEDENT if past.is_precedent else 1.0)


def _rationale(dossier: Dossier, option: Option, outcomes: float) -> str:
    """Say in ids and numbers what an answer rests on."""
    healed = sum(one.healed_by == option.action for one in dossier.past if one.similarity >= SIMILAR_MIN)
    fix = next((one for one in dossier.fixes if one.action == option.action), None)
    said: Mapping[str, object] = {
        "verified successes": fix.successes if fix is not None else 0,
        "failures": fix.failures if fix is not None else 0,
        "similar incidents that it ended": healed,
        "outcomes that this weighs": round(outcomes, 1),
    }
    signs = f"; seen: {', '.join(sorted(dossier.signs))}" if dossier.signs else ""
    return ", ".join(f"{name} {value}" for name, value in said.items()) + signs
