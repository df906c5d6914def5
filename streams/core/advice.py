"""What advisors say, in their inbox: who would answer now, and the opinion of one of them on one question."""

from __future__ import annotations

from typing import Final

from streams.core.base import Event

PROVEN_FIX, UNUSUAL_CAUSES, ROOT_CAUSE = "proven_fix", "unusual_causes", "root_cause"
ADVISORS: Final = (PROVEN_FIX, UNUSUAL_CAUSES, ROOT_CAUSE)
"""The three briefs (SPEC H3): what has helped before, what is rarely thought of, what all symptoms come from."""
OPINION_SOURCES: Final = ("model", "research", "cache", "none")
ABSTENTIONS: Final = (
    "no_provider",
    "timed_out",
    "budget",
    "breaker_open",
    "bad_answer",
    "not_allowed",
    "refused",
    "rate_limited",
    "failed",
)
"""Why an advisor has no opinion."""


class AdvisorsReported(Event, frozen=True):
    """Which of ``ADVISORS`` would answer a question now; none in ``advisors``: nobody.

    Said at start, on every change and once a minute by the process that asks ``model`` of ``provider``.
    """

    host: str
    provider: str
    model: str
    advisors: tuple[str, ...]
    at_ms: int


class OpinionGiven(Event, frozen=True):
    """What one of ``ADVISORS`` makes of the question that the decision ``question_id`` asked.

    ``action`` is the id of one of the question's options, ``""``: it abstains, and ``code`` is one of ``ABSTENTIONS``.
    ``suspect`` is the service that it holds for the origin, ``cause`` the pattern; both ``""`` while unknown.
    ``confidence`` is what it states, 0..1. ``source`` is one of ``OPINION_SOURCES``. ``asked_ms`` is the host's clock
    less its skew, ``latency_ms`` how long the answer took, ``cost_microusd`` its price in millionths of a US dollar.
    ``answer_sha256`` is the hash of what the model answered. Its rationale is evidence, not part of this: the fold
    never reads free text.
    """

    question_id: str
    advisor: str
    provider: str
    model: str
    source: str
    action: str
    suspect: str
    cause: str
    confidence: float
    code: str
    asked_ms: int
    latency_ms: int
    tokens_in: int
    tokens_out: int
    cost_microusd: int
    answer_sha256: str


AdviceEvent = AdvisorsReported | OpinionGiven
