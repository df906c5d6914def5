"""Webhooks are signed, go where they may go, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import get_args

import pytest

from streams.core.errors import InputError
from streams.notify import addresses, webhook
from streams.notify.addresses import Address, client, may_reach
from streams.notify.notice import Kind, Message, NotToldError
from streams.notify.webhook import TYPES, WebhookChannel, secrets_of, signed
from tests.notify.corpus import HOSTILE
from tests.notify.deciding import message, notice
from tests.notify.serving import Site, Tls, redirect, serving

SECRET = b"s" * 32
NOW_S = 1_800_000_000.0


@asynccontextmanager
async def hook(url: str, tls: Tls | None = None, *, private: bool = True) -> AsyncIterator[WebhookChannel]:
    """Return the channel to an address."""
    http = client(private=private, tls=tls.client if tls else None)
    channel = WebhookChannel(f"{url}/in?key=1", (SECRET,), http, "https://web.example", lambda: NOW_S)
    try:
        yield channel
    finally:
        await channel.aclose()


async def refused(site: Site, **more: bool) -> NotToldError:
    """Return why a message was not delivered."""
    async with hook(site.url, **more) as channel:  # type: ignore[arg-type] # private is the only one
        with pytest.raises(NotToldError) as caught:
            await channel.send(message())
    return caught.value


def test_the_signature_is_that_of_the_specification() -> None:
    """The specification's own example comes out."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', (secret,))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_can_verify_what_arrives() -> None:
    """Id, time and signature are in the headers; the body has type, time, all of the notice and links."""
    with serving(204) as site:
        async with hook(site.url) as channel:
            await channel.send(message(notice(7)))
    ((method, path, headers, body),) = site.asked
    assert (method, path, headers["content-type"]) == ("POST", "/in?key=1", "application/json")
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("1-7-0", "1800000000")
    content = b"1-7-0.1800000000." + body
    mark = base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mark}"
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("escalation.opened", "2027-01-15T08:00:00.007000Z")
    assert (told["data"]["service"], told["data"]["number"]) == ("shop", 7)
    assert told["data"]["links"]["Escalation"] == "https://web.example/escalation/7"


async def test_a_digest_has_all_notices() -> None:
    """Its id is its own, its data are the notices' bodies."""
    with serving(200) as site:
        async with hook(site.url) as channel:
            await channel.send(Message(id="digest-1-1-0", notices=(notice(1), notice(2))))
    (_, _, headers, body) = site.asked[0]
    told = json.loads(body)
    assert (headers["webhook-id"], told["type"]) == ("digest-1-1-0", "digest")
    assert [one["data"]["id"] for one in told["data"]["notices"]] == ["1-1-0", "1-2-0"]


@pytest.mark.parametrize("hostile", [one for one in HOSTILE if "\ud800" not in one])
async def test_whatever_names_hold_is_text_in_json(hostile: str) -> None:
    """It arrives as it is, and changes no header."""
    with serving(200) as site:
        async with hook(site.url) as channel:
            await channel.send(message(notice(1, service=hostile)))
    (_, _, headers, body) = site.asked[0]
    assert json.loads(body)["data"]["service"] == hostile
    assert "x-injected" not in headers
    assert "bcc" not in headers


@pytest.mark.parametrize(("status", "final"), [(500, False), (429, False), (401, False), (404, False), (410, True)])
async def test_what_is_no_yes_is_a_failure(status: int, final: bool) -> None:  # noqa: FBT001 - a table
    """What somebody may mend is tried again for long, what is gone is not."""
    with serving(status) as site:
        assert (await refused(site)).final is final


async def test_a_server_can_ask_for_a_pause() -> None:
    """Seconds of Retry-After are kept to."""

    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503)
        handler.send_header("Retry-After", "120")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(busy) as site:
        assert (await refused(site)).retry_after_s == 120.0


async def test_a_redirect_is_not_followed() -> None:
    """Whoever is redirected is not told."""
    with serving(redirect, 200) as site:
        assert "redirects are not followed" in str(await refused(site))
    assert len(site.asked) == 1


async def test_who_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for all of an answer is limited."""
    monkeypatch.setattr(webhook, "ANSWER_S", 0.05)

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        site.ended.wait()

    with serving(hang) as site:
        assert "no answer within" in str(await refused(site))


async def test_this_host_is_refused_unless_it_is_allowed(tls: Tls) -> None:
    """Nothing at all is sent to an address that may not be talked to."""
    with serving(200, tls=tls) as site:
        why = await refused(site, private=False)
    assert "NotAllowedError" in str(why)
    assert site.asked == []


async def test_the_certificate_is_that_of_the_name(tls: Tls) -> None:
    """The connection goes to the checked address, the proof is of the name; without proof nothing is sent."""
    with serving(200, tls=tls) as site:
        async with hook(site.url, tls) as channel:
            await channel.send(message())
        assert site.asked[0][2]["host"] == site.url.removeprefix("https://")
        await refused(site)
        async with hook(site.url.replace("localhost", "other.localhost"), tls) as channel:
            with pytest.raises(NotToldError):
                await channel.send(message())
    assert len(site.asked) == 1


async def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere the second time gains nothing: the connection goes to what was checked."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def look_up(_name: str, _port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(one) for one in answers.pop(0)]

    monkeypatch.setattr(addresses, "look_up", look_up)
    with serving(200) as site:
        async with hook(site.url.replace("localhost", "rebinding.example")) as channel:
            await channel.send(message())
    assert (len(site.asked), len(answers)) == (1, 1)


async def test_one_forbidden_address_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to both is refused."""

    async def look_up(_name: str, _port: int) -> Sequence[Address]:
        return [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("169.254.169.254")]

    monkeypatch.setattr(addresses, "look_up", look_up)
    with serving(200) as site:
        await refused(site)
    assert site.asked == []


PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
PRIVATE = ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1")
NEVER = (
    *("169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1", "ff02::1", "::", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "198.18.0.1"),
)


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE, *NEVER])
def test_which_addresses_may_be_talked_to(address: str) -> None:
    """Public ones encrypted; private ones if that is allowed; link-local, reserved and disguised ones never."""
    parsed = ipaddress.ip_address(address)
    found = [
        may_reach(parsed, private=private, encrypted=encrypted)
        for private, encrypted in ((False, True), (False, False), (True, True), (True, False))
    ]
    if address in PUBLIC:
        assert found == [True, False, True, False]
    elif address in PRIVATE:
        assert found == [False, False, True, True]
    else:
        assert found == [False] * 4


def test_secrets_are_read_a_line_each(tmp_path: Path) -> None:
    """While one replaces another, both sign."""
    path = tmp_path / "secret"
    lines = [f"whsec_{base64.b64encode(one).decode()}" for one in (b"a" * 24, b"b" * 64)]
    path.write_text("\n".join(lines) + "\n")
    assert secrets_of(path) == (b"a" * 24, b"b" * 64)
    assert signed("i", 1, b"", secrets_of(path))["webhook-signature"].count("v1,") == 2


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_!!!", f"whsec_{base64.b64encode(b'a' * 23).decode()}"])
def test_a_weak_secret_is_refused(tmp_path: Path, text: str) -> None:
    """At least 24 bytes, in the form of the specification."""
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(InputError, match="wanted whsec_"):
        secrets_of(path)


def test_every_kind_of_notice_has_a_type_of_its_own() -> None:
    """Whoever is called can tell them apart."""
    assert set(TYPES) == set(get_args(Kind))
    assert len(set(TYPES.values())) == len(TYPES)
