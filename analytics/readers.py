"""From records to rows, by the readers' rules.

The writer, ``verify`` and compaction's checks all come through here, so what is archived and what is checked can't
disagree. A reader holds where the log stands; ``copy`` it to try a batch, and keep the copy once the batch is durable.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, Self, TypeVar

from analytics.manifest import Stream
from analytics.tables import Row, plain
from streams.codec import decode, decode_command, decode_decision, decode_fact
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.base import Event
from streams.core.beside import Evidence
from streams.core.chain import sha256_of
from streams.core.errors import InputError, InvariantError
from streams.core.events import (
    ActionHalted,
    ActionResumed,
    ApprovalGiven,
    ConfigApplied,
    Fact,
    Message,
    OutcomeReported,
    ProbeReported,
    Slice,
)
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import EscalationAnswered, HealRequested, MuteLifted, MuteSet, TaskSubmitted
from streams.core.slices import Ledger, Verdict

E = TypeVar("E", bound=Event)
Rows = dict[str, list[Row]]
Digests = Callable[[int], str]
"""From a number that is archived already to the SHA-256 of its record's value."""


class Raw(NamedTuple):
    """A record as it is archived. ``decisions_offset`` is that header of a command, -1 elsewhere."""

    offset: int
    append_ms: int
    key: bytes | None
    value: bytes
    decisions_offset: int = -1

    def columns(self) -> Row:
        """Return the raw columns."""
        return {
            "kafka_offset": self.offset,
            "kafka_append_ms": self.append_ms,
            "kafka_key": self.key,
            "kafka_value": self.value,
        }


class Reader(Protocol):
    """Reads one topic in order."""

    def take(self, raw: Raw, rows: Rows) -> None:
        """Take the next record into account and add its rows to the tables.

        Raises ``InvariantError`` where the log has a hole or contradicts itself.
        """
        ...

    def copy(self) -> Self:
        """Return a reader that stands at the same place and moves on by itself."""
        ...


class FactsReader:
    """Facts: all of them raw, and derived tables of what the readers' rule accepts."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def copy(self) -> FactsReader:
        """Return a reader that stands at the same place and moves on by itself."""
        return FactsReader(copy.deepcopy(self.ledger))

    def take(self, raw: Raw, rows: Rows) -> None:
        """Take the next fact into account; ``InvariantError`` at a hole.

        What is no fact of a released schema is kept as it stands, with the verdict ``undecodable``.
        """
        try:
            fact = decode_fact(raw.value)
        except InputError:
            rows.setdefault("facts", []).append({**raw.columns(), **_FACT_BLANK, "verdict": "undecodable"})
            return
        verdict = self.ledger.judge(fact)
        rows.setdefault("facts", []).append({**raw.columns(), **_fact_columns(fact), "verdict": verdict.value})
        if verdict is Verdict.ACCEPTED and isinstance(fact, Slice):
            _derive(raw, fact, rows)


_SHED: Final = ("from_offset", "to_offset", "lines", "shed_templates", "shed_texts")
_FACT_BLANK: Row = {
    "kind": "",
    "verdict": "",
    "source": "",
    "source_partition": -1,
    "term": -1,
    "from_offset": -1,
    "to_offset": -1,
    "lines": 0,
    "append_max_ms": 0,
    "rules_sha256": "",
}


def _fact_columns(fact: Fact) -> Row:
    row = {**_FACT_BLANK, "kind": type(fact).__name__}
    for name in ("source", "term", "from_offset", "to_offset", "lines", "append_max_ms", "rules_sha256"):
        row[name] = getattr(fact, name, row[name])
    row["source_partition"] = getattr(fact, "partition", -1)
    return row


def _derive(raw: Raw, fact: Slice, rows: Rows) -> None:
    head = {
        "facts_offset": raw.offset,
        "facts_append_ms": raw.append_ms,
        "source": fact.source,
        "source_partition": fact.partition,
    }
    for ordinal, one in enumerate(fact.detections):
        seen = {"append_max_ms": fact.append_max_ms, "rules_sha256": fact.rules_sha256}
        rows.setdefault("detections", []).append({**head, "ordinal": ordinal, **seen, **plain(one)})
    for table, events in (("tallies", fact.tallies), ("rejects", fact.rejects)):
        for ordinal, event in enumerate(events):
            rows.setdefault(table, []).append({**head, "ordinal": ordinal, **plain(event)})
    for ordinal, sample in enumerate(fact.samples):
        row = {**head, "ordinal": ordinal, "from_offset": fact.from_offset, **plain(sample)}
        rows.setdefault("samples", []).append(row)
    if fact.points:
        accounted = {name: getattr(fact, name) for name in ("from_offset", "to_offset", "points", "unmapped")}
        rows.setdefault("points", []).append({**head, "ordinal": 0, **accounted})
    if fact.shed_templates or fact.shed_texts:
        left_out = {name: getattr(fact, name) for name in _SHED}
        rows.setdefault("shed", []).append({**head, "ordinal": 0, **left_out})
    for ordinal, message in enumerate(fact.messages):
        table, columns = _said(message)
        said = {"message_offset": message.offset, "message_append_ms": message.append_ms}
        rows.setdefault(table, []).append({**head, "ordinal": ordinal, **said, **columns})


_CHANGE_BLANK: Row = {
    "kind": "",
    "name": "",
    "sha256": "",
    "body": b"",
    "author": "",
    "reason": "",
    "decision_id": "",
    "command_sha256": "",
    "approved": None,
}


_TABLE_OF: Final[dict[type[Event], str]] = {
    OutcomeReported: "outcomes",
    ProbeReported: "probes",
    SpecialistReported: "specialist_reports",
    FindingReported: "findings",
    EscalationAnswered: "answers",
    MuteSet: "mutes_set",
    MuteLifted: "mutes_lifted",
    TaskSubmitted: "tasks_submitted",
    HealRequested: "heals_requested",
    AdvisorsReported: "advisor_reports",
}


def _said(message: Message) -> tuple[str, Row]:
    """Return the table and the columns of an inbox event."""
    event = message.event
    match event:
        case ConfigApplied():
            change = {"name": event.kind, "sha256": event.sha256, "author": event.author, "body": event.body}
            return "changes", {**_CHANGE_BLANK, **change, "kind": "config_applied"}
        case ActionHalted() | ActionResumed():
            kind = "halted" if isinstance(event, ActionHalted) else "resumed"
            return "changes", {**_CHANGE_BLANK, **plain(event), "kind": kind}
        case ApprovalGiven():
            return "changes", {**_CHANGE_BLANK, **plain(event), "kind": "approval_given"}
        case OpinionGiven():
            row = plain(event)
            row["answered_from"] = row.pop("source")
            return "opinions", row
        case _:
            return _TABLE_OF[type(event)], plain(event)


class DecisionsReader:
    """Decisions: numbers are dense, each carries the hash of the one before, repeats are equal and dropped.

    ``digests`` looks up what was archived before this reader came.
    """

    def __init__(self, last_seq: int, head: str, digests: Digests) -> None:
        self.last_seq, self.head = last_seq, head
        self._digests = digests
        self._seen: dict[int, str] = {}

    def copy(self) -> DecisionsReader:
        """Return a reader that stands at the same place and moves on by itself."""
        return DecisionsReader(self.last_seq, self.head, self._digests)

    def take(self, raw: Raw, rows: Rows) -> None:
        """Take the next decision into account; ``InvariantError`` at a hole, another chain or an unequal repeat."""
        decision = _decoded(decode_decision, raw, "decisions")
        if decision.seq <= self.last_seq:
            _check_repeat(raw, decision.seq, self._seen.get(decision.seq) or self._digests(decision.seq), "decisions")
            return
        if decision.seq != self.last_seq + 1:
            raise InvariantError(f"decisions offset {raw.offset}: seq {decision.seq} follows {self.last_seq}")
        if decision.previous_sha256 != self.head:
            raise InvariantError(f"decisions offset {raw.offset}: seq {decision.seq} does not continue the chain")
        self.last_seq, self.head = decision.seq, sha256_of(decision)
        self._seen[decision.seq] = digest_of(raw.value)
        rows.setdefault("decisions", []).append({**raw.columns(), "sha256": self.head, **plain(decision)})


class CommandsReader:
    """Commands: each names the one before, repeats are equal and dropped.

    After a gap (the broker had deleted some before they were archived) the first one may name anything.
    """

    def __init__(self, last_seq: int, digests: Digests, *, after_gap: bool = False) -> None:
        self.last_seq = last_seq
        self._digests, self._after_gap = digests, after_gap
        self._seen: dict[int, str] = {}

    def copy(self) -> CommandsReader:
        """Return a reader that stands at the same place and moves on by itself."""
        return CommandsReader(self.last_seq, self._digests, after_gap=self._after_gap)

    def take(self, raw: Raw, rows: Rows) -> None:
        """Take the next command into account; ``InvariantError`` when one is missing or a repeat is not equal."""
        command = _decoded(decode_command, raw, "commands")
        if command.seq <= self.last_seq:
            _check_repeat(raw, command.seq, self._seen.get(command.seq) or self._digests(command.seq), "commands")
            return
        if command.previous_seq != self.last_seq and not self._after_gap:
            raise InvariantError(
                f"commands offset {raw.offset}: seq {command.seq} says it follows {command.previous_seq}, "
                f"but the one before it is {self.last_seq}"
            )
        self.last_seq, self._after_gap = command.seq, False
        self._seen[command.seq] = digest_of(raw.value)
        columns = {"decisions_offset": raw.decisions_offset, **plain(command)}
        rows.setdefault("commands", []).append({**raw.columns(), **columns})


class EvidenceReader:
    """Evidence: every record is a row; a line that was said twice is one line in the view."""

    def copy(self) -> EvidenceReader:
        """Return itself: it stands nowhere."""
        return self

    def take(self, raw: Raw, rows: Rows) -> None:
        """Add a row; ``InvariantError`` for what is not evidence."""
        event = _decoded(_decode_evidence, raw, "evidence")
        rows.setdefault("evidence", []).append({**raw.columns(), **plain(event)})


def reader_for(name: str, stream: Stream, ledger: Ledger, digests: Digests) -> Reader:
    """Return the reader of a stream that stands where the manifest says; it changes nothing that it is given."""
    if name == "facts":
        return FactsReader(copy.deepcopy(ledger))
    if name == "decisions":
        return DecisionsReader(stream.last_seq, stream.head, digests)
    if name == "commands":
        after_gap = bool(stream.gaps) and stream.gaps[-1].last + 1 == stream.position
        return CommandsReader(stream.last_seq, digests, after_gap=after_gap)
    return EvidenceReader()


def digest_of(value: bytes) -> str:
    """Return the hex SHA-256 of a record's value."""
    return hashlib.sha256(value).hexdigest()


def _decode_evidence(value: bytes) -> Evidence:
    event = decode(value)
    if not isinstance(event, Evidence):
        raise InputError(f"{type(event).__name__} is not evidence")
    return event


def _decoded(decoder: Callable[[bytes], E], raw: Raw, stream: str) -> E:
    try:
        return decoder(raw.value)
    except InputError as error:
        raise InvariantError(f"{stream} offset {raw.offset}: {error}") from error


def _check_repeat(raw: Raw, seq: int, known: str, stream: str) -> None:
    if digest_of(raw.value) != known:
        raise InvariantError(f"{stream} offset {raw.offset}: seq {seq} was recorded before with other bytes")
