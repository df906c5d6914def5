"""What people ask for, in a few words."""

from __future__ import annotations

from typing import Any

from streams.core.events import Decision
from streams.core.requests import EscalationAnswered, MuteLifted, MuteSet, TaskSubmitted
from tests.core.world import World


def answer(world: World, escalation_id: str, step: str, **fields: str) -> list[Decision]:
    """Take a step on an escalation."""
    values = {"assignee": "", "method": "", "author": "ada", "reason": "", **fields}
    return world.say(EscalationAnswered(escalation_id=escalation_id, step=step, **values))


def mute(world: World, kind: str = "silence", *, seconds: int = 600, **fields: Any) -> list[Decision]:
    """Set a mute from now on."""
    values: dict[str, Any] = {
        "service": "",
        "pattern": "",
        "begin_ms": world.ms,
        "end_ms": world.ms + seconds * 1000,
        "author": "ada",
        "reason": "",
    }
    return world.say(MuteSet(kind=kind, **{**values, **fields}))


def lift(world: World, mute_id: str) -> list[Decision]:
    """End a mute."""
    return world.say(MuteLifted(mute_id=mute_id, author="ada", reason=""))


def task(world: World, task_id: str = "t1", **fields: str) -> list[Decision]:
    """Submit a task."""
    values = {"role": "critic", "action": "", "service": "", "description_sha256": "", "author": "ada", **fields}
    return world.say(TaskSubmitted(task_id=task_id, **values))
