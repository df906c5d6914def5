"""What the pages' forms do: each passes on what somebody says, and leads back to its page with a word on what came."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from streams.web import doing
from streams.web.api_cases import Approver
from streams.web.api_cluster import Operator
from streams.web.doing import Done
from streams.web.problems import WebError
from streams.web.screens import back, deps_of
from streams.web.signing import form_of

MINUTE_MS: Final = 60_000
DIGITS_MAX: Final = 9
router = APIRouter(tags=["pages"], include_in_schema=False)


@router.post("/halt")
async def halt(request: Request, person: Operator) -> Response:
    """Throw the kill switch."""
    form = await form_of(request)
    done = await doing.halt(deps_of(request), person, by=form.get("by", ""), reason=_needed(form, "reason"))
    return back("/", _word(done, "halted"))


@router.post("/resume")
async def resume(request: Request, person: Approver) -> Response:
    """Release the kill switch."""
    form = await form_of(request)
    done = await doing.resume(deps_of(request), person, by=form.get("by", ""), reason=_needed(form, "reason"))
    return back("/", _word(done, "resumed"))


@router.post("/heal")
async def heal(request: Request, person: Operator) -> Response:
    """Have the pools replace their dead and hung workers."""
    form = await form_of(request)
    healed = await doing.heal(deps_of(request), person, by=form.get("by", ""), reason="asked for on the page")
    return back("/cluster", "healed" if healed.count else "healthy")


@router.post("/approvals/{wanted}")
async def approve(request: Request, person: Approver, wanted: str) -> Response:
    """Approve or deny the very command that was shown."""
    form = await form_of(request)
    answer = form.get("answer", "")
    if answer not in {"approve", "deny"}:
        raise WebError(422, "the answer is approve or deny")
    done = await doing.approve(
        deps_of(request),
        person,
        wanted,
        approved=answer == "approve",
        command_sha256=form.get("command_sha256", ""),
        by=form.get("by", ""),
        reason=form.get("reason", ""),
    )
    return back("/approvals", _word(done, "approved" if answer == "approve" else "denied"))


STEPS: Final = {"resolve": "resolved", "acknowledge": "acknowledged", "assign": "assigned", "note": "noted"}
"""Last word of a form's address to the step on the escalation."""


@router.post("/escalation/{wanted}/{verb}")
async def answer(request: Request, person: Operator, wanted: str, verb: str) -> Response:
    """Take a step on an escalation."""
    if verb not in STEPS:
        raise WebError(404, f"with an escalation one can {', '.join(STEPS)}")
    form = await form_of(request)
    done = await doing.answer(
        deps_of(request),
        person,
        wanted,
        step=STEPS[verb],
        by=form.get("by", ""),
        assignee=form.get("assignee", ""),
        method=form.get("method", ""),
        notes=form.get("notes", ""),
    )
    return back(f"/escalation/{wanted}", _word(done, STEPS[verb]))


@router.post("/mutes")
async def mute(request: Request, person: Operator) -> Response:
    """Set a silence or a maintenance window."""
    form = await form_of(request)
    deps = deps_of(request)
    begin_ms = deps.model.now_ms + _minutes(form, "begin") * MINUTE_MS
    done = await doing.mute(
        deps,
        person,
        kind=form.get("kind", ""),
        service=form.get("service", "").strip(),
        pattern=form.get("pattern", "").strip(),
        begin_ms=begin_ms,
        end_ms=begin_ms + _minutes(form, "minutes") * MINUTE_MS,
        by=form.get("by", ""),
        reason=_needed(form, "reason"),
    )
    return back("/mutes", _word(done, "set"))


@router.post("/mutes/{wanted}/lift")
async def lift(request: Request, person: Operator, wanted: str) -> Response:
    """End a mute before its time."""
    form = await form_of(request)
    done = await doing.lift(
        deps_of(request), person, wanted, by=form.get("by", ""), reason=form.get("reason") or "lifted on the page"
    )
    return back("/mutes", _word(done, "lifted"))


def _needed(form: dict[str, str], name: str) -> str:
    """Return what must be filled in. Raises ``WebError`` 422 when it is not."""
    if not (text := form.get(name, "").strip()):
        raise WebError(422, f"give a {name}: it is recorded")
    return text


def _minutes(form: dict[str, str], name: str) -> int:
    text = form.get(name, "").strip()
    if not (text.isdecimal() and len(text) <= DIGITS_MAX):
        raise WebError(422, f"{name} is a number of minutes")
    return int(text)


def _word(done: Done, word: str) -> str:
    """Return the word for what a page says of something."""
    return word if done.in_force else "recorded"
