"""Providers that are reached by HTTP, against a real server in each of its moods: statuses, deadlines, bodies, keys."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from streams.advise.providers.base import (
    BadReplyError,
    FailedError,
    NoAnswerError,
    RateLimitedError,
    TimedOutError,
)
from streams.advise.providers.http import BODY_BYTES_MAX, retry_after
from streams.advise.providers.keys import KeyFile
from tests.advise.asked import KEY, KINDS, PATIENCE_S, PROMPT, ask, error_of, providing
from tests.advise.serving import OPINION, break_off, never_stop, said, serving
from tests.certificates import certificate


@pytest.mark.parametrize(
    ("status", "again", "down"),
    [
        (400, False, False),
        (401, False, True),
        (402, False, True),
        (403, False, True),
        (404, False, True),
        (413, False, False),
        (422, False, False),
        (500, True, True),
        (503, True, True),
        (529, True, True),
        (204, False, False),
    ],
)
async def test_a_status_tells_whether_to_ask_again_and_whether_others_should(
    kind: str, status: int, *, again: bool, down: bool
) -> None:
    """Busy is asked again, a wrong request isn't; wrong keys and failures mean that the provider is down."""
    body = b"" if status == 204 else json.dumps({"error": {"type": "some_error", "message": "no"}}).encode()
    error = await error_of(kind, said(body, status))
    assert isinstance(error, FailedError)
    assert (error.again, error.down, error.billed) == (again, down, False)
    assert str(status) in str(error)


async def test_the_type_of_an_error_is_told(kind: str) -> None:
    """A person who reads the log learns what the provider calls it."""
    error = await error_of(kind, said({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529))
    assert str(error) == "status 529, overloaded_error"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"type":7}}', b"[" * 100_000])
async def test_an_error_without_a_known_body_is_its_status(kind: str, body: bytes) -> None:
    """Gateways answer with pages of their own."""
    assert str(await error_of(kind, said(body, 500))) == "status 500"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "7", "retry_after_ms": "250"}, 0.25),
        ({"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
    ],
)
async def test_too_many_requests_says_how_long_to_wait(
    kind: str, headers: dict[str, str], seconds: float | None
) -> None:
    """Retry-after is seconds or a date; what can't be read is nothing."""
    error = await error_of(kind, said({"error": {"type": "rate_limit_error"}}, 429, **headers))
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after_s, error.again) == (seconds, True)


def test_a_date_ahead_is_the_time_until_then() -> None:
    """A date far ahead is many seconds; one that no calendar has is nothing."""
    assert (retry_after({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}) or 0) > 1e9
    assert retry_after({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}) is None


@pytest.mark.parametrize(
    "error",
    [
        {"type": "insufficient_quota", "code": "credit_balance_exhausted"},
        {"type": "insufficient_quota", "code": None},
        {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
    ],
)
async def test_money_that_ran_out_is_not_waited_for(kind: str, error: dict[str, Any]) -> None:
    """A 429 that means an empty account is not asked again."""
    caught = await error_of(kind, said({"error": error}, 429))
    assert isinstance(caught, RateLimitedError)
    assert not caught.again


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_server_may_ask_not_to_be_asked_again(kind: str, status: int) -> None:
    """What its own makers' clients go by."""
    assert not (await error_of(kind, said({}, status, x_should_retry="false"))).again


@pytest.mark.parametrize("how", ["hang", "hang_half_way"])
async def test_the_deadline_ends_a_question(kind: str, how: str) -> None:
    """A server that says nothing, or stops half way, is given up at the deadline; that it bills is possible."""
    with serving() as server:
        server.says.append(getattr(server, how))
        with pytest.raises(TimedOutError) as caught:
            await ask(kind, server.address, deadline_s=0.2)
    assert (caught.value.down, caught.value.billed, caught.value.again) == (True, True, False)


async def test_half_an_answer_is_none(kind: str) -> None:
    """A connection that is closed half way failed, may be billed, and may be tried again."""
    error = await error_of(kind, break_off)
    assert isinstance(error, FailedError)
    assert (error.again, error.billed) == (True, True)


async def test_nobody_there_is_a_failure_that_costs_nothing(kind: str) -> None:
    """A refused connection may be tried again and bills nothing."""
    with serving() as server:
        pass
    with pytest.raises(FailedError) as caught:
        await ask(kind, server.address)
    assert (caught.value.again, caught.value.down, caught.value.billed) == (True, True, False)


async def test_a_server_that_proves_nothing_gets_no_key(kind: str, key: KeyFile, tmp_path: Path) -> None:
    """A certificate that nobody vouches for ends it before anything is sent."""
    with serving(said(KINDS[kind][1]()), certificate=certificate(tmp_path).server) as server:
        with pytest.raises(FailedError, match="not reached"):
            await ask(kind, server.address, key)
        assert not server.asked


async def test_an_answer_without_end_is_cut_off(kind: str) -> None:
    """A body may be long, not endless."""
    assert isinstance(await error_of(kind, never_stop), BadReplyError)


async def test_the_longest_body_is_taken_and_none_longer(kind: str) -> None:
    """The limit is exact, whatever the body holds."""
    body = json.dumps(KINDS[kind][1]()).encode().ljust(BODY_BYTES_MAX)
    with serving(said(body)) as server:
        assert (await ask(kind, server.address)).text == OPINION
    assert isinstance(await error_of(kind, said(body + b" ")), BadReplyError)


async def test_a_packed_answer_is_not_unpacked(kind: str) -> None:
    """No server may make a megabyte of a kilobyte here: packing was not asked for."""
    packed = gzip.compress(json.dumps(KINDS[kind][1]()).encode())
    with serving(said(packed, content_encoding="gzip")) as server:
        with pytest.raises(BadReplyError):
            await ask(kind, server.address)
        assert server.asked[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(kind: str, key: KeyFile, status: int) -> None:
    """The key is for this server only."""
    with serving(said(KINDS[kind][1]())) as other:
        with serving(said(b"", status, location=f"{other.address}/elsewhere")) as server:
            with pytest.raises(FailedError, match="redirects are not followed") as caught:
                await ask(kind, server.address, key)
            assert len(server.asked) == 1
        assert not other.asked
    assert caught.value.down


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_a_key_is_in_no_error_and_no_log(
    kind: str, key: KeyFile, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the server repeats it in all that it says."""
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"Incorrect key: {KEY}", "type": KEY, "code": f"bad {KEY}"}}
    with serving(said(echo, status)) as server, pytest.raises(NoAnswerError) as caught:
        await ask(kind, server.address, key)
    chain: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert KEY not in caplog.text + "".join(f"{error!s} {error!r}" for error in chain)


async def test_a_new_key_needs_no_restart(kind: str, tmp_path: Path) -> None:
    """The file is read for each request."""
    path = tmp_path / "key"
    path.write_text("first-key-1")
    with serving(said(KINDS[kind][1]())) as server:
        async with providing(kind, server.address, KeyFile(path)) as provider:
            await provider.ask(PROMPT, PATIENCE_S)
            path.write_text("second-key-2")
            await provider.ask(PROMPT, PATIENCE_S)
    sent = [
        headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer ") for _, headers, _ in server.asked
    ]
    assert sent == ["first-key-1", "second-key-2"]


@pytest.mark.parametrize("content", [None, b"", b"two words", b"sh", b"a-key-with-\xff", b"x" * 5_000])
async def test_a_file_without_a_key_asks_nobody(kind: str, tmp_path: Path, content: bytes | None) -> None:
    """A missing or wrong file is named, what is in it isn't, and no request is made."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with serving(said(KINDS[kind][1]())) as server:
        with pytest.raises(FailedError, match="key file") as caught:
            await ask(kind, server.address, KeyFile(path))
        assert not server.asked
    assert caught.value.down
    assert not content or content.decode("ascii", "replace") not in str(caught.value)
