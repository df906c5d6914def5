"""Everything that the fold remembers, and the turn in which one fact is worked on."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

from streams.core.advisors import Advisors
from streams.core.autonomy import Autonomy
from streams.core.chain import sha256_of
from streams.core.clock import Clock, Watermarks
from streams.core.config import Policy
from streams.core.directory import Directory
from streams.core.escalations import Escalations
from streams.core.events import Command, Coordinate, Decision, Figure, Gate, Option
from streams.core.fleet import Fleet
from streams.core.guardrails import Guard
from streams.core.incidents import Incident, Incidents
from streams.core.kinds import SENDING_KINDS
from streams.core.learning import Lessons
from streams.core.mutes import Mutes
from streams.core.num import stored
from streams.core.outlooks import Outlooks
from streams.core.prediction import StrategyPredictor
from streams.core.roster import Roster
from streams.core.services import Services
from streams.core.strategy import Catalogue
from streams.core.stuck import Stuck
from streams.core.tasks import Tasks
from streams.core.templates import Templates
from streams.core.vitals import Vitals
from streams.core.windows import Windows

COMMANDS_OPEN_MAX = 10_000


class Book(Struct):
    """Numbering and chaining of decisions. ``last_command_seq`` is -1 before the first command."""

    next_seq: int = 0
    chain_head: str = ""
    last_command_seq: int = -1
    rules_sha256: str = ""
    """Version of the rules in the last accepted slice of log lines."""


class Awaited(Struct, frozen=True, array_like=True):
    """Of a command without an outcome: the service that it is for, and the host whose pool may say how it ended."""

    service: str
    host: str


class State(Struct):
    """The state of the fold: bounded, and equal bytes on every host."""

    directory: Directory = field(default_factory=Directory)
    clock: Clock = field(default_factory=Clock)
    watermarks: Watermarks = field(default_factory=Watermarks)
    services: Services = field(default_factory=Services)
    incidents: Incidents = field(default_factory=Incidents)
    guard: Guard = field(default_factory=Guard)
    lessons: Lessons = field(default_factory=Lessons)
    strategist: StrategyPredictor = field(default_factory=StrategyPredictor)
    roster: Roster = field(default_factory=Roster)
    vitals: Vitals = field(default_factory=Vitals)
    foresight: Outlooks = field(default_factory=Outlooks)
    windows: Windows = field(default_factory=Windows)
    templates: Templates = field(default_factory=Templates)
    stuck: Stuck = field(default_factory=Stuck)
    autonomy: Autonomy = field(default_factory=Autonomy)
    advisors: Advisors = field(default_factory=Advisors)
    escalations: Escalations = field(default_factory=Escalations)
    mutes: Mutes = field(default_factory=Mutes)
    tasks: Tasks = field(default_factory=Tasks)
    commands_open: dict[str, Awaited] = {}
    """Commands without an outcome, by decision id."""
    book: Book = field(default_factory=Book)
    canary_ms: int = 0
    """When (``now_ms``) the canary was last decided on ..."""
    canary_at_ms: int = 0
    """... and the time of that line."""


DONE: Final = (
    "incidents",
    "guard",
    "lessons",
    "strategist",
    "roster",
    "stuck",
    "autonomy",
    "advisors",
    "escalations",
    "mutes",
    "tasks",
    "commands_open",
    "book",
)
"""Parts of the state that tell what was done and what came of it; the others are what was seen, and what is applied."""
_TYPES: Final = {one.name: msgspec.msgpack.Decoder(one.type) for one in msgspec.structs.fields(State)}


def take_over(state: State, other: State) -> None:
    """Put copies of what was done by another fold in place of what was done here."""
    for name in DONE:
        setattr(state, name, _TYPES[name].decode(msgspec.msgpack.encode(getattr(other, name))))


class Draft(Struct, kw_only=True):
    """A decision without its number and chain. Fields as in ``Decision``."""

    kind: str
    reason: str = ""
    service: str = ""
    host: str = ""
    pattern: str = ""
    category: str = ""
    severity: str = ""
    incident: str = ""
    at_ms: int = 0
    count: int = 0
    causes: tuple[Coordinate, ...] = ()
    confidence: float = 0.0
    strategy: str = ""
    options: tuple[Option, ...] = ()
    gates: tuple[Gate, ...] = ()
    command: Command | None = None
    refers_to: str = ""
    figures: dict[str, float] = {}
    trace: str = ""


class Turn:
    """One fact being worked on: the state, the tables, the times, and the decisions so far."""

    def __init__(self, state: State, catalogue: Catalogue, fleet: Fleet, *, epoch: int, offset: int) -> None:
        self.state = state
        self.catalogue = catalogue
        self.fleet = fleet
        self.epoch = epoch
        self.offset = offset
        self.decisions: list[Decision] = []

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.state.directory.policy

    @property
    def now_ms(self) -> int:
        """Smoothed append time."""
        return self.state.clock.now_ms

    @property
    def append_ms(self) -> int:
        """Append time of this fact, in the broker's clock."""
        return self.state.clock.append_ms

    def seen_ms(self, at_ms: int) -> int:
        """Return when something was seen: its event time, but never later than it was appended."""
        return min(at_ms, self.append_ms)

    def next_id(self) -> str:
        """Return the id that the next decision of this fact will carry."""
        return f"{self.epoch}-{self.offset}-{len(self.decisions)}"

    def about(self, incident: Incident, kind: str, reason: str = "") -> Draft:
        """Return a draft that says what is known of an incident."""
        return Draft(
            kind=kind,
            reason=reason,
            incident=incident.id,
            service=incident.service,
            host=incident.host,
            pattern=incident.pattern,
            category=incident.category,
            severity=incident.severity,
            at_ms=incident.last_at_ms,
            count=incident.count,
            causes=incident.causes,
            confidence=incident.confidence,
            trace=incident.trace,
        )

    def write(self, draft: Draft) -> Decision:
        """Give a draft its number and place in the chain, and keep it."""
        book, directory = self.state.book, self.state.directory
        decision = Decision(
            seq=book.next_seq,
            id=self.next_id(),
            epoch=self.epoch,
            facts_offset=self.offset,
            ordinal=len(self.decisions),
            kind=draft.kind,
            reason=draft.reason,
            incident=draft.incident,
            service=draft.service,
            host=draft.host,
            pattern=draft.pattern,
            category=draft.category,
            severity=draft.severity,
            at_ms=draft.at_ms,
            now_ms=self.now_ms,
            append_ms=self.append_ms,
            count=draft.count,
            causes=draft.causes,
            policy_sha256=directory.sha256_of("policy"),
            rules_sha256=book.rules_sha256,
            inventory_sha256=directory.sha256_of("inventory"),
            confidence=stored(draft.confidence),
            strategy=draft.strategy,
            options=draft.options,
            gates=draft.gates,
            command=draft.command,
            refers_to=draft.refers_to,
            previous_sha256=book.chain_head,
            figures=tuple(Figure(name=name, value=stored(value)) for name, value in draft.figures.items()),
            trace=draft.trace,
        )
        book.next_seq += 1
        book.chain_head = sha256_of(decision)
        if decision.kind in SENDING_KINDS:
            book.last_command_seq = decision.seq
        self.decisions.append(decision)
        return decision
