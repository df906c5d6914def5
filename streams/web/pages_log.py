"""The pages that tell what happened: incidents, escalations, the timeline, why, and what is expected to happen."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from analytics.why import Explanation, why
from streams.catalogue.actions import actions
from streams.core.errors import InputError
from streams.core.events import SEVERITIES
from streams.core.kinds import DECISION_KINDS
from streams.core.requests import METHODS
from streams.web import reading
from streams.web import timeline as decisions
from streams.web.api_cluster import Viewer
from streams.web.doing import decision_id_of
from streams.web.drawing import Point, expected
from streams.web.model import OPEN
from streams.web.problems import WebError
from streams.web.screens import SEE_OTHER, deps_of, missing, show
from streams.web.shown import counted
from streams.web.states import Escalation, Incident
from streams.web.timeline import Filter

ARCHIVE_PAUSE_MS: Final = 5_000
"""Pages that ask the event log follow changes once in this time: it is archived every few seconds only."""
DONE_BY: Final = {
    "manual": "by hand",
    "false_alarm": "false alarm: nothing was wrong",
    "wont_fix": "stays as it is",
    "external": "another system or team did it",
}
NEWEST: Final = 1 << 62
router = APIRouter(tags=["pages"], default_response_class=HTMLResponse, include_in_schema=False)


@router.get("/incidents")
async def incidents(request: Request, person: Viewer, service: str = "", status: str = "", before: int = 0) -> Response:
    """Return the open incidents, and those that ended, the newest first."""
    deps = deps_of(request)
    wanted = {"service": service, "status": status}
    past, trouble = await reading.page(deps.history, reading.INCIDENTS, before=before, **wanted)
    count = len(deps.model.incidents())
    return show(
        request,
        person,
        "incidents.html",
        title="Incidents",
        tab="/incidents",
        parts=("incidents",),
        pause_ms=ARCHIVE_PAUSE_MS,
        headline=counted(count, "incident is open", "incidents are open"),
        incidents=deps.model.incidents(),
        past=past,
        trouble=trouble,
        wanted=wanted,
        more=_more("/incidents", past[-1]["last_seq"] if past else 0, len(past), wanted),
    )


@router.get("/incidents/{wanted}")
async def incident(request: Request, person: Viewer, wanted: str) -> Response:
    """Return an incident with everything from its lines to its end."""
    deps = deps_of(request)
    live = next((one for one in deps.model.incidents() if one.id == wanted), None)
    one: Incident | dict[str, Any] | None = live or await _past(request, wanted)
    if one is None:
        raise missing("incident of that id")
    explanation, trouble = await _why(request, wanted)
    return show(
        request,
        person,
        "incident.html",
        title=f"Incident {wanted}",
        tab="/incidents",
        parts=("incidents", "escalations"),
        pause_ms=ARCHIVE_PAUSE_MS,
        one=one,
        explanation=explanation,
        trouble=trouble,
        escalations=[each for each in deps.model.escalations() if each.incident == wanted],
    )


async def _past(request: Request, wanted: str) -> dict[str, Any] | None:
    """Return an incident of the event log."""
    rows, trouble = await reading.page(deps_of(request).history, reading.INCIDENT, id=wanted)
    if trouble:
        raise WebError(503, trouble)
    return rows[0] if rows else None


async def _why(request: Request, wanted: str) -> tuple[Explanation | None, str]:
    """Return why something was decided; or nothing, and what to make of that."""
    try:
        return await deps_of(request).history.ask(lambda log: why(log, wanted)), ""
    except InputError:
        return None, "The event log does not have it yet: it is at most ten seconds behind."
    except WebError as error:
        return None, error.detail


@router.get("/escalation/{wanted}")
async def escalation(request: Request, person: Viewer, wanted: str) -> Response:
    """Return an escalation: the issue, what advisors made of it, what was tried, and the form to resolve it."""
    deps = deps_of(request)
    one = deps.model.escalation(wanted)
    if one is None:
        return RedirectResponse(f"/why/{await decision_id_of(deps, wanted)}", SEE_OTHER)
    explanation, trouble = await _why(request, one.incident or one.decision_id)
    notes, _ = await reading.page(deps.history, reading.NOTES, id=one.decision_id)
    votes, unread = await reading.page(deps.history, reading.VOTES, incident=one.incident)
    return show(
        request,
        person,
        "escalation.html",
        title=f"Escalation {one.id}: {one.service}",
        tab="/",
        parts=("escalations",),
        pause_ms=ARCHIVE_PAUSE_MS,
        one=one,
        is_open=one.status in OPEN,
        explanation=explanation,
        tried=reading.commands(explanation) if explanation else (),
        trouble=trouble,
        notes=notes,
        votes=votes,
        unread=unread,
        methods=[{"id": method, "name": DONE_BY[method]} for method in METHODS],
        actions=_actions(request, one),
    )


def _actions(request: Request, one: Escalation) -> list[str]:
    """Return the catalogue's actions for the type of a service, by id."""
    inventory = deps_of(request).model.directory.inventory
    types = {spec.type for spec in inventory.services if spec.name == one.service}
    return sorted(row.id for row in actions().values() if row.service_type in types and row.offered and not row.looks)


@router.get("/timeline")
async def timeline(
    request: Request,
    person: Viewer,
    service: str = "",
    kind: str = "",
    severity: str = "",
    incident: str = "",
    before: int = 0,
) -> Response:
    """Return the decisions, the newest first."""
    wanted = {"service": service.strip(), "severity": severity, "incident": incident.strip()}
    asked = Filter(before=before or NEWEST, kinds=(kind,) if kind else (), **wanted)
    rows, trouble = await reading.tried(decisions.page(deps_of(request), asked, reading.PAGE))
    return show(
        request,
        person,
        "timeline.html",
        title="Timeline",
        tab="/timeline",
        parts=() if before else ("incidents", "forecasts"),
        pause_ms=ARCHIVE_PAUSE_MS,
        decisions=rows,
        trouble=trouble,
        wanted={**wanted, "kind": kind},
        filtered=bool(before or kind or any(wanted.values())),
        kinds=sorted(DECISION_KINDS),
        severities=SEVERITIES,
        more=_more("/timeline", rows[-1].seq if rows else 0, len(rows), {**wanted, "kind": kind}),
    )


def _more(path: str, last: int, shown: int, wanted: dict[str, str]) -> str:
    """Return the address of the page after a full one, ``""`` after the last."""
    if shown < reading.PAGE:
        return ""
    kept = {name: value for name, value in wanted.items() if value}
    return f"{path}?{urlencode({**kept, 'before': last})}"


@router.get("/why/{wanted}")
async def explained(request: Request, person: Viewer, wanted: str) -> Response:
    """Return the whole chain of a decision, a command or an incident."""
    try:
        explanation = await deps_of(request).history.ask(lambda log: why(log, wanted))
    except InputError as error:
        raise WebError(
            404, f"the event log has nothing of the id {wanted!r} (yet; it is ten seconds behind)"
        ) from error
    return show(
        request,
        person,
        "why.html",
        title=f"Why {wanted}",
        tab="/timeline",
        explanation=explanation,
        not_done=reading.not_done(explanation),
    )


@router.get("/forecasts")
async def forecasts(request: Request, person: Viewer) -> Response:
    """Return what is expected of services' metrics."""
    deps = deps_of(request)
    model = deps.model
    predictions = [one for one in model.predictions() if one.alarm]
    exhaustions, rows = model.exhaustions(), model.forecasts()
    past = await _past_values(request, sorted({one.service for one in rows}))
    return show(
        request,
        person,
        "forecasts.html",
        title="Forecasts",
        tab="/forecasts",
        parts=("forecasts",),
        pause_ms=ARCHIVE_PAUSE_MS,
        headline=counted(len(predictions), "service is likely to fail", "services are likely to fail"),
        predictions=predictions,
        exhaustions=exhaustions,
        forecasts=[expected(one, past.get((one.service, one.metric), ())) for one in rows],
    )


async def _past_values(request: Request, services: list[str]) -> dict[tuple[str, str], list[Point]]:
    """Return by service and metric what services were assessed by lately; nothing where nothing is archived."""
    if not services:
        return {}
    rows, _ = await reading.page(deps_of(request).history, reading.VALUES, services=services)
    found: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        found.setdefault((row["service"], row["metric"]), []).append((row["at_ms"], row["value"]))
    return found
