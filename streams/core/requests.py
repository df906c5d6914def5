"""What people ask for, beside configuration and the kill switch: answers to escalations, mutes, tasks, healing."""

from __future__ import annotations

from typing import Final

from streams.core.base import Event

STEPS: Final = ("acknowledged", "assigned", "noted", "resolved")
"""Seen by somebody; somebody's to do; something was written down; done."""
BY_HAND: Final = "manual"
METHODS: Final = (BY_HAND, "false_alarm", "wont_fix", "external")
"""How an escalation is resolved, beside by an action of the catalogue: by hand, nothing was wrong, it stays as it is,
somebody else's system did it."""
ROLES: Final = ("architect", "coder", "critic", "deployer", "executor")
"""Of the workers of a pool."""
MUTE_KINDS: Final = ("silence", "maintenance")
"""Nobody is told; nothing is acted on either."""


class EscalationAnswered(Event, frozen=True):
    """A person's step on what was escalated: ``step`` is one of ``STEPS``.

    ``escalation_id`` is the id of the decision ``escalated``. ``assignee`` is given with assigned. ``method`` is given
    with resolved: one of ``METHODS``, or the id of the catalogue's action that was done.
    """

    escalation_id: str
    step: str
    assignee: str
    method: str
    author: str
    reason: str


class MuteSet(Event, frozen=True):
    """Between two times of the broker's clock, people want to hear less: ``kind`` is one of ``MUTE_KINDS``.

    ``service`` and ``pattern`` may end in ``*`` and then stand for all that begin so; empty they stand for all.
    """

    kind: str
    service: str
    pattern: str
    begin_ms: int
    end_ms: int
    author: str
    reason: str


class MuteLifted(Event, frozen=True):
    """A mute ends before its time; ``mute_id`` is the id of the decision ``mute_set``."""

    mute_id: str
    author: str
    reason: str


class TaskSubmitted(Event, frozen=True):
    """A person gives the pool something to do; ``task_id`` is the person's to choose (a UUID), and taken once.

    Without an ``action`` it only proves that a worker of the ``role`` answers. With one it is done on the ``service``,
    and all guardrails apply. ``host`` is whose pool it is for; empty: the service's, or any that is known. What it is
    in words is evidence with the coordinate of this event.
    """

    task_id: str
    role: str
    action: str
    service: str
    description_sha256: str
    author: str
    host: str = ""


class HealRequested(Event, frozen=True):
    """Every pool is to replace those of its workers that are dead or hung now."""

    author: str
    reason: str


Request = EscalationAnswered | MuteSet | MuteLifted | TaskSubmitted | HealRequested
