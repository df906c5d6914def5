"""People in a history: they answer escalations, set mutes and give tasks."""

from __future__ import annotations

from streams.core.beside import Evidence
from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied, Decision
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


def begun() -> History:
    """Return a history in which a phase has one attempt and nothing is explored."""
    history = History()
    history.begin()
    policy = Policy(
        coordination=False, cooldown_ms=2_000, exploration_rate=0.0, blast_radius_share=1.0, breaker_failures=100
    )
    body = canonical(policy)
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
    return history


def give_up(history: History, service: str) -> Decision:
    """Break a service so that no attempt helps; return the escalation."""
    history.see(service, "process_crash")
    for _ in range(3):
        history.outcome(history.commands[-1], ok=False)
        history.calm(service, 30)
    return escalated(history)


def lived() -> History:
    """Return a history: one incident healed, one given to a person who fixes it, one to a person who has not yet."""
    history = begun()
    history.heal("shop")
    first = give_up(history, "cart")
    answer(history, first, "acknowledged")
    answer(history, first, "assigned", assignee="bob")
    answer(history, first, "noted", reason="the disk is fine")
    answer(history, first, "resolved", method="process.restart", reason="by hand", author="bob")
    history.calm("cart", 200)
    give_up(history, "mail")
    return history
