"""Anthropic's Messages API, and what speaks it.

Sources: Claude API reference, "Create a Message", "Errors", "Stop reasons and fallback", "Migrating to API version
2026-10-21" (read on 2026-11-22). Not sent: ``temperature``, which this version refuses, and ``thinking``, of which some
models refuse what others need.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from streams.advise.providers import http
from streams.advise.providers.base import TOKENS_OUT_MAX, Answer, BadReplyError, FailedError, Prompt, RefusedError
from streams.advise.providers.keys import KeyFile
from streams.core.errors import InputError

URL: Final = "https://api.anthropic.com"
VERSION: Final = "2026-10-21"
WHOLE: Final = frozenset({"end_turn", "stop_sequence"})

Count = Annotated[int, Meta(ge=0, le=100_000_000)]


class _Block(Struct):
    type: str
    text: str = ""


class _Usage(Struct):
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None


class _Message(Struct):
    content: list[_Block]
    model: str
    stop_reason: str | None
    usage: _Usage = msgspec.field(default_factory=_Usage)


class Anthropic:
    """A model behind the Messages API. ``url`` is the address before ``/v1/messages``, ``""`` Anthropic's own."""

    name = "anthropic"

    def __init__(self, model: str, url: str = "", key: KeyFile | None = None) -> None:
        self.model = model
        self._url = f"{(url or URL).rstrip('/')}/v1/messages"
        self._key = key
        self._http = http.client()

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
        """Answer within ``deadline_s`` seconds from now. Raises ``NoAnswerError``, and nothing else."""
        body = {
            "model": self.model,
            "max_tokens": TOKENS_OUT_MAX,
            "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
        }
        message = await http.post(self._http, self._url, self._headers(), body, deadline_s, _Message)
        return _answer(message)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _headers(self) -> dict[str, str]:
        if self._key is None:
            return {"anthropic-version": VERSION}
        try:
            return {"anthropic-version": VERSION, "x-api-key": self._key.read()}
        except InputError as error:
            raise FailedError(str(error), down=True) from error


def _answer(message: _Message) -> Answer:
    """Return the text of a whole message; thoughts and blocks of other kinds are left out."""
    usage = message.usage
    tokens_in = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    tokens_out = usage.output_tokens
    if message.stop_reason == "refusal":
        raise RefusedError("the model declined", billed=True, tokens_in=tokens_in, tokens_out=tokens_out)
    if message.stop_reason not in WHOLE:
        raise BadReplyError("the answer is not whole", billed=True, tokens_in=tokens_in, tokens_out=tokens_out)
    text = "".join(block.text for block in message.content if block.type == "text")
    return Answer(text=text, model=message.model, tokens_in=tokens_in, tokens_out=tokens_out)
