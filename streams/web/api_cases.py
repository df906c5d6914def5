"""Incidents, escalations and approvals through HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from streams.web import doing, escalations
from streams.web.answers import answered, answers
from streams.web.api_cluster import Operator, Viewer
from streams.web.auth import Person, needs
from streams.web.doing import Done
from streams.web.escalations import EscalationRow
from streams.web.model import Model
from streams.web.problems import WebError
from streams.web.states import Approval, Escalation, Incident

PAGE_MAX = 500
router = APIRouter(tags=["cases"])
Approver = Annotated[Person, Depends(needs("approver"))]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Before = Annotated[int, Query(ge=0, le=1 << 62, description="only what has a smaller number: the next page")]


class Incidents(Struct, frozen=True, kw_only=True):
    """Open incidents, the newest first; `count` is how many are open, also beyond this page."""

    incidents: tuple[Incident, ...]
    count: int
    now_ms: int


class Escalations(Struct, frozen=True, kw_only=True):
    """Escalations with the columns of the view."""

    escalations: tuple[EscalationRow, ...]
    count: int


class EscalationDetail(Struct, frozen=True, kw_only=True):
    """An escalation; `live` has votes and what is recommended while it is held in memory."""

    escalation: EscalationRow
    live: Escalation | None


class Approvals(Struct, frozen=True, kw_only=True):
    """What waits for a person's yes, the one that expires first at the head."""

    approvals: tuple[Approval, ...]
    count: int
    now_ms: int


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    by: str = Field(default="", max_length=64, description="your name, in local mode")


class Verdict(_Given):
    """A person's answer to an approval; `command_sha256` is that of the command that was looked at."""

    approve: bool
    command_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    reason: str = Field(default="", max_length=doing.REASON_CHARACTERS_MAX)


class Noted(_Given):
    """Something to write down, or nothing."""

    notes: str = Field(default="", max_length=doing.REASON_CHARACTERS_MAX)


class Assigned(Noted):
    """Whose it is to be."""

    assignee: str = Field(min_length=1, max_length=doing.NAME_CHARACTERS_MAX)


class Resolved(Noted):
    """How it was resolved: manual, false_alarm, wont_fix, external, or the id of the action that was done."""

    resolution_method: str = Field(min_length=1, max_length=100)


@router.get("/api/incidents", **answers(Incidents))
async def incidents(
    request: Request, _: Viewer, limit: Limit = 100, before: Before = 1 << 62, service: str = ""
) -> Response:
    """Return open incidents, the newest first."""
    model: Model = request.app.state.deps.model
    found = [one for one in model.incidents() if service in {"", one.service}]
    page = tuple(one for one in found if one.seq < before)[:limit]
    return answered(Incidents(incidents=page, count=len(found), now_ms=model.now_ms))


@router.get("/api/escalations", **answers(Escalations, 503))
async def escalation_list(
    request: Request,
    _: Viewer,
    status: Literal["open", "pending", "acknowledged", "resolved", "auto_resolved", "all"] = "open",
    limit: Limit = 100,
    before: Before = 1 << 62,
) -> Response:
    """Return escalations by severity, the worst first; `open` are those that are pending or acknowledged."""
    found = await escalations.listed(request.app.state.deps, status, limit, before)
    return answered(Escalations(escalations=tuple(found), count=len(found)))


@router.get("/api/escalations/{escalation_id}", **answers(EscalationDetail, 404, 503))
async def escalation(request: Request, _: Viewer, escalation_id: str) -> Response:
    """Return an escalation by its number, or by the id of its decision."""
    deps = request.app.state.deps
    row = await escalations.found(deps, escalation_id)
    return answered(EscalationDetail(escalation=row, live=deps.model.escalation(escalation_id)))


@router.post("/api/escalations/{escalation_id}/resolve", **answers(Done, 404, 409, 422, 503))
async def resolve(request: Request, person: Operator, escalation_id: str, given: Resolved) -> Response:
    """Mark an escalation resolved; what was done is learnt from, once it is seen whether it helped."""
    return await _answer(request, person, escalation_id, "resolved", given, method=given.resolution_method)


@router.post("/api/escalations/{escalation_id}/acknowledge", **answers(Done, 404, 409, 422, 503))
async def acknowledge(request: Request, person: Operator, escalation_id: str, given: Noted | None = None) -> Response:
    """Say that somebody has seen it."""
    return await _answer(request, person, escalation_id, "acknowledged", given or Noted())


@router.post("/api/escalations/{escalation_id}/assign", **answers(Done, 404, 409, 422, 503))
async def assign(request: Request, person: Operator, escalation_id: str, given: Assigned) -> Response:
    """Say whose it is."""
    return await _answer(request, person, escalation_id, "assigned", given, assignee=given.assignee)


@router.post("/api/escalations/{escalation_id}/note", **answers(Done, 404, 409, 422, 503))
async def note(request: Request, person: Operator, escalation_id: str, given: Noted) -> Response:
    """Write something down."""
    return await _answer(request, person, escalation_id, "noted", given)


async def _answer(
    request: Request, person: Person, wanted: str, step: str, given: Noted, *, method: str = "", assignee: str = ""
) -> Response:
    deps = request.app.state.deps
    done = await doing.answer(
        deps, person, wanted, step=step, by=given.by, assignee=assignee, method=method, notes=given.notes
    )
    return answered(done)


@router.get("/api/approvals", **answers(Approvals))
async def approvals(request: Request, _: Viewer) -> Response:
    """Return what waits for a person's yes; what nobody answers before `expires_ms` is denied."""
    model: Model = request.app.state.deps.model
    found = tuple(model.approvals())
    return answered(Approvals(approvals=found, count=len(found), now_ms=model.now_ms))


@router.get("/api/approvals/{approval_id}", **answers(Approval, 404, 409))
async def approval(request: Request, _: Viewer, approval_id: str) -> Response:
    """Return one that waits; 409 says what became of one that does not any more."""
    model: Model = request.app.state.deps.model
    found = model.approval(approval_id)
    if found is not None:
        return answered(found)
    if became := model.became(approval_id):
        raise WebError(409, f"this was answered: {became}")
    raise WebError(404, "nothing waits for approval under this id: see /api/approvals")


@router.post("/api/approvals/{approval_id}", **answers(Done, 404, 409, 422, 503))
async def answer_approval(request: Request, person: Approver, approval_id: str, given: Verdict) -> Response:
    """Let the action go, or deny it. It goes only if guardrails still agree: `detail` says what came of it."""
    done = await doing.approve(
        request.app.state.deps,
        person,
        approval_id,
        approved=given.approve,
        command_sha256=given.command_sha256,
        by=given.by,
        reason=given.reason,
    )
    return answered(done)
