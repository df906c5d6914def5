"""What is recorded: facts, inbox events, decisions and commands.

Every struct here is frozen, keyword-only and has an Avro schema of the same name in ``schemas/`` (its newest
version); ``tests/schemas`` holds the two equal. Conventions of the wire:

* ``*_ms`` are milliseconds since 1970 UTC. ``at_ms`` is event time, ``now_ms`` is smoothed append time, ``append_ms``
  is the broker's stamp on a record.
* Enumerations are lower-case strings from the tables of ``seen``. An absent string is ``""``, never ``None``.
* Hashes are lower-case hex SHA-256. No free text of a line is here: that is ``beside.Evidence``, which no fold reads.
"""

from __future__ import annotations

from streams.core.advice import AdviceEvent
from streams.core.base import Event
from streams.core.epochs import EpochChanged
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import Request
from streams.core.seen import (
    CATEGORIES,
    CAUSES_MAX,
    HEALTH_METRICS,
    MODES,
    SAMPLE_KINDS,
    SEVERITIES,
    STRATEGIES,
    Coordinate,
    Detection,
    LineAt,
    Reject,
    Sample,
    Tally,
)

__all__ = [
    "CATEGORIES",
    "CAUSES_MAX",
    "HEALTH_METRICS",
    "MODES",
    "SAMPLE_KINDS",
    "SEVERITIES",
    "STRATEGIES",
    "ActionHalted",
    "ActionResumed",
    "ApprovalGiven",
    "Argument",
    "Command",
    "ConfigApplied",
    "Coordinate",
    "Decision",
    "Detection",
    "Fact",
    "Figure",
    "Gate",
    "InboxEvent",
    "LineAt",
    "LinesLost",
    "Message",
    "Option",
    "OutcomeReported",
    "ProbeReported",
    "Reject",
    "Sample",
    "Slice",
    "Tally",
    "Ticked",
    "Took",
]


class OutcomeReported(Event, frozen=True):
    """How a command ended, said by the pool of ``host``. ``code`` is a short word from the action, never text.

    ``started_ms`` and ``finished_ms`` are the worker's clock, corrected by ``skew_ms``; both 0 when nothing was run.
    ``effect`` says whether the outside world was touched: ``none``, ``once``, ``unknown``.
    """

    command_id: str
    command_seq: int
    host: str
    worker: str
    status: str
    ok: bool
    code: str
    effect: str
    started_ms: int
    finished_ms: int
    skew_ms: int


class ProbeReported(Event, frozen=True):
    """The state of a service as seen from ``host``. ``code``: e.g. ``up``, ``503``.

    ``kind``: one of ``inventory.PROBE_KINDS``; of a host, whose name is the service then, of ``inventory.HOST_KINDS``.
    """

    host: str
    service: str
    kind: str
    ok: bool
    code: str
    at_ms: int
    latency_ms: int


class ConfigApplied(Event, frozen=True):
    """A new policy, rules, inventory or lessons (``kind``), as canonical JSON in ``body`` with its SHA-256."""

    kind: str
    sha256: str
    author: str
    body: bytes


class ActionHalted(Event, frozen=True):
    """The kill switch was thrown: everything is decided and recorded, nothing is acted on."""

    author: str
    reason: str


class ActionResumed(Event, frozen=True):
    """The kill switch was released."""

    author: str
    reason: str


class ApprovalGiven(Event, frozen=True):
    """A person's answer to an approval request; it names the hash of the very command it is about."""

    decision_id: str
    command_sha256: str
    approved: bool
    author: str
    reason: str


InboxEvent = (
    OutcomeReported
    | ProbeReported
    | SpecialistReported
    | FindingReported
    | ConfigApplied
    | ActionHalted
    | ActionResumed
    | ApprovalGiven
    | Request
    | AdviceEvent
)


class Message(Event, frozen=True):
    """An inbox record inside a slice: its offset, its append time, and what it said (on the wire: framed bytes)."""

    offset: int
    append_ms: int
    event: InboxEvent


class Took(Event, frozen=True):
    """A process takes a source partition: from here on only slices of ``term`` count."""

    source: str
    partition: int
    term: int
    nonce: str
    owner: str


class Slice(Event, frozen=True):
    """Accounts for every offset in [from_offset, to_offset) of one source partition.

    ``at_max_ms`` is the largest event time in it (0 when none), ``append_max_ms`` the largest broker stamp.
    ``points`` counts the data points of metrics in it, ``unmapped`` those of them that are in no sample. Under pressure
    ``shed_templates`` lines were counted without their template, and ``shed_texts`` named lines have no evidence.
    """

    source: str
    partition: int
    term: int
    from_offset: int
    to_offset: int
    rules_sha256: str
    lines: int
    at_max_ms: int
    append_max_ms: int
    detections: tuple[Detection, ...] = ()
    tallies: tuple[Tally, ...] = ()
    messages: tuple[Message, ...] = ()
    rejects: tuple[Reject, ...] = ()
    points: int = 0
    unmapped: int = 0
    samples: tuple[Sample, ...] = ()
    shed_templates: int = 0
    shed_texts: int = 0


class LinesLost(Event, frozen=True):
    """Offsets [from_offset, to_offset) were deleted by retention before anyone read them.

    With ``to_offset`` below ``from_offset`` the source was made anew, and is read again from there.
    """

    source: str
    partition: int
    term: int
    from_offset: int
    to_offset: int


class Ticked(Event, frozen=True):
    """A second passed while a timer was open and nothing else was appended."""

    owner: str


Fact = Took | Slice | LinesLost | Ticked | EpochChanged


class Option(Event, frozen=True):
    """One thing that could have been done: its score, and the probability with which it could have been chosen.

    ``score`` = expected success - cost - risk, each in 0..1. ``barred`` names the hard gate that took the option
    out (then ``probability`` is 0), else ``""``.
    """

    strategy: str
    action: str
    expected_success: float
    cost: float
    risk: float
    score: float
    probability: float
    barred: str


class Gate(Event, frozen=True):
    """A guardrail that was asked, what it answered, and the figure it looked at."""

    name: str
    passed: bool
    value: float
    limit: float


class Figure(Event, frozen=True):
    """A measured or expected number that a decision rests on or tells; ``kinds.FIGURES`` says what the names mean."""

    name: str
    value: float


class Argument(Event, frozen=True):
    """A typed, allow-listed argument of an action."""

    name: str
    value: str


class Command(Event, frozen=True):
    """A request to act on one host. It is part of its decision, and dispatch sends it on as it stands.

    ``id`` and ``seq`` are the decision's; ``previous_seq`` is that of the command before it (-1: none), so a reader
    can prove that it missed none. ``expires_ms`` is in the broker's clock. ``target`` is the service's entry in the
    inventory as canonical JSON. ``sha256`` covers all but id, seq, previous_seq, expiry and approval: an approval
    names it, and the worker recomputes it. ``approved_by`` is ``""`` unless a person approved.
    """

    id: str
    seq: int
    previous_seq: int
    epoch: int
    kind: str
    incident: str
    host: str
    service: str
    service_type: str
    strategy: str
    action: str
    arguments: tuple[Argument, ...]
    target: bytes
    repeatable: bool
    attempt: int
    timeout_ms: int
    expires_ms: int
    sha256: str
    approved_by: str


class Decision(Event, frozen=True):
    """One entry of the event log. See ``kinds.DECISION_KINDS`` for what each kind means and which fields it fills.

    ``seq`` is dense and never restarts; ``id`` is ``<epoch>-<facts_offset>-<ordinal>``; ``previous_sha256`` is the
    hash of the canonical bytes of the decision before it (``""`` for the first).
    """

    seq: int
    id: str
    epoch: int
    facts_offset: int
    ordinal: int
    kind: str
    reason: str
    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    at_ms: int
    now_ms: int
    append_ms: int
    count: int
    causes: tuple[Coordinate, ...]
    policy_sha256: str
    rules_sha256: str
    inventory_sha256: str
    confidence: float
    strategy: str
    options: tuple[Option, ...]
    gates: tuple[Gate, ...]
    command: Command | None
    refers_to: str
    previous_sha256: str
    figures: tuple[Figure, ...] = ()
    trace: str = ""
    """W3C traceparent of the first line of the incident that came with one."""
