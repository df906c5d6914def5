"""Incidents: one outage is one incident.

Symptoms of one service (and group of patterns) belong together; so do the echoes that a service's dependents report. An
incident is a small state machine:

    open -> acting -> verifying -> closed (healed)
    open -> planning (specialists look) -> open -> acting
    open -> waiting (approval) -> acting
    acting, verifying -> open (failed: next attempt) -> ... -> escalated
    open, escalated -> closed (subsided)

Beside its status it has a phase, 1 to 4, which only rises (``phases.py``): how much help its next attempt gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct, field

from streams.core.advisors import Asked
from streams.core.coordination import Plan
from streams.core.events import CAUSES_MAX, SEVERITIES, Command, Coordinate

NEVER_MS: Final = 1 << 62
SYMPTOMS_MAX: Final = 16
INCIDENTS_MAX: Final = 20_000
"""Open incidents; more are in the facts and not opened."""
STRANGERS_MAX: Final = 1_000
"""Open incidents of services that are not in the inventory."""

OPEN, WAITING, ACTING, VERIFYING, ESCALATED = "open", "waiting", "acting", "verifying", "escalated"
PLANNING = "planning"


class Attempt(Struct):
    """The action under way. ``*_at_ms`` are event times, 0 = not yet; the others ``now_ms``."""

    decision_id: str
    pattern: str
    command: Command
    issued_at_ms: int
    deadline_ms: int
    ended_ms: int = 0
    finished_at_ms: int = 0
    failed_at_ms: int = 0
    """The first symptom that came back (or came new) after the action."""
    failed_by_echo: bool = False
    """It may be the echo of a dependency that has not spoken yet."""
    category: str = ""
    vector: tuple[float, ...] = ()
    """The error as it was when the action was chosen, for its strategy to be learnt from."""


class Phase(Struct):
    """The phase that an incident is in, 1 to 4 (``phases.py``), and its clock in ``now_ms``."""

    number: int = 1
    attempts: int = 0
    """Actions in it."""
    limit_ms: int = 0
    left_ms: int = 0
    """What was left of its time when its clock was stopped last."""
    until_ms: int = NEVER_MS
    """When its time is over, while its clock runs."""

    def left_at_ms(self, now_ms: int) -> int:
        """Return how much of its time is left."""
        return self.left_ms if self.until_ms == NEVER_MS else max(self.until_ms - now_ms, 0)


class Incident(Struct):
    """An open incident. ``*_now_ms``, ``opened_ms`` and ``due_ms`` are ``now_ms``; ``*_at_ms`` event time."""

    id: str
    service: str
    group: str
    host: str
    pattern: str
    category: str
    severity: str
    confidence: float
    rank: int
    status: str
    last_at_ms: int
    last_now_ms: int
    """When the latest symptom of its own service came, not of a dependent."""
    opened_ms: int
    broke_at_ms: int
    """Event time of the symptom that it was opened for."""
    due_ms: int
    """When to look at it again, at the latest."""
    not_before_ms: int
    """No decision before this: a dependency may still speak, or a cool-down runs."""
    count: int
    causes: tuple[Coordinate, ...]
    symptoms: dict[str, int]
    """Lines by ``service pattern``."""
    stranger: bool = False
    """The service was not in the inventory when it was opened."""
    attempts: int = 0
    failed: dict[str, int] = {}
    """Failures in this incident by action."""
    attempt: Attempt | None = None
    withheld: str = ""
    """The gates that said no last time, so that the same answer is recorded once."""
    phase: Phase = field(default_factory=Phase)
    plan: Plan | None = None
    """What specialists do about it, from when they were called until it is known what came of it."""
    escalation: str = ""
    """The decision that gave it to a person last."""
    trace: str = ""
    """W3C traceparent of its first line that came with one."""
    held: str = ""
    """Why it is to be given to a person as soon as no maintenance holds it back."""
    asked: Asked | None = None
    """What advisors were asked in its phase, and what came of that."""


class Incidents(Struct):
    """All open incidents, in the order in which they were opened."""

    by_id: dict[str, Incident] = {}
    by_key: dict[str, str] = {}
    by_service: dict[str, list[str]] = {}
    next_due_ms: int = NEVER_MS
    strangers: int = 0
    full_said_ms: int = -NEVER_MS
    """When it was last recorded that there is no room for more strangers."""

    def find(self, service: str, group: str) -> Incident | None:
        """Return the open incident of a service and group."""
        return self.by_id.get(self.by_key.get(f"{service}|{group}", ""))

    def of_service(self, service: str) -> list[Incident]:
        """Return the open incidents of a service: one a group of patterns at most."""
        return [self.by_id[one] for one in self.by_service.get(service, ())]

    def add(self, incident: Incident) -> None:
        """Open an incident."""
        self.by_id[incident.id] = incident
        self.strangers += incident.stranger
        self.by_key[f"{incident.service}|{incident.group}"] = incident.id
        self.by_service.setdefault(incident.service, []).append(incident.id)
        self.wake(incident, incident.due_ms)

    def wake(self, incident: Incident, due_ms: int) -> None:
        """See to it that it is looked at at ``due_ms`` (``now_ms``), or when its plan, phase or question is due."""
        if incident.plan is not None:
            due_ms = min(due_ms, incident.plan.due_ms)
        if incident.asked is not None and incident.asked.verdict is None:
            due_ms = min(due_ms, incident.asked.until_ms)
        due_ms = min(due_ms, incident.phase.until_ms)
        incident.due_ms = due_ms
        self.next_due_ms = min(self.next_due_ms, due_ms)

    def close(self, incident: Incident) -> None:
        """Take an incident out of the state; what is to be known of it later is in the event log."""
        del self.by_id[incident.id]
        self.strangers -= incident.stranger
        self.by_key.pop(f"{incident.service}|{incident.group}", None)
        left = self.by_service[incident.service]
        left.remove(incident.id)
        if not left:
            del self.by_service[incident.service]

    def due(self, now_ms: int) -> Iterator[Incident]:
        """Yield the incidents whose time has come, in order of opening; then the next due time is known again."""
        if now_ms < self.next_due_ms:
            return
        for incident in list(self.by_id.values()):
            if incident.due_ms <= now_ms and incident.id in self.by_id:
                yield incident
        self.next_due_ms = min((incident.due_ms for incident in self.by_id.values()), default=NEVER_MS)

    def under_way(self) -> frozenset[str]:
        """Return the services with an action that is not verified yet."""
        return frozenset(one.service for one in self.by_id.values() if one.status in {ACTING, VERIFYING})

    def of_plan(self, command_id: str) -> Incident | None:
        """Return the incident in whose plan a command is."""
        return next((one for one in self.by_id.values() if one.plan is not None and one.plan.knows(command_id)), None)

    def of_attempt(self, decision_id: str) -> Incident | None:
        """Return the incident whose attempt is that of a decision."""
        return next(
            (one for one in self.by_id.values() if one.attempt and one.attempt.decision_id == decision_id), None
        )


def add_symptom(incident: Incident, service: str, pattern: str, count: int) -> bool:
    """Count a symptom; True when it is the first of its kind in the incident. The kinds have a limit."""
    key = f"{service} {pattern}"
    incident.count += count
    if key in incident.symptoms:
        incident.symptoms[key] += count
        return False
    if len(incident.symptoms) >= SYMPTOMS_MAX:
        return False
    incident.symptoms[key] = count
    return True


def add_causes(incident: Incident, causes: Iterable[Coordinate]) -> None:
    """Keep the first lines that an incident was seen in."""
    incident.causes = (*incident.causes, *causes)[:CAUSES_MAX]


def severer(one: str, other: str) -> str:
    """Return the higher of two severities."""
    return max(one, other, key=SEVERITIES.index)
