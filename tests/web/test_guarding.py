"""What stands before every request: names, other sites' pages, sizes, rates; and the headers of every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from streams.web.guarding import BODY_BYTES_MAX, RATE
from streams.web.limits import CLIENTS_MAX, Limiter, Rate, client_of
from streams.web.sessions import COOKIE
from tests.web.fleet import Fleet
from tests.web.rig import ORIGIN, Rig, served

OTHER: Final = "https://panel.example"
EVIL: Final = "https://evil.example"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Serve a fleet in local mode, with one other site that may call."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    directory = tmp_path_factory.mktemp("guarding")
    async with served(fleet, directory, web_origins=(OTHER,), web_names=("logmend.example.org",)) as one:
        yield one


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Serve a fleet with tokens and one other site that may call."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    async with served(fleet, tmp_path_factory.mktemp("closed"), web_origins=(OTHER,)) as one:
        yield one


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7", 200),
        ("web-host:8000", 200),
        ("logmend.example.org", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[::1", 200),
        ("127.0.0.1@evil.example", 421),
    ],
)
async def test_only_names_of_ours_are_answered(rig: Rig, host: str, status: int) -> None:
    """A page whose name was made to resolve to this machine reads nothing: its name is none of ours."""
    assert (await rig.client.get("/api/halt", headers={"host": host})).status_code == status


CROSS: Final[list[tuple[dict[str, str], int]]] = [
    ({}, 200),
    ({"origin": ORIGIN}, 200),
    ({"origin": ORIGIN, "sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "none"}, 200),
    ({"origin": EVIL}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:3000"}, 403),
    ({"origin": "http://localhost.evil.example"}, 403),
    ({"origin": ORIGIN, "sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"origin": ORIGIN, "sec-fetch-site": "cross-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), CROSS)
async def test_other_sites_pages_change_nothing_in_local_mode(rig: Rig, headers: dict[str, str], status: int) -> None:
    """Without tokens, a page of another site or port can't throw the kill switch; a program and our own pages can."""
    answer = await rig.client.post("/api/halt", headers=headers, json={"by": "ada"})
    assert answer.status_code == status


@pytest.mark.parametrize(("headers", "status"), [*CROSS[1:], ({}, 403)])
async def test_a_cookie_alone_changes_nothing(closed: Rig, headers: dict[str, str], status: int) -> None:
    """With a session's cookie a change must say that it comes from our pages: no header, no change."""
    client = closed.as_client()
    token = closed.tokens.create("operator", f"o {len(closed.tokens.all())} x", 1)
    signed = await client.post("/login", data={"token": token}, headers={"origin": ORIGIN})
    assert signed.status_code == 303
    answer = await client.post("/api/halt", headers=headers, json={})
    assert answer.status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/api/halt", "/api/mutes", "/logout", "/nowhere"])
async def test_whatever_may_change_something_is_guarded(rig: Rig, method: str, path: str) -> None:
    """No method but reading gets past the guard from another site, whatever the path."""
    assert (await rig.client.request(method, path, headers={"origin": EVIL})).status_code == 403


async def test_a_listed_site_calls_with_a_token_only(closed: Rig) -> None:
    """A site in LOGMEND_WEB_ORIGINS reads and changes with a token, without one it gets 401, with a cookie too."""
    token = closed.tokens.create("operator", "panel", 1)
    client = closed.as_client(token, origin=OTHER)
    changed = await client.post("/api/halt", json={"reason": "x"}, headers={"sec-fetch-site": "cross-site"})
    assert (changed.status_code, changed.headers["access-control-allow-origin"]) == (200, OTHER)
    bare = closed.as_client(origin=OTHER)
    bare.cookies.set(COOKIE, closed.deps.gate.sessions.begin(closed.tokens.all()[-1].id))
    assert (await bare.get("/api/halt")).status_code == 401
    assert "access-control-allow-credentials" not in changed.headers


async def test_a_listed_site_may_ask_first(rig: Rig) -> None:
    """The question that a browser asks before another site's call is answered for a listed site."""
    asked = {"origin": OTHER, "access-control-request-method": "POST"}
    answer = await rig.client.options("/api/halt", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, OTHER)


@pytest.mark.parametrize("origin", [EVIL, "null", f"{OTHER}.evil.example", "http://panel.example"])
async def test_no_other_site_may_read(rig: Rig, origin: str) -> None:
    """An answer to any other site's page has no word that lets that page read it."""
    for method in ("GET", "OPTIONS"):
        answer = await rig.client.request(method, "/api/halt", headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/api/halt", "/health", "/login", "/nowhere", "/static/logmend.css"])
async def test_every_answer_is_fenced(rig: Rig, path: str) -> None:
    """Whatever is answered, nothing inline runs, nothing of others is loaded, and no other page frames it."""
    headers = (await rig.client.get(path, headers={"accept": "text/html"})).headers
    policy = dict(one.strip().split(" ", 1) for one in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize("path", ["/", "/api/halt", "/login"])
async def test_nothing_that_is_said_is_kept_by_caches(rig: Rig, path: str) -> None:
    """What is answered is for whoever asked: nobody between keeps it."""
    assert (await rig.client.get(path)).headers["cache-control"] == "no-store"


async def test_a_long_body_is_refused(rig: Rig) -> None:
    """A body above the limit is refused, whether it says how long it is or not."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1024 + 2):
            yield b" " * 1024

    said = await rig.client.post("/api/halt", content=b" " * (BODY_BYTES_MAX + 1))
    unsaid = await rig.client.post("/api/halt", content=endless(), headers={"content-type": "application/json"})
    form = await rig.client.post("/login", content=endless())
    assert {said.status_code, unsaid.status_code, form.status_code} == {413}


async def test_a_length_that_is_none_is_refused(rig: Rig) -> None:
    """A length that is no number is not taken for a short one."""
    assert (await rig.client.post("/api/halt", content=b"{}", headers={"content-length": "-1"})).status_code == 413


async def test_a_client_that_asks_too_often_waits(tmp_path: Path) -> None:
    """Who has used up the burst gets 429 and is told for how long; another address is answered."""
    fleet = Fleet()
    fleet.begin()
    async with served(fleet, tmp_path, archived=False) as rig:
        assert (await rig.client.get("/health")).status_code == 200
        limiter = _limiter(rig.app)
        limiter.wait_s("10.0.0.9", RATE.burst)
        limiter.wait_s("10.0.0.9", 0)
        refused = await rig.as_client(address="10.0.0.9").get("/api/dlq")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await rig.as_client(address="10.0.0.8").get("/health")).status_code == 200


def _limiter(app: Any) -> Limiter:
    """Return the limiter of the guard before an application."""
    guard = app.middleware_stack
    while not hasattr(guard, "_limiter"):
        guard = guard.app
    found: Limiter = guard._limiter
    return found


class Ticking:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


async def test_a_bucket_fills_again() -> None:
    """After the time that was told, and not before, a client may ask again."""
    clock = Ticking()
    limiter = Limiter(Rate(per_second=2, burst=3), clock)
    assert [limiter.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now_s = 0.4
    assert limiter.wait_s("a") == pytest.approx(0.1)
    clock.now_s = 0.5
    assert (limiter.wait_s("a"), limiter.wait_s("b")) == (0, 0)


async def test_who_is_remembered_has_a_limit() -> None:
    """However many addresses ask, so many are remembered: the ones that were silent for longest are forgotten."""
    limiter = Limiter(Rate(per_second=1, burst=1), Ticking())
    for number in range(CLIENTS_MAX + 10):
        limiter.wait_s(f"{number}")
    assert len(limiter._buckets) == CLIENTS_MAX
    assert "9" not in limiter._buckets


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("not an address", "not an address", True),
    ],
)
async def test_one_customer_is_one_client(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a column
    """Addresses of one IPv6 network of 64 bits count together, others by themselves."""
    assert (client_of(one) == client_of(other)) is same


async def test_an_address_is_who_connects(rig: Rig) -> None:
    """What a client says of its own address counts for nothing."""
    headers = {"x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3"}
    for _ in range(3):
        await rig.as_client(address="10.0.0.77").get("/health", headers=headers)
    assert "10.1.2.3" not in _limiter(rig.app)._buckets
    assert "10.0.0.77" in _limiter(rig.app)._buckets
