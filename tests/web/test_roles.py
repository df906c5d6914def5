"""Every role at every endpoint: who may not, is told so before anything is looked at."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, Final

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from streams.core.errors import InvariantError
from streams.settings import Settings
from streams.web import signing
from streams.web.app import create_app
from streams.web.auth import ANYONE, Needs
from streams.web.tokens import ROLES
from tests.web.fleet import Fleet
from tests.web.rig import Rig, served

UNKNOWN: Final = "7-7-7"
BODIES: Final = {"by": "somebody"}
DENIED: Final = {401, 403}
STREAMS: Final = {"/api/events"}
"""An answer that never ends: who is let in is seen by its first event alone (test_events)."""


def application() -> FastAPI:
    """Return the application as far as it is needed to see what endpoints it has."""
    deps: Any = SimpleNamespace(settings=Settings())
    return create_app(deps)


def endpoints() -> Iterator[tuple[str, str, str]]:
    """Yield method, path and role of every endpoint that the application has, also of those not in OpenAPI."""
    for found in iter_route_contexts(application().routes):
        route = found.original_route
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, APIRoute)
        (asked,) = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        for method in sorted(route.methods or ()):
            yield method, route.path, asked.role


ALL: Final = sorted(set(endpoints()))
CLOSED: Final = [one for one in ALL if one[2] != ANYONE]


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Serve a fleet in which nothing happened."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    async with served(fleet, tmp_path_factory.mktemp("roles")) as one:
        yield one


@pytest.fixture(scope="module")
async def clients(rig: Rig) -> dict[str, httpx2.AsyncClient]:
    """Return a client for each role, and one for somebody with no token."""
    return {**rig.roles(), "": rig.as_client()}


async def ask(client: httpx2.AsyncClient, method: str, path: str) -> httpx2.Response:
    """Call an endpoint about something that there is not."""
    body = None if method in {"GET", "HEAD"} else BODIES
    return await client.request(method, re.sub(r"\{\w+\}", UNKNOWN, path), json=body)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path", "role"), CLOSED)
async def test_who_has_no_token_is_let_in_nowhere(
    clients: dict[str, httpx2.AsyncClient], method: str, path: str, role: str
) -> None:
    """Without a token every closed endpoint answers 401, once there are tokens, also on loopback."""
    assert (await ask(clients[""], method, path)).status_code == 401


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize(("method", "path", "role"), CLOSED)
async def test_a_role_may_what_its_rights_are(
    clients: dict[str, httpx2.AsyncClient], method: str, path: str, role: str, who: str
) -> None:
    """A role below what an endpoint needs gets 403, one at or above it gets past the door."""
    if path in STREAMS:
        assert ROLES.index(who) >= ROLES.index(role)
        return
    status = (await ask(clients[who], method, path)).status_code
    assert (status in DENIED) == (ROLES.index(who) < ROLES.index(role))


def test_whatever_changes_something_needs_more_than_a_viewer() -> None:
    """No endpoint but signing in and out can be posted to by a viewer."""
    changing = {(path, role) for method, path, role in ALL if method not in {"GET", "HEAD"}}
    assert {path for path, role in changing if role in {ANYONE, ROLES[0]}} == {"/login", "/logout"}


def test_what_is_open_to_anyone_is_known() -> None:
    """Without a role can be called: signing in and out, health, and the description of the API."""
    assert {path for _, path, role in ALL if role == ANYONE} == {"/health", "/login", "/logout", "/openapi.json"}


def test_letting_actions_go_is_an_approvers() -> None:
    """Approvals are answered, and the kill switch is released, by approvers alone."""
    approvers = {path for _, path, role in ALL if role == ROLES[-1]}
    assert approvers >= {"/api/approvals/{approval_id}", "/api/resume"}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_task_that_acts_is_an_approvers(clients: dict[str, httpx2.AsyncClient], rig: Rig) -> None:
    """Who gives a task with an action has approved it, so an operator may give only those without one."""
    path, acts = "/api/cluster/task/submit", {"agent_type": "executor", "action": "process.restart", "service": "shop"}
    before = len(rig.said())
    refused = [
        await clients["operator"].post(path, json=acts),
        await clients["operator"].post("/api/cluster/tasks/submit", json={"tasks": [{"agent_type": "critic"}, acts]}),
    ]
    assert [one.status_code for one in refused] == [403, 403]
    assert "needs approver" in refused[0].text
    assert len(rig.said()) == before
    allowed = [
        await clients["operator"].post(path, json={"agent_type": "critic"}),
        await clients["approver"].post(path, json=acts),
    ]
    assert [one.status_code for one in allowed] == [200, 200]


def test_an_endpoint_without_a_role_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that does not say who may call it stops the process at its start."""
    forgotten = APIRouter()
    forgotten.add_api_route("/forgotten", lambda: None)
    monkeypatch.setattr(signing, "router", forgotten)
    with pytest.raises(InvariantError, match="/forgotten does not say once"):
        application()


PAGES: Final = {
    "/halt": "/api/halt",
    "/resume": "/api/resume",
    "/heal": "/api/cluster/heal",
    "/mutes": "/api/mutes",
    "/mutes/{wanted}/lift": "/api/mutes/{mute_id}/lift",
    "/approvals/{wanted}": "/api/approvals/{approval_id}",
    "/escalation/{wanted}/{verb}": "/api/escalations/{escalation_id}/resolve",
    "/dlq": "/api/dlq",
}
"""Pages and what they do."""


@pytest.mark.parametrize(("page", "does"), PAGES.items())
def test_a_page_asks_for_the_role_that_the_api_asks_for(page: str, does: str) -> None:
    """No page lets anybody do what the API does not let them do."""
    roles = {path: role for method, path, role in ALL if method == ("GET" if "dlq" in path else "POST")}
    assert roles[page] == roles[does]


def test_every_page_that_changes_something_is_known() -> None:
    """The table above has all pages that are posted to."""
    posted = {path for method, path, _ in ALL if method == "POST" and not path.startswith("/api/")}
    assert posted == {*PAGES, "/login", "/logout"} - {"/dlq"}
