"""An answer of the decision service: from memory, else by the model in time, else by the rules.

The rules answer first, which takes a millisecond: what they could recommend is all that a model may choose among, and
their answer stands when it doesn't. So a model's answer differs from theirs in the choice, never in what can be chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from streams import telemetry
from streams.advise.answers import Allowed, BadAnswer, read_answer
from streams.advise.asking import Asker
from streams.advise.cache import Cache
from streams.advise.fence import fence
from streams.advise.providers.base import NoAnswerError, Prompt
from streams.advise.questions import Alternative, Decided, Health, Question
from streams.advise.rules import by_rules
from streams.catalogue.advisors import advisors

REASON_CHARACTERS_MAX: Final = 500
MARGIN_S: Final = 0.02
"""What is left of a deadline for everything but the model."""


class Decider:
    """Answers the six questions. ``asker`` None: by rules only."""

    def __init__(self, asker: Asker | None, redact: Callable[[str], str]) -> None:
        self._asker = asker
        self._redact = redact
        self._cache: Cache[Decided] = Cache()

    @property
    def health(self) -> Health:
        """How the service stands."""
        if self._asker is None:
            return Health(provider="rules", model="", model_available=False)
        provider = self._asker.provider
        return Health(provider=provider.name, model=provider.model, model_available=self._asker.present)

    async def decide(self, question: Question) -> Decided:
        """Answer within the question's deadline. Raises ``InputError`` for a question that makes no sense."""
        key = _key(question)
        if (known := self._cache.get(key)) is not None:
            telemetry.answered(question.decision, "cache")
            return known.model_copy(update={"source": "cache"})
        ruled = by_rules(question)
        by_model = await self._by_model(question, ruled)
        answer = by_model or ruled
        if by_model is not None or self._asker is None:
            self._cache.put(key, answer)
        telemetry.answered(question.decision, answer.source)
        return answer

    async def _by_model(self, question: Question, ruled: Decided) -> Decided | None:
        """Return the model's choice; None when it makes none in time."""
        if self._asker is None:
            return None
        choices = {ruled.recommendation: ruled.confidence}
        choices |= {one.recommendation: one.confidence for one in ruled.alternatives}
        deadline_s = question.deadline_ms / 1_000 - MARGIN_S
        try:
            answered = await self._asker.ask(_prompt(question, ruled, choices), deadline_s)
        except NoAnswerError as error:
            telemetry.handled("decide", f"{question.decision}: {error.code}: {error}")
            return None
        read = read_answer(answered.answer.text, Allowed(actions=frozenset(choices)))
        if isinstance(read, BadAnswer):
            telemetry.handled("decide", f"{question.decision}: {read.code}: {read.reason}")
            return None
        if not read.action:
            return None
        return ruled.model_copy(
            update={
                "recommendation": read.action,
                "confidence": read.confidence,
                "reason": self._redact(read.rationale)[:REASON_CHARACTERS_MAX],
                "source": "model",
                "alternatives": [
                    Alternative(recommendation=one, confidence=sure)
                    for one, sure in choices.items()
                    if one != read.action
                ],
            }
        )


def _key(question: Question) -> str:
    """Return the hash of what is asked; how long the asker waits is no part of it."""
    return hashlib.sha256(question.model_dump_json(exclude={"deadline_ms"}).encode()).hexdigest()


def _prompt(question: Question, ruled: Decided, choices: dict[str, float]) -> Prompt:
    """Return the question, and what the rules make of it, inside a fence."""
    fenced = fence(
        {
            "question": question.model_dump(exclude={"deadline_ms"}),
            "rules": {"recommendation": ruled.recommendation, "reason": ruled.reason, "figures": ruled.figures},
            "choices": choices,
        }
    )
    system = f"{(question.__doc__ or '').strip()}\n\n{advisors().service.strip()}\n\nThe fence is {fenced.token}."
    return Prompt(system=system, user=fenced.text)
