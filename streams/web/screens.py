"""From a template and what it shows to a page: who looks, what is halted, what waits, what was just said."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from streams.web.auth import Person
from streams.web.problems import WebError
from streams.web.shown import FILTERS

if TYPE_CHECKING:
    from streams.web.app import Deps
    from streams.web.model import Model

ROOM: Final = Path(__file__).parent
SEE_OTHER: Final = 303
SAID: Final = {
    "halted": "Halted: nothing is acted on until somebody resumes.",
    "resumed": "Resumed: the kill switch is off.",
    "approved": "Approved: the command goes out.",
    "denied": "Denied: the command stays.",
    "resolved": "Resolved. What helped is learnt.",
    "acknowledged": "Acknowledged.",
    "assigned": "Assigned.",
    "noted": "Noted.",
    "set": "Set.",
    "lifted": "Lifted.",
    "healed": "Workers that were dead or hung were replaced.",
    "healthy": "No worker had to be replaced: all of them answer.",
    "recorded": "Recorded, and not yet in force: it shows here as soon as it is.",
}
"""What a page says after a form was sent; the address holds the word on the left only."""


class Tab(Struct, frozen=True, kw_only=True):
    """A page in the menu, with the key that leads there after g, and how much waits there."""

    path: str
    name: str
    key: str
    count: int | None = None
    urgent: bool = False
    role: str = "viewer"


@cache
def environment() -> Environment:
    """Return the templates; everything that is put into them is escaped, and a missing value is an error."""
    made = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals["static"] = _static
    return made


@cache
def _static(name: str) -> str:
    """Return a static file's address, which changes with the file: browsers may keep it."""
    content = (ROOM / "static" / name).read_bytes()
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"


def deps_of(request: Request) -> Deps:
    """Return what endpoints work with."""
    deps: Deps = request.app.state.deps
    return deps


def show(
    request: Request,
    person: Person,
    template: str,
    *,
    title: str,
    tab: str = "",
    parts: tuple[str, ...] = (),
    pause_ms: int = 500,
    status: int = 200,
    **shown: Any,
) -> Response:
    """Return a page. ``parts`` of the model are followed while it is open, once in ``pause_ms`` at most."""
    model = deps_of(request).model
    text = (
        environment()
        .get_template(template)
        .render(
            **_frame(request, person, model),
            title=title,
            tab=tab,
            parts=" ".join(parts),
            pause_ms=pause_ms,
            live=True,
            **shown,
        )
    )
    return HTMLResponse(text, status)


def plain(request: Request, template: str, *, title: str, status: int = 200, **shown: Any) -> Response:
    """Return a page for somebody who is not signed in: it tells nothing of the fleet but its name."""
    fleet = deps_of(request).settings.fleet
    nobody = {
        "who": None,
        "halt": None,
        "troubles": (),
        "tabs": (),
        "said": "",
        "now_ms": deps_of(request).model.now_ms,
    }
    text = (
        environment()
        .get_template(template)
        .render(**nobody, fleet=fleet, title=title, tab="", parts="", pause_ms=0, live=False, **shown)
    )
    return HTMLResponse(text, status)


def back(path: str, said: str) -> Response:
    """Return the way back to a page after a form, with the word for what it then says."""
    address, _, place = path.partition("#")
    return RedirectResponse(f"{address}?{urlencode({'said': said})}" + (f"#{place}" if place else ""), SEE_OTHER)


def _frame(request: Request, person: Person, model: Model) -> dict[str, Any]:
    """Return what every page shows."""
    return {
        "who": person,
        "halt": model.halt,
        "fleet": deps_of(request).settings.fleet,
        "now_ms": model.now_ms,
        "tabs": [tab for tab in tabs(model) if person.may(tab.role)],
        "troubles": _troubles(model),
        "said": SAID.get(request.query_params.get("said", ""), ""),
    }


def tabs(model: Model) -> tuple[Tab, ...]:
    """Return the menu."""
    return (
        Tab(path="/", name="Now", key="n", count=len(model.escalations()), urgent=True),
        Tab(path="/cluster", name="Cluster", key="c"),
        Tab(path="/incidents", name="Incidents", key="i", count=len(model.incidents())),
        Tab(path="/approvals", name="Approvals", key="a", count=len(model.approvals()), urgent=True),
        Tab(path="/timeline", name="Timeline", key="t"),
        Tab(path="/forecasts", name="Forecasts", key="f"),
        Tab(path="/mutes", name="Mutes", key="m", count=len(model.mutes()) or None),
        Tab(path="/dlq", name="Dead letters", key="d", role="operator"),
    )


def _troubles(model: Model) -> tuple[str, ...]:
    """Return what makes a page less than the truth."""
    if model.up_to_date:
        return ()
    return ("Still reading what happened before this server started: what is shown is not all there is.",)


def missing(what: str) -> WebError:
    """Return the problem that something is not there."""
    return WebError(404, f"there is no {what} here: it may have been let go of, or never have been")
