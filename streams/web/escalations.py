"""Escalations with the columns of the view: those of the files, and over them what has come since."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from analytics.tables import Row
from streams.web.answers import moment
from streams.web.history import NoLogError
from streams.web.model import OPEN
from streams.web.problems import WebError
from streams.web.states import SEVERITY_ORDER, Escalation

if TYPE_CHECKING:
    from streams.web.app import Deps

DIGITS_MAX: Final = 18
"""Of a number of a decision."""


class EscalationRow(Struct, frozen=True, kw_only=True):
    """A row of the view `escalations` (SEED_TABLES, section 1); `decision_id` and `incident` can be asked why.

    What is null may be known ten seconds later, when the files have it.
    """

    id: int
    decision_id: str
    incident: str
    task_id: int | None = None
    issue_hash: str
    severity: str
    issue_type: str
    issue_source: str | None = None
    issue_service: str
    issue_message: str
    ai_attempts_count: int
    ai_consensus: str
    ai_confidence: float | None = None
    ai_diagnosis: str
    recommended_action: str
    status: str
    assigned_to: str | None = None
    human_notes: str | None = None
    resolved_at: datetime | None = None
    resolution_method: str | None = None
    created_at: datetime
    last_checked: datetime | None = None
    github_issue_number: int | None = None
    github_escalated_at: datetime | None = None
    silenced_by: str | None = None


async def listed(deps: Deps, status: str, limit: int, before: int) -> list[EscalationRow]:
    """Return escalations: open ones with the worst first, then the oldest; of others the newest first.

    ``status``: one of the view's, ``open`` (pending or acknowledged: all of them are in memory) or ``all``. Their
    numbers are below ``before``.
    """
    live = {one.id: one for one in deps.model.all_escalations() if one.id < before}
    if status == "open" or status in OPEN:
        among = OPEN if status == "open" else {status}
        shown = sorted((one for one in live.values() if one.status in among), key=_rank)[:limit]
        rows = await _rows(deps, _SOME, ids=[one.id for one in shown])
        return [_row(one, rows.get(one.id)) for one in shown]
    rows = await _rows(deps, _PAGE, before=before, limit=limit + len(live), all=status == "all", status=status)
    everything = [_row(one, rows.pop(one.id, None)) for one in live.values()]
    everything += [_archived(row) for row in rows.values()]
    wanted = [row for row in everything if status in {"all", row.status}]
    return sorted(wanted, key=lambda row: -row.id)[:limit]


async def found(deps: Deps, wanted: str) -> EscalationRow:
    """Return one escalation by its number or its decision's id. Raises ``WebError`` 404 when there is none."""
    live = deps.model.escalation(wanted)
    number = int(wanted) if wanted.isdecimal() and len(wanted) <= DIGITS_MAX else -1
    rows = await _rows(deps, _ONE, number=live.id if live else number, wanted=wanted)
    if live is not None:
        return _row(live, rows.get(live.id))
    if not rows:
        raise WebError(404, "there is no such escalation: see /api/escalations?status=all")
    return _archived(next(iter(rows.values())))


_FROM: Final = "SELECT * RENAME (decision AS decision_id) FROM escalations"
_SOME: Final = f"{_FROM} WHERE list_contains($ids, id)"
_ONE: Final = f"{_FROM} WHERE id = $number OR decision = $wanted"
_PAGE: Final = f"{_FROM} WHERE id < $before AND ($all OR status = $status) ORDER BY id DESC LIMIT $limit"


async def _rows(deps: Deps, sql: str, **parameters: Any) -> dict[int, Row]:
    """Return rows of the view by number; none where there are no files."""
    try:
        return {row["id"]: _in_utc(row) for row in await deps.history.rows(sql, **parameters)}
    except NoLogError:
        return {}


def _in_utc(row: Row) -> Row:
    """Return a row whose times say that they are of UTC."""
    return {name: held.replace(tzinfo=UTC) if isinstance(held, datetime) else held for name, held in row.items()}


def _consensus(settled: str) -> str:
    """Return how many of how many advisors agreed, as the view has it: 2/3, 3/3 or none."""
    agreed = re.match(r"([23]) of 3", settled)
    return f"{agreed[1]}/3" if agreed else "none"


def _rank(one: Escalation) -> tuple[int, int]:
    return SEVERITY_ORDER.get(one.severity, len(SEVERITY_ORDER)), one.id


def _archived(row: Row) -> EscalationRow:
    return msgspec.convert(row, EscalationRow)


def _row(one: Escalation, archived: Row | None) -> EscalationRow:
    """Return an escalation as it is now, with what only the files know of it."""
    now: Row = {
        "id": one.id,
        "decision_id": one.decision_id,
        "incident": one.incident,
        "issue_hash": hashlib.sha256(f"{one.service}|{one.pattern}".encode()).hexdigest(),
        "severity": one.severity,
        "issue_type": one.pattern,
        "issue_service": one.service,
        "issue_message": f"{one.pattern} on {one.service}",
        "ai_attempts_count": one.attempts,
        "ai_consensus": _consensus(one.consensus),
        "ai_confidence": one.confidence,
        "ai_diagnosis": one.reason,
        "recommended_action": one.recommended_action,
        "silenced_by": one.silenced_by or None,
        "created_at": moment(one.created_ms),
    }
    newer: Row = {
        "status": one.status,
        "assigned_to": one.assigned_to or None,
        "resolution_method": one.resolution_method or None,
        "resolved_at": moment(one.resolved_ms),
        "last_checked": moment(one.latest_ms),
    }
    return _archived(now | (archived or {}) | newer)
