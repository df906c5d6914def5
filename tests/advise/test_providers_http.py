"""Providers that are reached by HTTP, against a real server in each of its moods."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from streams.advise.providers.anthropic import Anthropic
from streams.advise.providers.base import (
    TOKENS_OUT_MAX,
    Answer,
    BadReplyError,
    FailedError,
    NoAnswerError,
    Prompt,
    Provider,
    RateLimitedError,
    RefusedError,
    TimedOutError,
)
from streams.advise.providers.http import BODY_BYTES_MAX, retry_after
from streams.advise.providers.keys import KeyFile
from streams.advise.providers.openai import OpenAI
from tests.advise.serving import OPINION, Said, break_off, completion, message, never_stop, said, serving

PROMPT = Prompt(system="You advise.", user="What is to be done? ünïcödé")
KEY = "sk-test-0123456789"
PATIENCE_S = 30.0
"""Far longer than any of these answers takes: only a test of the deadline waits for it."""

Make = Callable[[str, KeyFile | None], Provider]
KINDS: dict[str, tuple[Make, Callable[..., dict[str, Any]]]] = {
    "anthropic": (lambda url, key: Anthropic("claude-opus-5-5", url, key), message),
    "openai": (lambda url, key: OpenAI("gpt-6-sol", f"{url}/v1", key), completion),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """One of the two wire formats."""
    return str(request.param)


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    """Write a key into a file."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return KeyFile(path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for this host that only vouches for itself, and its key."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls")
    certificate, key = path / "certificate.pem", path / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


@asynccontextmanager
async def _provider(kind: str, address: str, key: KeyFile | None = None) -> AsyncIterator[Provider]:
    provider = KINDS[kind][0](address, key)
    try:
        yield provider
    finally:
        await provider.aclose()


async def _ask(kind: str, address: str, key: KeyFile | None = None, deadline_s: float = PATIENCE_S) -> Answer:
    async with _provider(kind, address, key) as provider:
        return await provider.ask(PROMPT, deadline_s)


async def _error(kind: str, *says: Said | Callable[..., None]) -> NoAnswerError:
    with serving(*says) as server, pytest.raises(NoAnswerError) as caught:
        await _ask(kind, server.address)
    assert len(server.asked) == 1
    return caught.value


async def test_an_answer_is_its_text_its_model_and_its_tokens(kind: str) -> None:
    """The text comes as it was written, thoughts left out, with what was billed."""
    with serving(said(KINDS[kind][1]())) as server:
        answer = await _ask(kind, server.address)
    model = {"anthropic": "claude-opus-5-5", "openai": "gpt-6-sol"}[kind]
    assert answer == Answer(text=OPINION, model=model, tokens_in=100, tokens_out=50)


async def test_a_message_is_asked_for_as_anthropic_documents_it(key: KeyFile) -> None:
    """The Messages API gets its version, the key, a limit, the system prompt and one message."""
    with serving(said(message())) as server:
        await _ask("anthropic", server.address, key)
    [(path, headers, body)] = server.asked
    assert path == "/v1/messages"
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2026-10-21")
    assert headers["content-type"] == "application/json"
    assert body == {
        "model": "claude-opus-5-5",
        "max_tokens": TOKENS_OUT_MAX,
        "system": PROMPT.system,
        "messages": [{"role": "user", "content": PROMPT.user}],
    }


async def test_a_completion_is_asked_for_as_openai_documents_it(key: KeyFile) -> None:
    """Chat completions get the key as a bearer token, a limit and two messages."""
    with serving(said(completion())) as server:
        await _ask("openai", server.address, key)
    [(path, headers, body)] = server.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "gpt-6-sol",
        "max_tokens": TOKENS_OUT_MAX,
        "messages": [{"role": "system", "content": PROMPT.system}, {"role": "user", "content": PROMPT.user}],
    }


async def test_a_local_model_needs_no_key(kind: str) -> None:
    """Without a key file no header speaks of a key."""
    with serving(said(KINDS[kind][1]())) as server:
        await _ask(kind, server.address)
    [(_, headers, _)] = server.asked
    assert not {"authorization", "x-api-key"} & set(headers)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://ours.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://localhost:11434/v1", "max_tokens"),
        ("http://notopenai.com/v1", "max_tokens"),
    ],
)
async def test_the_limit_has_the_name_that_the_server_knows(url: str, name: str) -> None:
    """OpenAI refuses the old name for current models; others know no new one."""
    provider = OpenAI("m", url)
    assert provider._limit == name
    await provider.aclose()


async def test_half_of_a_pair_of_surrogates_is_sent_as_a_question_mark(kind: str) -> None:
    """A prompt that is no text can be asked all the same."""
    with serving(said(KINDS[kind][1]())) as server:
        async with _provider(kind, server.address) as provider:
            await provider.ask(Prompt(system="s", user="a\ud800b"), PATIENCE_S)
    assert server.asked[0][2]["messages"][-1]["content"] == "a?b"


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
    error = await _error(kind, said(body, status))
    assert isinstance(error, FailedError)
    assert (error.again, error.down, error.billed) == (again, down, False)
    assert str(status) in str(error)


async def test_the_type_of_an_error_is_told(kind: str) -> None:
    """A person who reads the log learns what the provider calls it."""
    error = await _error(kind, said({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529))
    assert str(error) == "status 529, overloaded_error"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"type":7}}', b"[" * 100_000])
async def test_an_error_without_a_known_body_is_its_status(kind: str, body: bytes) -> None:
    """Gateways answer with pages of their own."""
    assert str(await _error(kind, said(body, 500))) == "status 500"


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
    error = await _error(kind, said({"error": {"type": "rate_limit_error"}}, 429, **headers))
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
    caught = await _error(kind, said({"error": error}, 429))
    assert isinstance(caught, RateLimitedError)
    assert not caught.again


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_server_may_ask_not_to_be_asked_again(kind: str, status: int) -> None:
    """What its own makers' clients go by."""
    assert not (await _error(kind, said({}, status, x_should_retry="false"))).again


@pytest.mark.parametrize("how", ["hang", "hang_half_way"])
async def test_the_deadline_ends_a_question(kind: str, how: str) -> None:
    """A server that says nothing, or stops half way, is given up at the deadline; that it bills is possible."""
    with serving() as server:
        server.says.append(getattr(server, how))
        with pytest.raises(TimedOutError) as caught:
            await _ask(kind, server.address, deadline_s=0.2)
    assert (caught.value.down, caught.value.billed, caught.value.again) == (True, True, False)


async def test_half_an_answer_is_none(kind: str) -> None:
    """A connection that is closed half way failed, may be billed, and may be tried again."""
    error = await _error(kind, break_off)
    assert isinstance(error, FailedError)
    assert (error.again, error.billed) == (True, True)


async def test_nobody_there_is_a_failure_that_costs_nothing(kind: str) -> None:
    """A refused connection may be tried again and bills nothing."""
    with serving() as server:
        pass
    with pytest.raises(FailedError) as caught:
        await _ask(kind, server.address)
    assert (caught.value.again, caught.value.down, caught.value.billed) == (True, True, False)


async def test_a_server_that_proves_nothing_gets_no_key(
    kind: str, key: KeyFile, certificate: tuple[Path, Path]
) -> None:
    """A certificate that nobody vouches for ends it before anything is sent."""
    with serving(said(KINDS[kind][1]()), certificate=certificate) as server:
        with pytest.raises(FailedError, match="not reached"):
            await _ask(kind, server.address, key)
        assert not server.asked


async def test_an_answer_without_end_is_cut_off(kind: str) -> None:
    """A body may be long, not endless."""
    assert isinstance(await _error(kind, never_stop), BadReplyError)


async def test_the_longest_body_is_taken_and_none_longer(kind: str) -> None:
    """The limit is exact, whatever the body holds."""
    body = json.dumps(KINDS[kind][1]()).encode().ljust(BODY_BYTES_MAX)
    with serving(said(body)) as server:
        assert (await _ask(kind, server.address)).text == OPINION
    assert isinstance(await _error(kind, said(body + b" ")), BadReplyError)


async def test_a_packed_answer_is_not_unpacked(kind: str) -> None:
    """No server may make a megabyte of a kilobyte here: packing was not asked for."""
    packed = gzip.compress(json.dumps(KINDS[kind][1]()).encode())
    with serving(said(packed, content_encoding="gzip")) as server:
        with pytest.raises(BadReplyError):
            await _ask(kind, server.address)
        assert server.asked[0][1]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b'{"content":[',
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"content":"text","model":"m","stop_reason":"end_turn"}',
        b'{"choices":"none"}',
        b'{"choices":[{"message":{"content":7}}]}',
        b'{"choices":[{"message":{"content":["a"]}}]}',
        b'{"content":[{"type":"text","text":7}],"model":"m","stop_reason":"end_turn"}',
        b'{"content":[],"model":"m","stop_reason":"end_turn","usage":{"output_tokens":-5}}',
        b'{"choices":[{"message":{"content":"x"}}],"usage":{"completion_tokens":1e300}}',
    ],
)
async def test_what_is_not_of_the_format_is_a_bad_reply(kind: str, body: bytes) -> None:
    """A page, a part, another shape, another type: none is an answer, and the provider counts as down."""
    error = await _error(kind, said(body))
    assert isinstance(error, BadReplyError)
    assert (error.down, error.billed, error.again) == (True, True, False)


@pytest.mark.parametrize(
    "reason", ["max_tokens", "model_context_window_exceeded", "tool_use", "pause_turn", "something_new"]
)
async def test_a_message_that_is_not_whole_is_none(reason: str) -> None:
    """What was cut off could say the opposite of what it would have said."""
    error = await _error("anthropic", said(message(stop_reason=reason)))
    assert isinstance(error, BadReplyError)
    assert (error.tokens_in, error.tokens_out, error.down) == (100, 50, False)


@pytest.mark.parametrize("reason", ["length", "tool_calls", "function_call", "something_new"])
async def test_a_completion_that_is_not_whole_is_none(reason: str) -> None:
    """What was cut off, or calls for a tool, is no answer."""
    error = await _error("openai", said(completion(finish_reason=reason)))
    assert isinstance(error, BadReplyError)
    assert (error.tokens_in, error.tokens_out, error.down) == (100, 50, False)


@pytest.mark.parametrize("choices", [[], [completion()["choices"][0]] * 2])
async def test_other_than_one_choice_is_none(choices: list[Any]) -> None:
    """One is asked for; with two nobody knows which is meant."""
    assert isinstance(await _error("openai", said(completion() | {"choices": choices})), BadReplyError)


async def test_a_completion_without_text_is_none() -> None:
    """A message whose content is null has nothing to say."""
    assert isinstance(await _error("openai", said(completion(text=None))), BadReplyError)


async def test_a_refusal_of_anthropic_is_one() -> None:
    """The stop reason says it; what was written until then is billed and not used."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    error = await _error("anthropic", said(message(stop_reason="refusal", content=[], stop_details=details)))
    assert isinstance(error, RefusedError)
    assert (error.tokens_in, error.tokens_out, error.down, error.again) == (100, 50, False, False)


@pytest.mark.parametrize(
    "body",
    [
        completion(text=None, refusal="I can't help with that."),
        completion(finish_reason="content_filter"),
        completion(text=None, finish_reason="content_filter"),
    ],
)
async def test_a_refusal_of_openai_is_one(body: dict[str, Any]) -> None:
    """A refusal in the message, or a filter behind the model."""
    error = await _error("openai", said(body))
    assert isinstance(error, RefusedError)
    assert (error.billed, error.down) == (True, False)


async def test_a_filter_in_front_of_the_model_refuses() -> None:
    """A request that a filter turns down with 400 is refused, not wrong."""
    error = await _error("openai", said({"error": {"code": "content_filter", "type": None}}, 400))
    assert isinstance(error, RefusedError)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(kind: str, key: KeyFile, status: int) -> None:
    """The key is for this server only."""
    with serving(said(KINDS[kind][1]())) as other:
        with serving(said(b"", status, location=f"{other.address}/elsewhere")) as server:
            with pytest.raises(FailedError, match="redirects are not followed") as caught:
                await _ask(kind, server.address, key)
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
        await _ask(kind, server.address, key)
    chain: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert KEY not in caplog.text + "".join(f"{error!s} {error!r}" for error in chain)


async def test_a_new_key_needs_no_restart(kind: str, tmp_path: Path) -> None:
    """The file is read for each request."""
    path = tmp_path / "key"
    path.write_text("first-key-1")
    with serving(said(KINDS[kind][1]())) as server:
        async with _provider(kind, server.address, KeyFile(path)) as provider:
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
            await _ask(kind, server.address, KeyFile(path))
        assert not server.asked
    assert caught.value.down
    assert not content or content.decode("ascii", "replace") not in str(caught.value)
