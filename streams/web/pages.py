"""The pages: what waits for a person, what is going on; those of ``pages_log``; signing in, and what went wrong."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from streams.ingest.letters import Which
from streams.web import forms, pages_log, reading
from streams.web.api_cluster import Operator, Viewer
from streams.web.auth import ANYONE, Person, needs
from streams.web.screens import SEE_OTHER, deps_of, plain, show
from streams.web.shown import counted
from streams.web.signing import back_to

HEALINGS_SHOWN: Final = 20
router = APIRouter(tags=["pages"], default_response_class=HTMLResponse, include_in_schema=False)
for part in (forms, pages_log):
    router.include_router(part.router)


@router.get("/")
async def now(request: Request, person: Viewer) -> Response:
    """Return what waits for a person, the worst first, and what is going on."""
    model = deps_of(request).model
    escalations, approvals, workers = model.escalations(), model.approvals(), model.workers()
    return show(
        request,
        person,
        "now.html",
        title="Now",
        tab="/",
        parts=("escalations", "approvals", "incidents", "workers"),
        headline=_waiting(len(escalations), len(approvals)),
        escalations=escalations,
        approvals=approvals,
        incidents=model.incidents(),
        workers=len(workers),
        unhealthy=sum(not one.healthy for one in workers),
    )


def _waiting(escalations: int, approvals: int) -> str:
    """Return in one sentence what waits for a person."""
    if not escalations + approvals:
        return "Nothing waits for you"
    parts = [counted(escalations, "escalation", "escalations")] * bool(escalations)
    parts += [counted(approvals, "approval", "approvals")] * bool(approvals)
    return f"{' and '.join(parts)} {'waits' if escalations + approvals == 1 else 'wait'} for you"


@router.get("/cluster")
async def cluster(request: Request, person: Viewer) -> Response:
    """Return hosts and workers as they are now."""
    model = deps_of(request).model
    workers = model.workers()
    unhealthy = sum(not one.healthy for one in workers)
    return show(
        request,
        person,
        "cluster.html",
        title="Cluster",
        tab="/cluster",
        parts=("workers", "hosts", "healings"),
        headline=_pool(len(workers), unhealthy),
        workers=workers,
        unhealthy=unhealthy,
        hosts=model.hosts(),
        healings=model.healings()[:HEALINGS_SHOWN],
    )


def _pool(workers: int, unhealthy: int) -> str:
    """Return in one sentence how the pool is."""
    if not workers:
        return "No workers"
    if not unhealthy:
        return f"All {workers} workers are healthy" if workers > 1 else "The one worker is healthy"
    return f"{unhealthy} of {workers} workers {'is' if unhealthy == 1 else 'are'} not healthy"


@router.get("/approvals")
async def approvals(request: Request, person: Viewer) -> Response:
    """Return the commands that wait for a person's yes, the one that expires first at the head."""
    found = deps_of(request).model.approvals()
    return show(
        request,
        person,
        "approvals.html",
        title="Approvals",
        tab="/approvals",
        parts=("approvals",),
        headline=counted(len(found), "command waits for a yes", "commands wait for a yes"),
        approvals=found,
    )


@router.get("/mutes")
async def mutes(request: Request, person: Viewer) -> Response:
    """Return silences and maintenance windows."""
    model = deps_of(request).model
    found, now_ms = model.mutes(), model.now_ms
    holding = sum(one.begin_ms <= now_ms for one in found)
    return show(
        request,
        person,
        "mutes.html",
        title="Silences and maintenance",
        tab="/mutes",
        parts=("mutes",),
        headline=counted(holding, "mute holds now", "mutes hold now"),
        mutes=found,
    )


@router.get("/dlq")
async def dead_letters(request: Request, person: Operator) -> Response:
    """Return the newest dead letters, and how many there are by reason."""
    listing = await deps_of(request).letters.listed(Which(reason="", topic="", since_ms=0), reading.PAGE)
    count = sum(one.letters for one in listing.counts)
    return show(
        request,
        person,
        "dlq.html",
        title="Dead letters",
        tab="/dlq",
        headline=counted(count, "dead letter", "dead letters"),
        listing=listing,
    )


@router.get("/switch")
async def switch(request: Request, person: Viewer) -> Response:
    """Return the kill switch as a page of its own."""
    halted = deps_of(request).model.halt is not None
    return show(request, person, "switch.html", title="Resume" if halted else "Halt", parts=("halt",))


@router.get("/login")
async def login(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> Response:
    """Return the form to sign in with."""
    hint = "A token begins with lm_. Whoever runs Logmend makes one: logmend token create."
    path = back_to(request.query_params.get("next", "/"))
    return plain(request, "login.html", title="Sign in", next=path, token_hint=hint, refused="")


def error_page(request: Request, status: int, detail: str) -> Response:
    """Return the page that says what went wrong, or the way to sign in."""
    path = request.url.path
    if status == 401:
        if path == "/login":
            hint = "Check that it was copied whole."
            return plain(
                request, "login.html", title="Sign in", status=401, next="/", token_hint=hint, refused=f"{detail}."
            )
        return RedirectResponse(f"/login?next={quote(_address(request), safe='')}", SEE_OTHER)
    title = TITLES.get(status, "This did not work")
    text = f"{detail[:1].upper()}{detail[1:]}."
    return plain(request, "error.html", title=title, status=status, text=text, back=_back(path), refused="")


TITLES: Final = {403: "Not allowed", 404: "Not here", 429: "Too often", 500: "Our mistake", 503: "Not now"}


def _address(request: Request) -> str:
    """Return the page that was asked for; of a form the page that it is on."""
    if request.method != "GET":
        return _back(request.url.path)
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _back(path: str) -> str:
    """Return the page that a form's address belongs to."""
    first, *rest = path.strip("/").split("/")
    if first == "escalation" and rest:
        return f"/escalation/{rest[0]}"
    return f"/{first}" if first in {"approvals", "mutes", "incidents", "timeline"} else "/"
