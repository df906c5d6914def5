"""OpenAI's chat completions, which Ollama, vLLM, LM Studio, llama.cpp and many gateways speak too.

Sources: OpenAI API reference, "Create chat completion" and "Error codes"; Ollama, "OpenAI compatibility" (read on
2026-11-22). Not sent: ``temperature`` (current models refuse it), ``response_format`` (LM Studio refuses what OpenAI
calls ``json_object``): an answer is judged by what it is.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from streams.advise.providers import http
from streams.advise.providers.base import TOKENS_OUT_MAX, Answer, BadReplyError, FailedError, Prompt, RefusedError
from streams.advise.providers.keys import KeyFile
from streams.core.errors import InputError

URL: Final = "https://api.openai.com/v1"
COMPLETION_TOKENS: Final = (".openai.com", ".azure.com")
"""Hosts that refuse ``max_tokens`` for current models. Ollama knows no other name, and would write without end."""

Count = Annotated[int, Meta(ge=0, le=100_000_000)]


class _Written(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    message: _Written
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Completion(Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


class OpenAI:
    """A model behind chat completions. ``url`` is the address before ``/chat/completions``, ``""`` OpenAI's own."""

    name = "openai"

    def __init__(self, model: str, url: str = "", key: KeyFile | None = None) -> None:
        self.model = model
        self._url = f"{(url or URL).rstrip('/')}/chat/completions"
        self._key = key
        self._http = http.client()
        host = urlsplit(self._url).hostname or ""
        self._limit = "max_completion_tokens" if host.endswith(COMPLETION_TOKENS) else "max_tokens"

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
        """Answer within ``deadline_s`` seconds from now. Raises ``NoAnswerError``, and nothing else."""
        body = {
            "model": self.model,
            self._limit: TOKENS_OUT_MAX,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        }
        completion = await http.post(self._http, self._url, self._headers(), body, deadline_s, _Completion)
        return _answer(completion, self.model)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _headers(self) -> dict[str, str]:
        if self._key is None:
            return {}
        try:
            return {"authorization": f"Bearer {self._key.read()}"}
        except InputError as error:
            raise FailedError(str(error), down=True) from error


def _answer(completion: _Completion, asked: str) -> Answer:
    """Return the text of the one choice, if it is whole."""
    usage = completion.usage or _Usage()
    tokens_in, tokens_out = usage.prompt_tokens, usage.completion_tokens
    if len(completion.choices) != 1:
        raise BadReplyError("not one choice", down=True, billed=True, tokens_in=tokens_in, tokens_out=tokens_out)
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise RefusedError("the model declined", billed=True, tokens_in=tokens_in, tokens_out=tokens_out)
    if choice.finish_reason not in {"stop", None} or choice.message.content is None:
        raise BadReplyError("the answer is not whole", billed=True, tokens_in=tokens_in, tokens_out=tokens_out)
    return Answer(
        text=choice.message.content, model=completion.model or asked, tokens_in=tokens_in, tokens_out=tokens_out
    )
