"""What providers are asked and what they say, in the wire formats of Anthropic and OpenAI."""

from __future__ import annotations

from typing import Any

import pytest

from streams.advise.providers.base import TOKENS_OUT_MAX, Answer, BadReplyError, Prompt, RefusedError
from streams.advise.providers.keys import KeyFile
from streams.advise.providers.openai import OpenAI
from tests.advise.asked import KEY, KINDS, PATIENCE_S, PROMPT, ask, error_of, providing
from tests.advise.serving import OPINION, completion, message, said, serving


async def test_an_answer_is_its_text_its_model_and_its_tokens(kind: str) -> None:
    """The text comes as it was written, thoughts left out, with what was billed."""
    with serving(said(KINDS[kind][1]())) as server:
        answer = await ask(kind, server.address)
    model = {"anthropic": "claude-opus-5-5", "openai": "gpt-6-sol"}[kind]
    assert answer == Answer(text=OPINION, model=model, tokens_in=100, tokens_out=50)


async def test_a_message_is_asked_for_as_anthropic_documents_it(key: KeyFile) -> None:
    """The Messages API gets its version, the key, a limit, the system prompt and one message."""
    with serving(said(message())) as server:
        await ask("anthropic", server.address, key)
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
        await ask("openai", server.address, key)
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
        await ask(kind, server.address)
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
        async with providing(kind, server.address) as provider:
            await provider.ask(Prompt(system="s", user="a\ud800b"), PATIENCE_S)
    assert server.asked[0][2]["messages"][-1]["content"] == "a?b"


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
    error = await error_of(kind, said(body))
    assert isinstance(error, BadReplyError)
    assert (error.down, error.billed, error.again) == (True, True, False)


@pytest.mark.parametrize(
    "reason", ["max_tokens", "model_context_window_exceeded", "tool_use", "pause_turn", "something_new"]
)
async def test_a_message_that_is_not_whole_is_none(reason: str) -> None:
    """What was cut off could say the opposite of what it would have said."""
    error = await error_of("anthropic", said(message(stop_reason=reason)))
    assert isinstance(error, BadReplyError)
    assert (error.tokens_in, error.tokens_out, error.down) == (100, 50, False)


@pytest.mark.parametrize("reason", ["length", "tool_calls", "function_call", "something_new"])
async def test_a_completion_that_is_not_whole_is_none(reason: str) -> None:
    """What was cut off, or calls for a tool, is no answer."""
    error = await error_of("openai", said(completion(finish_reason=reason)))
    assert isinstance(error, BadReplyError)
    assert (error.tokens_in, error.tokens_out, error.down) == (100, 50, False)


@pytest.mark.parametrize("choices", [[], [completion()["choices"][0]] * 2])
async def test_other_than_one_choice_is_none(choices: list[Any]) -> None:
    """One is asked for; with two nobody knows which is meant."""
    assert isinstance(await error_of("openai", said(completion() | {"choices": choices})), BadReplyError)


async def test_a_completion_without_text_is_none() -> None:
    """A message whose content is null has nothing to say."""
    assert isinstance(await error_of("openai", said(completion(text=None))), BadReplyError)


async def test_a_refusal_of_anthropic_is_one() -> None:
    """The stop reason says it; what was written until then is billed and not used."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    error = await error_of("anthropic", said(message(stop_reason="refusal", content=[], stop_details=details)))
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
    error = await error_of("openai", said(body))
    assert isinstance(error, RefusedError)
    assert (error.billed, error.down) == (True, False)


async def test_a_filter_in_front_of_the_model_refuses() -> None:
    """A request that a filter turns down with 400 is refused, not wrong."""
    error = await error_of("openai", said({"error": {"code": "content_filter", "type": None}}, 400))
    assert isinstance(error, RefusedError)
