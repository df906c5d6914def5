"""One advisor's answer to one question: by research where that is sure enough, else by the model, else none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from streams import telemetry
from streams.advise.answers import BadAnswer, Opinion, read_answer
from streams.advise.asking import Answered, Asker
from streams.advise.brief import ask
from streams.advise.dossier import Dossier
from streams.advise.providers.base import NoAnswerError
from streams.advise.research import conclude
from streams.catalogue.advisors import Advisor
from streams.core.advice import OpinionGiven

RATIONALE_CHARACTERS_MAX: Final = 2_000
NOTHING: Final = Opinion(action="", suspect="", cause="", confidence=0.0, rationale="")
Bill = Mapping[str, int | str]
NO_BILL: Final[Bill] = {"latency_ms": 0, "tokens_in": 0, "tokens_out": 0, "cost_microusd": 0, "answer_sha256": ""}

Redact = Callable[[str], str]


class Said(Struct, frozen=True, kw_only=True):
    """An opinion as it is recorded, and its rationale: redacted, at most ``RATIONALE_CHARACTERS_MAX`` characters."""

    opinion: OpinionGiven
    rationale: str


class Desk:
    """Answers in the names of the advisors. ``sure_from`` (0..1): so sure, research needs no model."""

    def __init__(self, asker: Asker, sure_from: float, redact: Redact) -> None:
        self._asker = asker
        self._sure_from = sure_from
        self._redact = redact

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._asker.provider.name

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return self._asker.provider.model

    async def opinion(self, advisor: Advisor, dossier: Dossier, asked_ms: int, deadline_s: float) -> Said:
        """Return an advisor's opinion within about ``deadline_s`` seconds; it abstains where there is none.

        ``asked_ms`` is when it was asked, by the broker's clock.
        """
        begun = time.monotonic()
        found = conclude(advisor, dossier).opinion
        if found.action and found.confidence >= self._sure_from:
            said = self._said(advisor, dossier, asked_ms, found, "research", "", {})
        else:
            said = await self._by_model(advisor, dossier, asked_ms, deadline_s)
        given = said.opinion
        telemetry.opinion_given(given.advisor, given.source, given.code, time.monotonic() - begun)
        return said

    def failed(self, advisor: Advisor, dossier: Dossier, asked_ms: int) -> Said:
        """Return the abstention of an advisor at whose question something of ours failed."""
        return self._said(advisor, dossier, asked_ms, NOTHING, "none", "failed", {})

    async def _by_model(self, advisor: Advisor, dossier: Dossier, asked_ms: int, deadline_s: float) -> Said:
        if not dossier.options:
            return self._said(advisor, dossier, asked_ms, NOTHING, "research", "", {})
        question = ask(advisor, dossier)
        begun = time.monotonic()
        try:
            answered = await self._asker.ask(question.prompt, deadline_s)
        except NoAnswerError as error:
            telemetry.handled("advise", f"{error.code}: {error}")
            bill: Bill = {
                "latency_ms": round((time.monotonic() - begun) * 1_000),
                "tokens_in": error.tokens_in,
                "tokens_out": error.tokens_out,
                "cost_microusd": error.cost_microusd,
            }
            return self._said(advisor, dossier, asked_ms, NOTHING, "none", error.code, bill)
        read = read_answer(answered.answer.text, question.allowed)
        if isinstance(read, BadAnswer):
            telemetry.handled("advise", f"{read.code}: {read.reason}")
            return self._said(advisor, dossier, asked_ms, NOTHING, "none", read.code, _bill(answered))
        source = "cache" if answered.cached else "model"
        return self._said(advisor, dossier, asked_ms, read, source, "", _bill(answered))

    def _said(
        self,
        advisor: Advisor,
        dossier: Dossier,
        asked_ms: int,
        opinion: Opinion,
        source: str,
        code: str,
        bill: Bill,
    ) -> Said:
        given = {
            "question_id": dossier.question.id,
            "advisor": advisor.id,
            "provider": self.provider,
            "model": self.model,
            "source": source,
            "action": opinion.action,
            "suspect": opinion.suspect,
            "cause": opinion.cause,
            "confidence": opinion.confidence,
            "code": code,
            "asked_ms": asked_ms,
        }
        rationale = self._redact(opinion.rationale)[:RATIONALE_CHARACTERS_MAX]
        return Said(opinion=msgspec.convert({**given, **NO_BILL, **bill}, OpinionGiven), rationale=rationale)


def _bill(answered: Answered) -> Bill:
    """Return what an answer took; one from memory took nothing."""
    answer = answered.answer
    return {
        "latency_ms": answered.latency_ms,
        "tokens_in": 0 if answered.cached else answer.tokens_in,
        "tokens_out": 0 if answered.cached else answer.tokens_out,
        "cost_microusd": answered.cost_microusd,
        "answer_sha256": hashlib.sha256(answer.text.encode("utf-8", "surrogatepass")).hexdigest(),
    }
