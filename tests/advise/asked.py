"""Both providers that are reached by HTTP, and one question to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streams.advise.providers.anthropic import Anthropic
from streams.advise.providers.base import Answer, NoAnswerError, Prompt, Provider
from streams.advise.providers.keys import KeyFile
from streams.advise.providers.openai import OpenAI
from tests.advise.serving import Said, completion, message, serving

PROMPT = Prompt(system="You advise.", user="What is to be done? ünïcödé")
KEY = "sk-test-0123456789"
PATIENCE_S = 90.0
"""Far longer than any of these answers takes: only a test of the deadline waits for it."""

Make = Callable[[str, KeyFile | None], Provider]
KINDS: dict[str, tuple[Make, Callable[..., dict[str, Any]]]] = {
    "anthropic": (lambda url, key: Anthropic("claude-opus-5-5", url, key), message),
    "openai": (lambda url, key: OpenAI("gpt-6-sol", f"{url}/v1", key), completion),
}


@asynccontextmanager
async def providing(kind: str, address: str, key: KeyFile | None = None) -> AsyncIterator[Provider]:
    """Make a provider of a kind, and let it go."""
    provider = KINDS[kind][0](address, key)
    try:
        yield provider
    finally:
        await provider.aclose()


async def ask(kind: str, address: str, key: KeyFile | None = None, deadline_s: float = PATIENCE_S) -> Answer:
    """Ask once."""
    async with providing(kind, address, key) as provider:
        return await provider.ask(PROMPT, deadline_s)


async def error_of(kind: str, *says: Said | Callable[..., None]) -> NoAnswerError:
    """Return why a server that says so gives no answer; it is asked once."""
    with serving(*says) as server, pytest.raises(NoAnswerError) as caught:
        await ask(kind, server.address)
    assert len(server.asked) == 1
    return caught.value
