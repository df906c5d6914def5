"""What is asked of a model, what it answers, and the ways in which it doesn't.

    answer = await provider.ask(Prompt(system=brief, user=question), deadline_s=20.0)

A provider gives the model's text as it is; ``streams.advise.answers`` decides whether it is an opinion. It offers no
tools, keeps nothing between two questions, and says nothing of its key.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final, Protocol

from msgspec import Struct

TOKENS_OUT_MAX: Final = 4_096
"""What a model may write for one answer, its own thoughts included: an opinion is 200 tokens."""


class Prompt(Struct, frozen=True, kw_only=True):
    """One question: ``system`` says what is wanted (ours alone), ``user`` holds the case inside its fence."""

    system: str
    user: str

    @property
    def sha256(self) -> str:
        """The hash that a recorded answer is found by: of the two texts in UTF-8, with a zero byte between them."""
        whole = f"{self.system}\0{self.user}"
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Bytes of both texts: no tokenizer makes more tokens of them."""
        return len(f"{self.system}{self.user}".encode("utf-8", "surrogatepass"))


class Answer(Struct, frozen=True, kw_only=True):
    """What a model wrote. ``tokens_*`` are as billed, 0 where nobody counts; ``model`` is what it calls itself."""

    text: str
    model: str
    tokens_in: int = 0
    tokens_out: int = 0


class NoAnswerError(Exception):
    """No answer. ``code`` is the one of an opinion that abstains; the message is one line and holds no key.

    ``again`` tells whether the same question may be answered a moment later, ``down`` whether the provider is at fault,
    so that other questions needn't be tried. ``billed`` tells whether it may cost money all the same: what the tokens
    say, and where they are 0 nobody knows. ``cost_microusd`` (millionths of a dollar) is reckoned by who asked.
    """

    code: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str,
        *,
        again: bool = False,
        down: bool = False,
        billed: bool = False,
        tokens_in: int = 0,
        tokens_out: int = 0,
    ) -> None:
        super().__init__(message)
        self.again = again
        self.down = down
        self.billed = billed
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self.cost_microusd = 0


class TimedOutError(NoAnswerError):
    """The deadline passed."""

    code = "timed_out"


class RateLimitedError(NoAnswerError):
    """Too much was asked of the provider. ``retry_after_s`` is how long it wants to be left alone, None unsaid."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: float | None = None, again: bool = True) -> None:
        super().__init__(message, again=again)
        self.retry_after_s = retry_after_s


class RefusedError(NoAnswerError):
    """The model, or a filter in front of it, declined to answer."""

    code = "refused"


class FailedError(NoAnswerError):
    """The provider could not be reached, turned the request down, or failed."""

    code = "failed"


class BadReplyError(NoAnswerError):
    """What came back was not of the provider's own format, too long, or cut off."""

    code = "bad_answer"


class NoProviderError(NoAnswerError):
    """Nobody is there to answer, or nothing is recorded for this question."""

    code = "no_provider"


class Provider(Protocol):
    """Something that answers a prompt."""

    @property
    def name(self) -> str:
        """One of command, anthropic, openai, recorded."""

    @property
    def model(self) -> str:
        """The model that is asked for."""

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
        """Answer within ``deadline_s`` seconds from now. Raises ``NoAnswerError``, and nothing else."""

    async def aclose(self) -> None:
        """Let go of connections and processes."""
