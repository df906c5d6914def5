"""Answers from a file, found by the hash of the prompt: to try things out without a model, and for tests.

A file has one JSON object a line: ``{"prompt_sha256": "...", "text": "...", "model": "...", "tokens_in": 0,
"tokens_out": 0}``; the last three may be left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from streams.advise.providers.base import Answer, NoProviderError, Prompt
from streams.core.errors import InputError

FILE_BYTES_MAX: Final = 16 * 1024 * 1024


class _Recorded(Struct, forbid_unknown_fields=True):
    prompt_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    text: str
    model: str = "recorded"
    tokens_in: Annotated[int, Meta(ge=0)] = 0
    tokens_out: Annotated[int, Meta(ge=0)] = 0


class Recorded:
    """The answers of a file. Raises ``InputError`` when it can't be read, or a line is wrong or there twice."""

    name = "recorded"
    model = "recorded"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers = _read(path)

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:  # noqa: ARG002 - all providers are asked alike
        """Answer at once. Raises ``NoProviderError`` with the prompt's hash when nothing is recorded for it."""
        if (found := self._answers.get(prompt.sha256)) is None:
            raise NoProviderError(f"{self._path} holds no answer to the prompt {prompt.sha256}")
        return Answer(text=found.text, model=found.model, tokens_in=found.tokens_in, tokens_out=found.tokens_out)

    async def aclose(self) -> None:
        """Nothing is open."""


def _read(path: Path) -> dict[str, _Recorded]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InputError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    answers: dict[str, _Recorded] = {}
    for number, line in enumerate(lines, 1):
        try:
            found = msgspec.json.decode(line, type=_Recorded)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InputError(f"{path}, line {number}: not a recorded answer: {error}") from error
        if answers.setdefault(found.prompt_sha256, found) is not found:
            raise InputError(f"{path}, line {number}: this prompt is answered twice")
    return answers
