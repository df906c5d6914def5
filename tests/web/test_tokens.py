"""Tokens: shown once, kept as hashes, good until they are revoked; and where none is needed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi import Request

from streams.cli import main
from streams.core.errors import InputError
from streams.settings import Settings
from streams.web.auth import PROXIED, Gatekeeper
from streams.web.sessions import COOKIE, SESSION_S, SESSIONS_MAX, Sessions
from streams.web.tokens import ROLES, TokenFile, check_tokens
from tests.web.fleet import Fleet
from tests.web.rig import ORIGIN, served
from tests.web.test_guarding import Ticking


def quiet() -> Fleet:
    """Return a fleet in which nothing happened."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    return fleet


def test_a_token_is_not_kept(tmp_path: Path) -> None:
    """The file has a hash and never the token; only its owner reads it, and nobody else looks into its directory."""
    given = TokenFile(tmp_path).create("viewer", "ada", 1)
    path = tmp_path / "web" / "tokens.json"
    assert given.rpartition("_")[2] not in path.read_text()
    assert given[-20:] not in path.read_text()
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]
    assert modes == [0o600, 0o700]


def test_no_two_tokens_are_alike(tmp_path: Path) -> None:
    """Each token is new, of 256 random bits."""
    tokens = TokenFile(tmp_path)
    made = {tokens.create("viewer", f"ada {number}", 1) for number in range(20)}
    assert (len(made), {len(one) for one in made}) == (20, {55})


def test_only_the_very_token_is_good(tmp_path: Path) -> None:
    """What differs from a token in anything is none; the right one has its name and role."""
    tokens = TokenFile(tmp_path)
    given = tokens.create("operator", "ada", 1)
    other = tokens.create("approver", "bob", 1)
    wrong = (
        "",
        "lm_",
        given[:-1],
        given + "A",
        given.upper(),
        given[:12] + other[12:],
        f" {given}",
        "lm_00000000_" + given[12:],
    )
    assert [tokens.find(one) for one in wrong] == [None] * len(wrong)
    found = tokens.find(given)
    assert found is not None
    assert (found.name, found.role) == ("ada", "operator")


def test_a_revoked_token_is_none(tmp_path: Path) -> None:
    """After it is revoked, by whichever process, a token is good for nothing, and its name is not given again."""
    here, there = TokenFile(tmp_path), TokenFile(tmp_path)
    given = here.create("viewer", "ada", 1)
    assert there.find(given) is not None
    here.revoke("ada", 2)
    assert (there.find(given), there.none_ever) == (None, False)
    with pytest.raises(InputError, match="there is or was a token of ada"):
        here.create("viewer", "ada", 3)
    with pytest.raises(InputError, match="there is no token of 'ada'"):
        here.revoke("ada", 4)


@pytest.mark.parametrize("name", ["", " ada", "a\nb", "<b>", "1ada", "x" * 65, "\u202eada"])
def test_a_name_is_one_that_can_be_read(tmp_path: Path, name: str) -> None:
    """What can't stand in a log as a name is refused."""
    with pytest.raises(InputError, match="a name is"):
        TokenFile(tmp_path).create("viewer", name, 1)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    """What is no list of tokens is an error, and never local mode."""
    tokens = TokenFile(tmp_path)
    tokens.create("viewer", "ada", 1)
    (tmp_path / "web" / "tokens.json").write_text("[")
    with pytest.raises(InputError, match="is damaged"):
        Gatekeeper(TokenFile(tmp_path), "127.0.0.1", Ticking()).local  # noqa: B018 - it is asked


@pytest.mark.parametrize(
    ("address", "local"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.1", False)]
)
def test_local_mode_is_for_loopback_without_tokens(tmp_path: Path, address: str, local: bool) -> None:  # noqa: FBT001 - a column
    """On loopback nobody needs a token until there is one; elsewhere everybody does."""
    gate = Gatekeeper(TokenFile(tmp_path), address, Ticking())
    assert gate.local is local
    gate.tokens.create("viewer", "ada", 1)
    assert not gate.local
    gate.tokens.revoke("ada", 2)
    assert not gate.local


@pytest.mark.parametrize("header", [*sorted(PROXIED), "x-forwarded-proto", "x-forwarded-anything"])
async def test_who_comes_through_a_proxy_is_not_here(tmp_path: Path, header: str) -> None:
    """A proxy on this machine makes nobody local: what it passes on needs a token."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        assert (await rig.client.get("/api/halt")).status_code == 200
        assert (await rig.client.get("/api/halt", headers={header: "10.0.0.1"})).status_code == 401


@pytest.mark.parametrize(("version", "local"), [("1.1", True), ("2", True), ("1.0", False)])
def test_who_speaks_as_only_proxies_do_is_not_here(tmp_path: Path, version: str, *, local: bool) -> None:
    """A proxy that adds no header, and names us by our own address, is known by the old HTTP that it speaks."""
    gate = Gatekeeper(TokenFile(tmp_path), "127.0.0.1", Ticking())
    scope = {"type": "http", "http_version": version, "headers": [(b"host", b"127.0.0.1:8000")]}
    assert gate.who(Request(scope)).local is local


def test_others_are_not_served_without_tokens(tmp_path: Path) -> None:
    """Bound to anything but loopback, the web does not start before there is a token, and says how to make one."""
    open_to_all = Settings(data_dir=tmp_path, web_host="0.0.0.0")
    with pytest.raises(InputError, match="logmend token create --role approver"):
        check_tokens(open_to_all)
    with pytest.raises(InputError, match="logmend token create --role approver"):
        check_tokens(Settings(data_dir=tmp_path, web_names=("logmend.example.org",)))
    check_tokens(Settings(data_dir=tmp_path))
    TokenFile(tmp_path).create("approver", "ada", 1)
    check_tokens(open_to_all)


async def test_a_browser_signs_in_and_out(tmp_path: Path) -> None:
    """Signing in gives a cookie that no script reads and no other site sends; signing out ends it."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        token = rig.tokens.create("viewer", "ada", 1)
        client = rig.as_client(origin=ORIGIN)
        answer = await client.post("/login", data={"token": token, "next": "/cluster"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/cluster")
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert token not in cookie
        assert (await client.get("/api/halt")).status_code == 200
        kept = client.cookies[COOKIE]
        assert (await client.post("/logout")).status_code == 303
        client.cookies.set(COOKIE, kept)
        assert (await client.get("/api/halt")).status_code == 401


async def test_over_tls_the_cookie_stays_there(tmp_path: Path) -> None:
    """Who signs in over TLS gets a cookie that is never sent in the clear."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        token = rig.tokens.create("viewer", "ada", 1)
        answer = await rig.as_client(origin="https://localhost").post("/login", data={"token": token})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb"]
)
async def test_signing_in_leads_nowhere_else(tmp_path: Path, to: str) -> None:
    """Whatever the form says, after signing in the browser is on a page of ours."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        token = rig.tokens.create("viewer", "ada", 1)
        answer = await rig.as_client(origin=ORIGIN).post("/login", data={"token": token, "next": to})
        assert answer.headers["location"] == "/"


async def test_a_session_ends_with_its_token(tmp_path: Path) -> None:
    """A browser that is signed in is out as soon as the token is revoked."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        token = rig.tokens.create("viewer", "ada", 1)
        client = rig.as_client(origin=ORIGIN)
        await client.post("/login", data={"token": token})
        assert (await client.get("/api/halt")).status_code == 200
        rig.tokens.revoke("ada", 2)
        assert (await client.get("/api/halt")).status_code == 401


async def test_guessing_ends_soon(tmp_path: Path) -> None:
    """After ten wrong tokens an address waits, at the API and at the door; who has a right one does not.

    All who come through a proxy have one address: nobody may lock the others out.
    """
    async with served(quiet(), tmp_path, archived=False) as rig:
        token = rig.tokens.create("viewer", "ada", 1)
        wrong = rig.as_client("lm_00000000_" + "x" * 43)
        statuses = [(await wrong.get("/api/halt")).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        door = await rig.as_client(origin=ORIGIN).post("/login", data={"token": "lm_"})
        assert (door.status_code, int(door.headers["retry-after"]) > 0) == (429, True)
        assert (await rig.as_client(token).get("/api/halt")).status_code == 200
        assert (await rig.as_client(origin=ORIGIN).post("/login", data={"token": token})).status_code == 303
        other = rig.as_client("lm_00000000_" + "x" * 43, address="10.0.0.5")
        assert (await other.get("/api/halt")).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "lm_00000000_" + "x" * 43, "Bearer \xff"])
async def test_what_is_no_token_is_no_session_either(tmp_path: Path, header: str) -> None:
    """A header that holds no token is 401, also in local mode and with a good cookie: nobody is let in by mistake."""
    async with served(quiet(), tmp_path, archived=False) as rig:
        answer = await rig.client.get("/api/halt", headers={b"authorization": header.encode("latin-1")})
        assert answer.status_code == (200 if not header else 401)


def test_a_session_ends_by_itself() -> None:
    """Twelve hours after signing in a session is over, and not before."""
    clock = Ticking()
    sessions = Sessions(clock)
    given = sessions.begin("t")
    clock.now_s = SESSION_S - 1
    assert sessions.token_of(given) == "t"
    clock.now_s = SESSION_S
    assert (sessions.token_of(given), sessions._sessions) == ("", {})


def test_sessions_have_a_limit() -> None:
    """However many sign in, so many sessions are held, and none as it stands in the cookie."""
    sessions = Sessions(Ticking())
    given = [sessions.begin("t") for _ in range(SESSIONS_MAX + 5)]
    assert (len(sessions._sessions), sessions.token_of(given[0]), sessions.token_of(given[-1])) == (
        SESSIONS_MAX,
        "",
        "t",
    )
    assert given[-1] not in sessions._sessions


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    """`logmend token` shows a token once, lists it without itself, and ends it."""
    environment = {"LOGMEND_DATA_DIR": str(tmp_path)}
    run = CliRunner(env=environment).invoke
    made = json.loads(run(main, ["token", "create", "--role", "operator", "--name", "ada", "--json"]).stdout)
    assert TokenFile(tmp_path).find(made["token"]) is not None
    listed = run(main, ["token", "list"]).stdout
    assert ("ada" in listed, made["token"] in listed, "good" in listed) == (True, False, True)
    assert run(main, ["token", "revoke", "ada"]).exit_code == 0
    assert TokenFile(tmp_path).find(made["token"]) is None
    assert [one["state"][:7] for one in json.loads(run(main, ["token", "list", "--json"]).stdout)] == ["revoked"]
    refused = run(main, ["token", "revoke", "ada"])
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)


def test_roles_are_in_order() -> None:
    """A viewer reads, an operator steers, an approver lets go: each may what those before may."""
    assert ROLES == ("viewer", "operator", "approver")
