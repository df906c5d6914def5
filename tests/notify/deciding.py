"""Decisions of one incident after another, and channels that keep what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import OffsetOutOfRangeError

from streams.codec import encode
from streams.core.events import Argument, Command, Decision, Figure, Gate
from streams.notify.cases import Cases
from streams.notify.notice import Message, Notice, NotToldError
from streams.ports import Fetched, Outgoing, TopicPartition
from tests.advise.cases import START_MS, option, question
from tests.advise.topics import TOPICS, PolledLog

INCIDENT = "1-40-0"


def decided(seq: int, kind: str, reason: str = "", **fields: Any) -> Decision:
    """Return a decision on a crash of the service ``shop``; its id tells its number."""
    values = {"options": (), "append_ms": START_MS + seq, **fields}
    return question(seq=seq, id=f"1-{seq}-0", kind=kind, reason=reason, **{"incident": INCIDENT, **values})


def command(action: str, **fields: Any) -> Command:
    """Return a command to the service ``shop``."""
    values: dict[str, Any] = {
        "id": "1-0-0",
        "seq": 0,
        "previous_seq": -1,
        "epoch": 1,
        "kind": "recovery",
        "incident": INCIDENT,
        "host": "h1",
        "service": "shop",
        "service_type": "process",
        "strategy": "restart",
        "action": action,
        "arguments": (Argument(name="port", value="8080"),),
        "target": b"{}",
        "repeatable": True,
        "attempt": 1,
        "timeout_ms": 1_000,
        "expires_ms": START_MS,
        "sha256": "",
        "approved_by": "",
    }
    return Command(**{**values, **fields})


def course() -> list[Decision]:
    """Return an incident from its first line to the person who resolves it."""
    restart, rollback = command("process.restart"), command("process.rollback_config")
    return [
        decided(0, "incident_opened", count=3),
        decided(1, "commanded", command=restart, options=(option("process.restart"), option("escalate"))),
        decided(2, "command_ended", "done ok", refers_to="1-1-0", strategy="restart"),
        decided(3, "verification_failed", "the symptom came back", refers_to="1-1-0"),
        decided(4, "phase_entered", "3: three advisors", figures=(Figure(name="phase", value=3.0),)),
        decided(5, "advised", "root_cause: process.rollback_config", confidence=0.8),
        decided(6, "advised", "proven_fix: abstained, timed_out"),
        decided(7, "advice_settled", "2 of 3: process.rollback_config", confidence=0.7),
        decided(8, "commanded", command=rollback),
        decided(9, "command_overdue", "no outcome in time", refers_to="1-8-0"),
        escalated(10),
        decided(11, "escalation_resolved", "manual", refers_to="1-10-0"),
        decided(12, "incident_closed", "healed"),
    ]


def escalated(seq: int = 1, **fields: Any) -> Decision:
    """Return an escalation."""
    return decided(seq, "escalated", "attempts used up", **fields)


def approval(seq: int = 1, **fields: Any) -> Decision:
    """Return a request for a person's yes."""
    figures = (Figure(name="risk", value=0.6),)
    return decided(seq, "approval_requested", "risk 0.6", command=command("process.stop"), figures=figures, **fields)


def silence() -> Gate:
    """Return the gate of what is silenced."""
    return Gate(name="silence", passed=False, value=1.0, limit=0.0)


def notice(seq: int = 1, **fields: Any) -> Notice:
    """Return the notice of an escalation."""
    told = Cases().take(escalated(seq, **fields))
    assert told is not None
    return told


def message(one: Notice | None = None) -> Message:
    """Return a message of one notice."""
    one = one or notice()
    return Message(id=one.id, notices=(one,))


class FollowedLog(PolledLog):
    """A Kafka in memory that says how far it was read, and refuses a place that it does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        """All before this offset of the decisions was read and kept."""

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Fetched]]]:
        """Return what there is from these positions on."""
        for where, position in positions.items():
            self.taken = position
            if position > (await self.bounds(where))[1]:
                raise OffsetOutOfRangeError({where: position})
        return await super().poll(positions)


def append(log: PolledLog, *decisions: Decision) -> None:
    """Append decisions to a log."""
    for decision in decisions:
        log.put(Outgoing(TOPICS.decisions, encode(decision), b""))


class Kept:
    """A channel that keeps what it is told; with ``fails`` it raises those first."""

    kind = "kept"

    def __init__(self, name: str = "kept:one", *, bundles: bool = True) -> None:
        self.name = name
        self.bundles = bundles
        self.fails: list[NotToldError] = []
        self.tried: list[str] = []
        self.told: list[Message] = []

    def takes(self, _notice: Notice) -> bool:
        """Take everything."""
        return True

    async def send(self, message: Message) -> None:
        """Keep a message."""
        self.tried.append(message.id)
        if self.fails:
            raise self.fails.pop(0)
        self.told.append(message)

    async def aclose(self) -> None:
        """Hold nothing."""

    @property
    def ids(self) -> list[str]:
        """What was told, in order."""
        return [one.id for one in self.told]
