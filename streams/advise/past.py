"""Past incidents, and how similar each one is to the one that is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from msgspec import Struct

from streams.advise.dossier import Past, Symptom
from streams.core.events import Decision
from streams.core.num import stored

DAY_MS: Final = 86_400_000
SAME_PATTERN: Final = 0.4
SAME_SERVICE: Final = 0.2
SAME_TYPE: Final = 0.1
SAME_SYMPTOMS: Final = 0.15
"""Times the share of symptoms that both have, of those that either has ..."""
SAME_FAILURES: Final = 0.15
"""... and of actions that failed. All five add up to 1, the similarity of an incident to itself."""


class Step(Struct, frozen=True, kw_only=True):
    """One decision of a past incident, as far as similarity and ends are concerned; ``""`` is what it does not have."""

    incident: str
    id: str
    kind: str
    reason: str
    service: str
    pattern: str
    action: str
    service_type: str
    refers_to: str
    append_ms: int


class Present(Struct, frozen=True, kw_only=True):
    """What past incidents are compared with."""

    question: Decision
    service_type: str
    symptoms: tuple[Symptom, ...]
    failed: frozenset[str]


def past_of(steps: Sequence[Step], present: Present) -> tuple[Past, ...]:
    """Return the past incidents that some steps tell of, the most similar first."""
    by_incident = sorted(steps, key=attrgetter("incident"))  # stable: the steps of each stay in order
    found = [_past(list(group), present) for _, group in groupby(by_incident, key=attrgetter("incident"))]
    return tuple(sorted(found, key=lambda one: (-one.similarity, one.days_ago)))


def _past(steps: list[Step], present: Present) -> Past:
    acts = {step.id: step for step in steps if step.kind == "commanded"}
    helped = [acts[step.refers_to].action for step in _of(steps, "verified") if step.refers_to in acts]
    failed = {acts[step.refers_to].action for step in _of(steps, "verification_failed") if step.refers_to in acts}
    by_people = [step.reason for step in _of(steps, "escalation_resolved")]
    ends = _of(steps, "incident_closed") or _of(steps, "escalated")
    return Past(
        service=steps[0].service,
        similarity=_similarity(steps, failed, present),
        ended="resolved by a person" if by_people else ends[-1].reason if ends else "",
        healed_by=(helped or by_people or [""])[-1],
        failed=tuple(sorted(failed)),
        days_ago=stored(round((present.question.append_ms - steps[-1].append_ms) / DAY_MS, 2)),
        is_precedent=bool(present.failed)
        and present.failed <= failed
        and present.question.pattern in _patterns(steps)
        and present.service_type in _types(steps),
    )


def _of(steps: Iterable[Step], kind: str) -> list[Step]:
    return [step for step in steps if step.kind == kind]


def _patterns(steps: list[Step]) -> set[str]:
    """Return the patterns of an incident."""
    joined = {step.reason.rpartition(" ")[2] for step in _of(steps, "symptom_joined")}
    return joined | {step.pattern for step in _of(steps, "incident_opened")}


def _types(steps: list[Step]) -> set[str]:
    """Return the types of the services that an incident's actions were for."""
    return {step.service_type for step in _of(steps, "commanded")}


def _similarity(steps: list[Step], failed: set[str], present: Present) -> float:
    patterns = _patterns(steps)
    return stored(
        SAME_PATTERN * (present.question.pattern in patterns)
        + SAME_SERVICE * (steps[0].service == present.question.service)
        + SAME_TYPE * (present.service_type in _types(steps))
        + SAME_SYMPTOMS * _overlap(patterns, {one.pattern for one in present.symptoms})
        + SAME_FAILURES * _overlap(failed, set(present.failed))
    )


def _overlap(one: set[str], other: set[str]) -> float:
    """Return the share of what both have, of what either has (P. Jaccard, 1912); two empty sets are alike."""
    return len(one & other) / len(one | other) if one | other else 1.0
