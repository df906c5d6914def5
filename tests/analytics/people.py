"""People in a history: they answer escalations, set mutes and give tasks."""

from __future__ import annotations

from streams.core.beside import Evidence
from streams.core.events import Decision
from streams.core.requests import EscalationAnswered, MuteSet, TaskSubmitted
from tests.analytics.history import History


def escalated(history: History) -> Decision:
    """Return the newest escalation."""
    return next(one for one in reversed(history.decisions) if one.kind == "escalated")


def answer(history: History, escalation: Decision, step: str, **fields: str) -> None:
    """Take a step on an escalation."""
    values = {"assignee": "", "method": "", "author": "ann", "reason": "", **fields}
    history.say(EscalationAnswered(escalation_id=escalation.id, step=step, **values))


def give(history: History, task_id: str, role: str = "critic", text: str = "") -> None:
    """Submit a task and what it is in words."""
    end = history._ends.get(history.topics.inbox_people, 0)
    event = Evidence(
        topic=history.topics.inbox_people,
        partition=0,
        offset=end,
        index=0,
        service="",
        pattern="",
        severity="",
        at_ms=history.now_ms,
        text=text,
    )
    history.put(history.topics.evidence, event)
    said = TaskSubmitted(task_id=task_id, role=role, action="", service="", description_sha256="", author="ann")
    history.say(said)


def take_part(history: History) -> None:
    """Mute everything for a minute, and give a task to a pool that was heard of."""
    times = {"begin_ms": history.now_ms, "end_ms": history.now_ms + 60_000}
    history.say(MuteSet(kind="silence", service="", pattern="", author="ann", reason="", **times))
    give(history, "3f2b8c1e-0000-4000-8000-000000000001", text="are you there")
