"""Escalations with the columns of the view: those of the files, and over them what has come since."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from streams.web.answers import moment
from streams.web.problems import WebError
from streams.web.states import SEVERITY_ORDER, Escalation

if TYPE_CHECKING:
    from streams.web.app import Deps

OPEN: Final = frozenset({"pending", "acknowledged"})


class EscalationRow(Struct, frozen=True, kw_only=True):
    """A row of the view `escalations` (SEED_TABLES, section 1); `decision_id` and `incident` can be asked why."""

    id: int
    decision_id: str
    incident: str
    task_id: int | None
    issue_hash: str
    severity: str
    issue_type: str
    issue_source: str
    issue_service: str
    issue_message: str
    ai_attempts_count: int
    ai_consensus: str | None
    ai_confidence: float | None
    ai_diagnosis: str | None
    recommended_action: str | None
    status: str
    assigned_to: str | None
    human_notes: str | None
    resolved_at: datetime | None
    resolution_method: str | None
    created_at: datetime | None
    last_checked: datetime | None
    github_issue_number: int | None
    github_escalated_at: datetime | None


async def listed(deps: Deps, status: str, limit: int, before: int) -> list[EscalationRow]:
    """Return escalations whose number is below ``before``, the worst first, then the oldest.

    ``status``: one of the view's, ``open`` (pending or acknowledged) or ``all``. Open ones are all in memory.
    """
    live = {one.id: _row(one) for one in deps.model.escalations()}
    rows = [row for row in live.values() if row.id < before]
    wanted = [row for row in rows if status in {"all", "open", row.status}]
    return sorted(wanted, key=lambda row: (SEVERITY_ORDER.get(row.severity, 9), row.id))[:limit]


async def found(deps: Deps, wanted: str) -> EscalationRow:
    """Return one escalation. Raises ``WebError`` 404 when there is none of that number or id."""
    live = deps.model.escalation(wanted)
    if live is None:
        raise WebError(404, "there is no such escalation: see /api/escalations?status=all")
    return _row(live)


def _row(one: Escalation) -> EscalationRow:
    """Return an escalation as the view will have it."""
    return EscalationRow(
        id=one.id,
        decision_id=one.decision_id,
        incident=one.incident,
        task_id=None,
        issue_hash="",
        severity=one.severity,
        issue_type=one.pattern,
        issue_source=one.host,
        issue_service=one.service,
        issue_message=one.reason,
        ai_attempts_count=one.attempts,
        ai_consensus=one.consensus or None,
        ai_confidence=one.confidence,
        ai_diagnosis=None,
        recommended_action=one.recommended_action or None,
        status=one.status,
        assigned_to=one.assigned_to or None,
        human_notes=None,
        resolved_at=moment(one.resolved_ms),
        resolution_method=one.resolution_method or None,
        created_at=moment(one.created_ms),
        last_checked=moment(one.latest_ms),
        github_issue_number=None,
        github_escalated_at=None,
    )
