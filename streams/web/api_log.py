"""What the log tells through HTTP: decisions and why, what is ahead, totals, dead letters, and changes as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from msgspec import Struct

from analytics.why import Explanation, why
from streams.core.errors import InputError
from streams.core.kinds import DECISION_KINDS
from streams.ingest.letters import Listing, Which
from streams.web import stats, timeline
from streams.web.answers import answered, answers
from streams.web.api_cases import Before, Limit
from streams.web.api_cluster import Operator, Viewer
from streams.web.model import Model
from streams.web.problems import WebError, problems
from streams.web.states import Exhaustion, Forecast, Prediction
from streams.web.timeline import Entry, Filter

EVENTS_S: Final = 15.0
"""A comment this often keeps proxies from closing what is silent."""
PAUSE_S: Final = 0.25
"""Changes within this time are one event."""
FOLLOWERS_MAX: Final = 200
LETTERS_MAX: Final = 500
router = APIRouter(tags=["log"])
Word = Annotated[str, Query(max_length=200)]


class Timeline(Struct, frozen=True, kw_only=True):
    """Decisions, the newest first; ask again with `before` = `next` for the page after this, until it is null."""

    decisions: tuple[Entry, ...]
    count: int
    next: int | None


class Ahead(Struct, frozen=True, kw_only=True):
    """What is expected: of metrics, of limits, of services."""

    forecasts: tuple[Forecast, ...]
    exhaustions: tuple[Exhaustion, ...]
    predictions: tuple[Prediction, ...]
    now_ms: int


@router.get("/api/decisions", **answers(Timeline, 422, 503))
async def decisions(
    request: Request,
    _: Viewer,
    kind: Word = "",
    service: Word = "",
    incident: Word = "",
    pattern: Word = "",
    severity: Word = "",
    before: Before = 1 << 62,
    limit: Limit = 100,
) -> Response:
    """Return decisions that all filters let through, the newest first. `kind` may be several, by comma."""
    kinds = tuple(one for one in kind.split(",") if one)
    if unknown := [one for one in kinds if one not in DECISION_KINDS]:
        raise WebError(422, f"{', '.join(unknown)}: no kind of decision; there are {', '.join(DECISION_KINDS)}")
    wanted = Filter(kinds=kinds, service=service, incident=incident, pattern=pattern, severity=severity, before=before)
    found = await timeline.page(request.app.state.deps, wanted, limit)
    following = found[-1].seq if len(found) == limit else None
    return answered(Timeline(decisions=tuple(found), count=len(found), next=following))


@router.get("/api/why/{wanted}", **answers(Explanation, 404, 503))
async def explained(request: Request, _: Viewer, wanted: str) -> Response:
    """Explain an incident, a decision or a command: lines, options, gates, votes, outcome. At most 10 s behind."""
    try:
        found = await request.app.state.deps.history.ask(lambda log: why(log, wanted))
    except InputError as error:
        raise WebError(404, f"{error}; the files are ten seconds behind") from error
    return answered(found)


@router.get("/api/forecasts", **answers(Ahead))
async def forecasts(request: Request, _: Viewer, service: Word = "") -> Response:
    """Return the newest forecast of each metric, expected exhaustions, and predicted failures."""
    model: Model = request.app.state.deps.model
    found = Ahead(
        forecasts=tuple(one for one in model.forecasts() if service in {"", one.service}),
        exhaustions=tuple(one for one in model.exhaustions() if service in {"", one.service}),
        predictions=tuple(one for one in model.predictions() if service in {"", one.service}),
        now_ms=model.now_ms,
    )
    return answered(found)


@router.get("/api/stats", **answers(stats.Stats, 503))
async def totals(request: Request, _: Viewer, days: Annotated[int, Query(ge=1, le=365)] = 7) -> Response:
    """Return totals by status and phase and the rates of the last days, from the views."""
    deps = request.app.state.deps
    now_ms = deps.model.now_ms
    return answered(await deps.history.ask(lambda log: stats.stats(log, now_ms, days)))


@router.get("/api/dlq", **answers(Listing, 422))
async def letters(
    request: Request,
    _: Operator,
    reason: Word = "",
    topic: Word = "",
    since_ms: Annotated[int, Query(ge=0, le=1 << 53)] = 0,
    limit: Annotated[int, Query(ge=0, le=LETTERS_MAX)] = 50,
) -> Response:
    """Return dead letters, the newest last, and how many there are by reason, of the newest 20 000 records.

    Secrets in them are replaced; still they are text of producers, which needs the role of an operator.
    """
    which = Which(reason=reason, topic=topic, since_ms=since_ms)
    return answered(await request.app.state.deps.letters.listed(which, limit))


@router.get(
    "/api/events",
    response_class=StreamingResponse,
    responses={
        200: {"description": "server-sent events `change`", "content": {"text/event-stream": {}}},
        **problems(401, 403, 429, 503),
    },
)
async def events(request: Request, _: Viewer) -> Response:
    """Tell which parts changed, as server-sent events `change` with `{"version", "parts"}`, within 2 s."""
    if request.app.state.deps.model.followers >= FOLLOWERS_MAX:
        raise WebError(503, f"{FOLLOWERS_MAX} browsers follow already: ask /api/cluster/status instead")
    return StreamingResponse(_changes(request), media_type="text/event-stream")


async def _changes(request: Request) -> AsyncIterator[bytes]:
    """Yield an event when something changed; the first one names everything. Ends with the right to look."""
    deps = request.app.state.deps
    model: Model = deps.model
    version = -1
    model.followers += 1
    try:
        while not deps.stopping.is_set() and deps.gate.who(request).may("viewer"):
            await model.change(version, EVENTS_S)
            parts, version = model.changed_since(version), model.version
            body = msgspec.json.encode({"version": version, "parts": parts})
            yield b"event: change\ndata: " + body + b"\n\n" if parts else b": still here\n\n"
            await asyncio.sleep(PAUSE_S)
    except WebError:
        return  # the token was revoked
    finally:
        model.followers -= 1
