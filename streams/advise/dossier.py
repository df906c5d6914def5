"""What is known of an incident when advice is asked for: gathered by research, shown to advisors.

Seconds are counted from the incident's opening, negative before it. No struct here holds a line of a log: ``text`` of a
template is redacted, and has ``*`` in place of everything variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from streams.core.events import Decision, Option

RELATIONS: Final = ("self", "dependency", "dependent", "tied", "host")
"""How a service stands to that of the incident: itself, what it depends on, what depends on it, one whose troubles
begin together with its own, one on its host; the first that fits."""
HELPED: Final = "helped"
"""The outcome of an action that was verified ..."""
UNKNOWN: Final = "no outcome yet"
"""... and of one that is under way."""


class Symptom(Struct, frozen=True, kw_only=True):
    """A pattern that belongs to the incident: on which service, how many lines, and when it joined."""

    service: str
    pattern: str
    lines: int
    seconds: int


class Trouble(Struct, frozen=True, kw_only=True):
    """What began on a neighbour about then: ``kind`` is the decision's, ``what`` a pattern, metric or template's id."""

    service: str
    relation: str
    kind: str
    what: str
    severity: str
    seconds: int
    is_open: bool


class Template(Struct, frozen=True, kw_only=True):
    """Lines that differ in what is variable only; ``pattern`` is ``""`` where none matched."""

    service: str
    relation: str
    pattern: str
    severity: str
    lines: int
    seconds: int
    text: str


class Tried(Struct, frozen=True, kw_only=True):
    """An action of this incident, and what came of it in a word or two of ours."""

    action: str
    outcome: str

    @property
    def failed(self) -> bool:
        """Whether it is over, and did not help."""
        return self.outcome not in {HELPED, UNKNOWN}


class Fix(Struct, frozen=True, kw_only=True):
    """What an action did for the pattern on this type of service: verified outcomes, and the expected success."""

    action: str
    successes: int
    failures: int
    confidence: float


class Past(Struct, frozen=True, kw_only=True):
    """A past incident: how similar (0..1), what ended it (``""``: no action of ours did), and what failed in it."""

    service: str
    similarity: float
    ended: str
    healed_by: str
    failed: tuple[str, ...]
    days_ago: float
    is_precedent: bool = False
    """The same pattern on the same type of service, and all that failed in the present incident had failed in it."""


class Dossier(Struct, frozen=True, kw_only=True):
    """One question, and what the log knows of it. What research could not find out is empty."""

    question: Decision
    service_type: str
    minutes_open: float = 0.0
    options: tuple[Option, ...] = ()
    """Those that an advisor may name: ``worth_doing`` of the question's."""
    symptoms: tuple[Symptom, ...] = ()
    neighbours: tuple[Trouble, ...] = ()
    templates: tuple[Template, ...] = ()
    findings: Mapping[str, float] = {}
    tried: tuple[Tried, ...] = ()
    fixes: tuple[Fix, ...] = ()
    past: tuple[Past, ...] = ()
    signs: frozenset[str] = frozenset()

    @property
    def failed(self) -> dict[str, int]:
        """How often each action failed in this incident."""
        counts: dict[str, int] = {}
        for one in self.tried:
            if one.failed:
                counts[one.action] = counts.get(one.action, 0) + 1
        return counts


def type_of(question: Decision) -> str:
    """Return the type of the service that a question is about, by its actions; ``""`` when it has none of its own."""
    types = [one.action.partition(".")[0] for one in question.options if "." in one.action]
    return types[0] if types else ""
