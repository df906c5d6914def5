"""Incidents that advisors are asked about: one healed by what one of them says, one on which three do not agree."""

from __future__ import annotations

from typing import Any

from streams.core.advice import ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.beside import Evidence
from streams.core.config import Policy
from streams.core.events import Message
from tests.analytics.history import History
from tests.analytics.struggle import apply

QUICK = Policy(coordination=False, cooldown_ms=0, exploration_rate=0.0, blast_radius_share=1.0)
RATIONALE = "the port was free again, so a start is enough"


def consult(history: History, healed: str = "shop", escalated: str = "cart") -> None:
    """Let two services break in ways that the quick fix does not help against, with three advisors there."""
    apply(history, QUICK)
    report(history)
    fail(history, healed)
    opine(history, "root_cause", "process.start", 0.8, rationale=RATIONALE, suspect=healed, cause="port_conflict")
    history.outcome(history.commands[-1])
    opine(history, "proven_fix", "process.start", 0.7)
    history.calm(healed, 200)
    report(history)
    fail(history, escalated)
    opine(history, "root_cause", "process.restart", 0.3)
    opine(history, "proven_fix", "process.restart", 0.9, suspect=escalated, cause="configuration_error")
    opine(history, "unusual_causes", "", 0.0, code="budget", source="none")
    opine(history, "root_cause", "process.start", 0.9, suspect=healed, cause="database_lock")


def report(history: History) -> None:
    """Say that all three advisors would answer now."""
    say(history, AdvisorsReported(host="h1", provider="recorded", model="m", advisors=ADVISORS, at_ms=history.now_ms))


def fail(history: History, service: str) -> None:
    """Break a service, and let the first attempt on it fail."""
    history.see(service, "process_crash")
    history.outcome(history.commands[-1], ok=False)


def opine(
    history: History, advisor: str, action: str, confidence: float, *, rationale: str = "", **fields: Any
) -> None:
    """Append an opinion on the newest question, and its rationale if it has one."""
    question = next(one for one in reversed(history.decisions) if one.kind == "advice_asked")
    values: dict[str, Any] = {
        "question_id": question.id,
        "advisor": advisor,
        "provider": "recorded",
        "model": "m",
        "source": "model",
        "action": action,
        "suspect": "",
        "cause": "",
        "confidence": confidence,
        "code": "",
        "asked_ms": history.now_ms - 2_500,
        "latency_ms": 2_000,
        "tokens_in": 800,
        "tokens_out": 200,
        "cost_microusd": 5_000,
        "answer_sha256": "",
    }
    say(history, OpinionGiven(**{**values, **fields}), rationale)


def say(history: History, event: AdvisorsReported | OpinionGiven, rationale: str = "") -> None:
    """Append a slice of the advisors' inbox with one message, and its text before it."""
    topic = history.topics.inbox_advice
    offset = history.next_offset(topic)
    if rationale:
        text = Evidence(
            topic=topic,
            partition=0,
            offset=offset,
            index=0,
            service="",
            pattern="",
            severity="",
            at_ms=history.now_ms,
            text=rationale,
        )
        history.put(history.topics.evidence, text)
    message = Message(offset=offset, append_ms=history.now_ms - 3, event=event)
    history.fact(history.slice_of(topic, messages=(message,)))
