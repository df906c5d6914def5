"""What the web shows of the fleet as it is now. All times are milliseconds of the broker's clock; 0 = not (yet)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

SEVERITY_ORDER: Final = {"fatal": 0, "critical": 1, "error": 2, "warning": 3, "info": 4}
"""The worst first."""


class Worker(Struct, frozen=True, kw_only=True):
    """A process of the pool, as its newest heartbeat says. ``status``: healthy, silent or hung (SEED_TABLES, 4).

    ``state`` is its own word: starting, idle, busy, stopping. ``age_ms`` is since its last heartbeat. ``specialist``:
    it was brought up for an incident and goes by itself.
    """

    id: str
    role: str
    host: str
    pid: int
    state: str
    status: str
    tasks: int
    errors: int
    uptime_ms: int
    age_ms: int
    specialist: bool

    @property
    def healthy(self) -> bool:
        """Whether it answers."""
        return self.status == "healthy"


class HostProbe(Struct, frozen=True, kw_only=True):
    """What a host agent found at its last look: ``kind`` is one of ``inventory.HOST_KINDS``."""

    kind: str
    ok: bool
    code: str
    at_ms: int


class Host(Struct, frozen=True, kw_only=True):
    """A host with its newest readings in percent (None: not known). ``status``: active, silent or none.

    ``silent``: its agent (``logmend host``) told nothing for a minute and a half; ``none``: it never told anything.
    """

    name: str
    status: str
    cpu: float | None
    memory: float | None
    disk: float | None
    at_ms: int
    probes: tuple[HostProbe, ...]


class Incident(Struct, frozen=True, kw_only=True):
    """An open incident. ``status`` is that of the view ``incidents``; ``reason`` is what was decided last."""

    id: str
    seq: int
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    status: str
    phase: int
    attempts: int
    lines: int
    strategy: str
    action: str
    reason: str
    opened_ms: int
    latest_ms: int


class Vote(Struct, frozen=True, kw_only=True):
    """What one advisor said of an escalated incident: ``vote`` is an action, ``""`` when it abstained."""

    advisor: str
    vote: str
    confidence: float
    reason: str


class Escalation(Struct, frozen=True, kw_only=True):
    """Something that a person is needed for. ``id`` is a number (of the decision ``escalated``), as in the view.

    ``status``: pending, acknowledged, resolved, auto_resolved. ``notes`` stay in the event log as evidence: here is
    only how many there are.
    """

    id: int
    decision_id: str
    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    reason: str
    status: str
    assigned_to: str
    notes: int
    resolution_method: str
    attempts: int
    votes: tuple[Vote, ...]
    consensus: str
    confidence: float | None
    recommended_action: str
    silenced_by: str
    created_ms: int
    latest_ms: int
    resolved_ms: int

    @property
    def sure(self) -> float | None:
        """How sure advisors are of what is recommended, in 0..1; None where it is the rules' recommendation."""
        theirs = self.consensus.endswith(f": {self.recommended_action}")
        return self.confidence if theirs else None


class Approval(Struct, frozen=True, kw_only=True):
    """A command that waits for a person's yes: ``id`` is the decision's, ``command_sha256`` says which very command.

    From ``expires_ms`` on it is denied by itself. ``arguments`` and ``figures``: name and value. ``risk``: 0..1.
    """

    id: str
    incident: str
    service: str
    host: str
    pattern: str
    severity: str
    strategy: str
    action: str
    arguments: tuple[tuple[str, str], ...]
    command_sha256: str
    confidence: float
    risk: float
    figures: tuple[tuple[str, float], ...]
    reason: str
    requested_ms: int
    expires_ms: int


class Mute(Struct, frozen=True, kw_only=True):
    """A silence or a maintenance window; ``service`` and ``pattern`` may end in ``*``, ``""`` is all."""

    id: str
    kind: str
    service: str
    pattern: str
    begin_ms: int
    end_ms: int
    author: str
    reason: str


class Forecast(Struct, frozen=True, kw_only=True):
    """What is expected of a metric of a service, in the metric's unit; ``limit`` is None where there is none."""

    id: str
    service: str
    metric: str
    level: float
    value: float
    low: float
    high: float
    slope: float
    limit: float | None
    advice: str
    at_ms: int
    for_ms: int


class Exhaustion(Struct, frozen=True, kw_only=True):
    """A metric that is on its way to its limit; ``latest_ms`` is None when it may also never be reached."""

    id: str
    service: str
    metric: str
    level: float
    limit: float
    said_ms: int
    earliest_ms: int
    expected_ms: int
    latest_ms: int | None


class Prediction(Struct, frozen=True, kw_only=True):
    """A service that may fail within ``horizon_ms`` from ``at_ms`` on, with probability 0..1."""

    id: str
    service: str
    probability: float
    alarm: bool
    strategy: str
    reason: str
    at_ms: int
    horizon_ms: int


class Healing(Struct, frozen=True, kw_only=True):
    """An action that was taken. ``status``: sent, done, failed, healed, came_back, unverified."""

    id: str
    incident: str
    service: str
    host: str
    action: str
    status: str
    code: str
    at_ms: int


class Halt(Struct, frozen=True, kw_only=True):
    """Nothing is acted on, since somebody said so (or a fact could not be taken)."""

    author: str
    reason: str
    at_ms: int


class Task(Struct, frozen=True, kw_only=True):
    """Something that a person gave a pool to do. ``status``: submitted, given, completed, failed, refused.

    ``reason`` says how it ended, or why it was refused. Without an ``action`` it only proves that a worker answers.
    """

    id: str
    role: str
    action: str
    status: str
    host: str = ""
    service: str = ""
    worker: str = ""
    reason: str = ""
    submitted_ms: int
    ended_ms: int = 0
