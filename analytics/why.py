"""``why``: from a command, a decision or an incident back to the lines that it comes from.

Everything is read from the event log: what was seen and where it stands, under which versions of rules, policy and
inventory; every option with its score and the probability with which it could have been chosen; every gate; what was
sent, how it ended, and what the verification saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import Struct

from analytics.tables import Row
from analytics.views import EventLog
from streams.codec import decode_decision
from streams.core.errors import InputError
from streams.core.events import Argument, Figure, Gate, Option

_MERGED: Final = "incident_merged"
STEPS_MAX: Final = 200
_NOT_RUN: Final = frozenset({"refused", "expired", "unsent"})


class Match(Struct, frozen=True, kw_only=True):
    """What was seen in a line: the pattern, and which rule named its service. ``facts_offset`` is the slice's."""

    pattern: str
    severity: str
    confidence: float
    service: str
    service_rule: str
    rules_sha256: str
    facts_offset: int


class Cause(Struct, frozen=True, kw_only=True):
    """One place that a decision comes from: a ``line``, a ``probe``, a person's ``message``, an advisor's ``opinion``.

    ``text`` is ``""`` when it is not kept (any more). ``at_ms`` is event time, 0 when it is not known.
    """

    topic: str
    partition: int
    offset: int
    index: int
    kind: str
    text: str
    at_ms: int
    matches: tuple[Match, ...]


class Sent(Struct, frozen=True, kw_only=True):
    """The command of a decision and how it ended. ``status`` is ``pending`` without an outcome, ``unsent`` before."""

    id: str
    host: str
    service: str
    action: str
    arguments: tuple[Argument, ...]
    attempt: int
    approved_by: str
    sent_ms: int
    status: str
    ok: bool
    code: str
    effect: str


class Step(Struct, frozen=True, kw_only=True):
    """One decision, with what it comes from and what came of it (``then``)."""

    seq: int
    id: str
    kind: str
    reason: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    lines: int
    confidence: float
    strategy: str
    at_ms: int
    now_ms: int
    epoch: int
    facts_offset: int
    policy_sha256: str
    rules_sha256: str
    inventory_sha256: str
    causes: tuple[Cause, ...]
    options: tuple[Option, ...]
    gates: tuple[Gate, ...]
    figures: tuple[Figure, ...]
    command: Sent | None
    then: tuple[Step, ...]


class NotDone(Struct, frozen=True, kw_only=True):
    """Something that was not done, by the decision of number ``seq``, and ``because`` of what."""

    seq: int
    what: str
    because: str


class Explanation(Struct, frozen=True, kw_only=True):
    """Why something was decided. ``status`` and ``incident`` are ``""`` for what belongs to no incident."""

    id: str
    incident: str
    status: str
    steps: tuple[Step, ...]
    not_done: tuple[NotDone, ...] = ()
    """In order of decision: withheld, barred, denied, refused, and what nobody was told of."""
    trace: str = ""
    """W3C traceparent of the first line that came with one."""

    def to_json(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)


def why(log: EventLog, wanted: str) -> Explanation:
    """Explain the incident, decision or command of an id (such as ``1-4711-0``).

    The explanation of an incident, or of its escalation, has all of its decisions; that of another decision or of a
    command begins with what opened its incident. Raises ``InputError`` when there is nothing of that id, or the id is
    blank.
    """
    if not wanted.strip():
        raise InputError("give the id of an incident, a decision or a command: see logmend sql 'FROM decisions'")
    sql = "SELECT incident FROM decisions WHERE id = $id OR (incident = $id AND incident <> '') LIMIT 1"
    rows = log.query(sql, {"id": wanted})
    if rows.is_empty():
        raise InputError(f"nothing in the event log has the id {wanted!r}: see logmend sql 'FROM decisions'")
    incident = str(rows["incident"][0])
    decisions = _decisions(log, wanted, incident)
    roots = _roots(decisions, wanted, incident)
    status = log.query("SELECT status FROM incidents WHERE id = $id", {"id": incident})
    steps = _Tree(log, decisions).steps(roots)
    return Explanation(
        id=wanted,
        incident=incident,
        status="" if status.is_empty() else str(status["status"][0]),
        steps=steps,
        not_done=not_done(steps),
        trace=_trace(log, [row["id"] for row in decisions]),
    )


def _trace(log: EventLog, ids: Sequence[str]) -> str:
    """Return the trace of some decisions, which the records alone have: no column is old enough for all files."""
    sql = "SELECT kafka_value FROM segments.decisions WHERE list_contains($ids, id) ORDER BY seq"
    traces = (decode_decision(value).trace for value in log.query(sql, {"ids": ids})["kafka_value"])
    return next(filter(None, traces), "")


def _decisions(log: EventLog, wanted: str, incident: str) -> list[Row]:
    """Return the decisions of an incident in order, with the mutes that held it back and what people were refused.

    Of what belongs to no incident it is the decision alone.
    """
    sql = """
        WITH own AS (
            SELECT id, kind, refers_to FROM decisions WHERE id = $id OR (incident = $incident AND incident <> '')
        )
        SELECT * REPLACE (epoch_ms(happened_at) AS happened_at, epoch_ms(decided_at) AS decided_at)
        FROM decisions
        WHERE id IN (SELECT id FROM own)
            OR (kind = 'mute_set' AND id IN (SELECT refers_to FROM own WHERE kind IN ('withheld', 'escalated')))
            OR (kind = 'request_refused' AND refers_to IN (SELECT id FROM own))
        ORDER BY seq LIMIT $limit
    """
    return log.query(sql, {"id": wanted, "incident": incident, "limit": STEPS_MAX}).to_dicts()


def _roots(decisions: Sequence[Row], wanted: str, incident: str) -> list[Row]:
    """Return the decisions to begin with: all that follow from no other, or those on the way to the wanted one."""
    known = {row["id"]: row for row in decisions}
    if wanted == incident or known[wanted]["kind"] == "escalated":
        return [row for row in decisions if _parent(row) not in known]
    root = known[wanted]
    while (parent := known.get(_parent(root))) is not None:
        root = parent
    opened = [row for row in decisions if row["kind"] == "incident_opened" and row is not root]
    return [*opened, root]


def _parent(row: Row) -> str:
    """Return the id of the decision that one follows from; merging refers to another incident instead."""
    return "" if row["kind"] == _MERGED else str(row["refers_to"])


class _Tree:
    """Builds steps from rows of ``decisions``."""

    def __init__(self, log: EventLog, decisions: Sequence[Row]) -> None:
        self._decisions = decisions
        ids = [row["id"] for row in decisions]
        sql = files("analytics").joinpath("sql", "why_causes.sql").read_text("utf-8")
        self._causes = {_place(row): row for row in log.query(sql, {"ids": ids}).to_dicts()}
        sent = log.query(
            "SELECT commands.*, effect, epoch_ms(sent_at) AS sent_ms "
            "FROM commands LEFT JOIN outcomes ON outcomes.command = commands.id WHERE list_contains($ids, commands.id)",
            {"ids": ids},
        )
        self._sent = {row["id"]: row for row in sent.to_dicts()}

    def steps(self, rows: Sequence[Row]) -> tuple[Step, ...]:
        """Return decisions with everything that follows from them."""
        return tuple(self._step(row) for row in rows)

    def _step(self, row: Row) -> Step:
        children = [one for one in self._decisions if _parent(one) == row["id"]]
        return Step(
            **{name: row[name] for name in _COPIED},
            at_ms=row["happened_at"] or 0,
            now_ms=row["decided_at"] or 0,
            causes=tuple(self._cause(place) for place in row["causes"]),
            options=msgspec.convert(row["options"], tuple[Option, ...]),
            gates=msgspec.convert(row["gates"], tuple[Gate, ...]),
            figures=msgspec.convert(row["figures"], tuple[Figure, ...]),
            command=self._command(row["command"]),
            then=self.steps(children),
        )

    def _cause(self, place: Row) -> Cause:
        found = self._causes[place["topic"], place["partition"], place["offset"], place["index"]]
        matches = msgspec.convert(found["matches"], tuple[Match, ...])
        return Cause(**place, kind=found["kind"], text=found["text"], at_ms=found["at_ms"], matches=matches)

    def _command(self, command: Row | None) -> Sent | None:
        if command is None:
            return None
        sent = self._sent.get(command["id"], {})
        return Sent(
            **{name: command[name] for name in ("id", "host", "service", "action", "attempt", "approved_by")},
            arguments=msgspec.convert(command["arguments"], tuple[Argument, ...]),
            sent_ms=sent.get("sent_ms") or 0,
            status=sent.get("status") or "unsent",
            ok=bool(sent.get("ok")),
            code=sent.get("code") or "",
            effect=sent.get("effect") or "",
        )


_COPIED: Final = (
    "seq",
    "id",
    "kind",
    "reason",
    "service",
    "host",
    "pattern",
    "category",
    "severity",
    "lines",
    "confidence",
    "strategy",
    "epoch",
    "facts_offset",
    "policy_sha256",
    "rules_sha256",
    "inventory_sha256",
)


def _place(row: Row) -> tuple[Any, ...]:
    return row["topic"], row["partition"], row["record_offset"], row["line_index"]


def not_done(steps: Sequence[Step]) -> tuple[NotDone, ...]:
    """Return what some decisions and all that follow from them left undone, each thing once for each reason."""
    found: dict[tuple[str, str], NotDone] = {}
    for step in sorted(_all(steps), key=lambda one: one.seq):
        for what, because in _left_undone(step):
            found.setdefault((what, because), NotDone(seq=step.seq, what=what, because=because))
    return tuple(found.values())


def _all(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.then)


def _left_undone(step: Step) -> Iterator[tuple[str, str]]:
    for option in step.options:
        if option.barred:
            yield option.action, option.barred
    said_no = ", ".join(gate.name for gate in step.gates if not gate.passed)
    match step.kind:
        case "withheld":
            yield step.strategy or "anything", f"{said_no} said no"
        case "escalated" | "approval_requested" if said_no:
            yield "telling anybody", said_no
        case "approval_denied":
            yield "what approval was asked for", step.reason
        case "request_refused":
            yield "what a person asked for", step.reason
        case _:
            pass
    if step.command is not None and step.kind != "approval_requested" and step.command.status in _NOT_RUN:
        yield step.command.action, " ".join(part for part in (step.command.status, step.command.code) if part)
