"""The kill switch and mutes through HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from streams.web import doing
from streams.web.answers import answered, answers
from streams.web.api_cluster import Operator, Said, Viewer
from streams.web.auth import Person, needs
from streams.web.doing import Done
from streams.web.model import Model
from streams.web.problems import WebError
from streams.web.states import Halt, Mute

router = APIRouter(tags=["steering"])
Approver = Annotated[Person, Depends(needs("approver"))]
MINUTE_MS = 60_000


class Mutes(Struct, frozen=True, kw_only=True):
    """Silences and maintenance windows that hold or are to come."""

    mutes: tuple[Mute, ...]
    count: int
    now_ms: int


class Switch(Struct, frozen=True, kw_only=True):
    """The kill switch; `halt` is null while it is off."""

    halt: Halt | None


class NewMute(BaseModel):
    """A silence (nobody is told) or maintenance (nothing is acted on either); give `minutes` or `end_ms`."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    kind: str = Field(description="silence or maintenance")
    service: str = Field(default="", max_length=200, description="may end in *; empty: all")
    pattern: str = Field(default="", max_length=200, description="may end in *; empty: all")
    minutes: int = Field(default=0, ge=0, le=31 * 24 * 60, description="from its beginning")
    begin_ms: int = Field(default=0, ge=0, le=1 << 53, description="broker's clock; 0: now")
    end_ms: int = Field(default=0, ge=0, le=1 << 53, description="broker's clock")
    reason: str = Field(default="", max_length=doing.REASON_CHARACTERS_MAX)
    by: str = Field(default="", max_length=64, description="your name, in local mode")


@router.get("/api/halt", **answers(Switch))
async def switch(request: Request, _: Viewer) -> Response:
    """Return whether the kill switch is on, and who threw it."""
    model: Model = request.app.state.deps.model
    return answered(Switch(halt=model.halt))


@router.post("/api/halt", **answers(Done, 409, 422, 503))
async def halt(request: Request, person: Operator, said: Said | None = None) -> Response:
    """Throw the kill switch: all is detected, decided and recorded, nothing is acted on."""
    said = said or Said()
    return answered(await doing.halt(request.app.state.deps, person, by=said.by, reason=said.reason))


@router.post("/api/resume", **answers(Done, 409, 422, 503))
async def resume(request: Request, person: Approver, said: Said | None = None) -> Response:
    """Release the kill switch: an approver's, because actions go out again."""
    said = said or Said()
    return answered(await doing.resume(request.app.state.deps, person, by=said.by, reason=said.reason))


@router.get("/api/mutes", **answers(Mutes))
async def mutes(request: Request, _: Viewer) -> Response:
    """Return the mutes that hold or are to come, the one that ends first at the head."""
    model: Model = request.app.state.deps.model
    found = tuple(model.mutes())
    return answered(Mutes(mutes=found, count=len(found), now_ms=model.now_ms))


@router.post("/api/mutes", **answers(Done, 409, 422, 503))
async def mute(request: Request, person: Operator, given: NewMute) -> Response:
    """Set a silence or a maintenance window; `decision_id` is its id."""
    deps = request.app.state.deps
    if bool(given.minutes) == bool(given.end_ms):
        raise WebError(422, "give either `minutes` or `end_ms`")
    begin_ms = given.begin_ms or deps.model.now_ms
    done = await doing.mute(
        deps,
        person,
        kind=given.kind,
        service=given.service,
        pattern=given.pattern,
        begin_ms=begin_ms,
        end_ms=given.end_ms or begin_ms + given.minutes * MINUTE_MS,
        by=given.by,
        reason=given.reason,
    )
    return answered(done)


@router.post("/api/mutes/{mute_id}/lift", **answers(Done, 404, 409, 422, 503))
async def lift(request: Request, person: Operator, mute_id: str, said: Said | None = None) -> Response:
    """End a mute before its time."""
    said = said or Said()
    return answered(await doing.lift(request.app.state.deps, person, mute_id, by=said.by, reason=said.reason))
