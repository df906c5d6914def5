"""What people can do here: approve, answer an escalation, mute, halt, heal, give the pool something to do.

Each says an event in the inbox for people and returns what was decided on it, once that shows in the model; when that
takes too long, what was said is recorded all the same, and ``in_force`` is False. API and pages call the same ones.
Who says it is on record, and so is why; secrets in what is written are replaced before anything is stored.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from streams.catalogue.actions import actions
from streams.core.events import ActionHalted, ActionResumed, ApprovalGiven, Decision, InboxEvent
from streams.core.requests import (
    METHODS,
    MUTE_KINDS,
    ROLES,
    STEPS,
    EscalationAnswered,
    HealRequested,
    MuteLifted,
    MuteSet,
    TaskSubmitted,
)
from streams.core.tasking import HOW_HEARD, NO_POOL
from streams.ingest.people import TEXT_CHARACTERS_MAX, sha256_of
from streams.web.auth import Person, author_of
from streams.web.problems import WebError
from streams.web.states import Task

if TYPE_CHECKING:
    from streams.web.app import Deps

APPROVES: Final = "approver"
IN_FORCE_S: Final = 5.0
"""A decision follows within milliseconds while detect and decide run."""
REASON_CHARACTERS_MAX: Final = TEXT_CHARACTERS_MAX
DESCRIPTION_CHARACTERS_MAX: Final = 2_000
NAME_CHARACTERS_MAX: Final = 200
MUTE_MS_MAX: Final = 31 * 86_400_000
TASKS_OPEN_MAX: Final = 4_000
"""Tasks under way; the fold holds 5 000, and what is accepted here must not be refused there."""
HEALED_S: Final = 20.0
"""A pool looks within a moment, and a new worker's first heartbeat comes within ten seconds."""
NOT_YET: Final = "recorded; it is not in force yet: are logmend detect and decide running?"


class Done(Struct, frozen=True, kw_only=True):
    """What came of a request. ``decision_id`` can be asked why; ``""`` while nothing was decided on it."""

    in_force: bool
    detail: str
    decision_id: str = ""


class Healed(Struct, frozen=True, kw_only=True):
    """Which workers were replaced."""

    healed_workers: tuple[str, ...]
    count: int
    message: str


async def approve(
    deps: Deps, person: Person, approval_id: str, *, approved: bool, command_sha256: str, by: str, reason: str
) -> Done:
    """Let a risky action go, or deny it. ``command_sha256`` must be that of the very command that was shown.

    Raises ``WebError`` 404 when nothing waits under the id, 409 when it is another command, was answered, or expired.
    """
    author = author_of(person, by, named=True)
    waiting = deps.model.approval(approval_id)
    if waiting is None:
        became = deps.model.became(approval_id)
        raise (
            WebError(409, f"this was answered: {became}")
            if became
            else WebError(404, "nothing waits for approval under this id: see /api/approvals")
        )
    if waiting.command_sha256 != command_sha256:
        raise WebError(409, "this is another command than the one that waits: look at /api/approvals again")
    if waiting.expires_ms <= deps.model.now_ms:
        raise WebError(409, "this expired, so it is denied: nothing is done")
    event = ApprovalGiven(
        decision_id=approval_id,
        command_sha256=command_sha256,
        approved=approved,
        author=author,
        reason=_short(reason, REASON_CHARACTERS_MAX),
    )
    await deps.voice.say(event)
    if not await deps.model.until(lambda: deps.model.approval(approval_id) is None, IN_FORCE_S):
        return Done(in_force=False, detail=NOT_YET)
    return Done(in_force=True, detail=deps.model.became(approval_id), decision_id=approval_id)


async def answer(
    deps: Deps,
    person: Person,
    wanted: str,
    *,
    step: str,
    by: str = "",
    assignee: str = "",
    method: str = "",
    notes: str = "",
) -> Done:
    """Take a step on an escalation: ``step`` is one of ``requests.STEPS``.

    Raises ``WebError`` 404 when there is no such escalation, 409 when it is resolved already or the fold refuses, 422
    when what the step needs is missing.
    """
    author = author_of(person, by)
    escalation_id = await decision_id_of(deps, wanted)
    if step not in STEPS:
        raise WebError(422, f"step is one of {', '.join(STEPS)}")
    if step == "assigned" and not assignee:
        raise WebError(422, "give `assignee`: whose it is to be")
    if step == "noted" and not notes:
        raise WebError(422, "give `notes`: what is to be written down")
    if step == "resolved" and method not in METHODS and method not in actions():
        raise WebError(422, f"method is one of {', '.join(METHODS)}, or the id of an action, such as process.restart")
    event = EscalationAnswered(
        escalation_id=escalation_id,
        step=step,
        assignee=_short(assignee, NAME_CHARACTERS_MAX) if step == "assigned" else "",
        method=method if step == "resolved" else "",
        author=author,
        reason=_short(notes, REASON_CHARACTERS_MAX),
    )
    return await _asked(deps, event)


async def decision_id_of(deps: Deps, wanted: str) -> str:
    """Return the id of the decision of an escalation, given that or its number. Raises ``WebError`` 404."""
    found = deps.model.escalation(wanted)
    if found is not None:
        return found.decision_id
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 19 else -1
    sql = "SELECT id FROM decisions WHERE kind = 'escalated' AND (seq = $number OR id = $wanted)"
    rows = await deps.history.rows(sql, number=number, wanted=wanted)
    if not rows:
        raise WebError(404, "there is no such escalation: see /api/escalations")
    return str(rows[0]["id"])


async def mute(  # noqa: PLR0913 - each is a field of the form
    deps: Deps,
    person: Person,
    *,
    kind: str,
    service: str,
    pattern: str,
    begin_ms: int,
    end_ms: int,
    by: str,
    reason: str,
) -> Done:
    """Set a silence or a maintenance window, from ``begin_ms`` (0: now) to ``end_ms`` of the broker's clock.

    Raises ``WebError`` 422 for what can't be one, 409 when the fold refuses.
    """
    author = author_of(person, by)
    now_ms = deps.model.now_ms
    begin_ms = begin_ms or now_ms
    if kind not in MUTE_KINDS:
        raise WebError(422, f"kind is one of {', '.join(MUTE_KINDS)}")
    if not max(begin_ms, now_ms) < end_ms <= now_ms + MUTE_MS_MAX:
        raise WebError(422, "it must end after it begins and after now, within 31 days")
    event = MuteSet(
        kind=kind,
        service=_short(service, NAME_CHARACTERS_MAX),
        pattern=_short(pattern, NAME_CHARACTERS_MAX),
        begin_ms=begin_ms,
        end_ms=end_ms,
        author=author,
        reason=_short(reason, REASON_CHARACTERS_MAX),
    )
    return await _asked(deps, event)


async def lift(deps: Deps, person: Person, mute_id: str, *, by: str, reason: str) -> Done:
    """End a mute before its time. Raises ``WebError`` 404 when none of that id is set."""
    author = author_of(person, by)
    if all(one.id != mute_id for one in deps.model.mutes()):
        raise WebError(404, "no such mute is set: see /api/mutes")
    reason = _short(reason, REASON_CHARACTERS_MAX)
    return await _asked(deps, MuteLifted(mute_id=mute_id, author=author, reason=reason))


async def halt(deps: Deps, person: Person, *, by: str, reason: str) -> Done:
    """Throw the kill switch; when it is on already, nothing is said."""
    author = author_of(person, by)
    if deps.model.halt is not None:
        return Done(in_force=True, detail=f"the kill switch was on already, by {deps.model.halt.author}")
    return await _asked(deps, ActionHalted(author=author, reason=_short(reason, REASON_CHARACTERS_MAX)))


async def resume(deps: Deps, person: Person, *, by: str, reason: str) -> Done:
    """Release the kill switch; when it is off already, nothing is said."""
    author = author_of(person, by)
    if deps.model.halt is None:
        return Done(in_force=True, detail="the kill switch was off already")
    return await _asked(deps, ActionResumed(author=author, reason=_short(reason, REASON_CHARACTERS_MAX)))


class Wanted(Struct, frozen=True, kw_only=True):
    """A task that is asked for: of a role, and with an action on a service if it is to do anything."""

    role: str
    description: str = ""
    action: str = ""
    service: str = ""
    by: str = ""


async def submit_all(deps: Deps, person: Person, wanted: Sequence[Wanted]) -> list[Task]:
    """Give the pool tasks, and return as soon as they are in the inbox.

    Raises ``WebError`` 422 when one can't be a task, 403 when it is not this person's to give, 429 while too many are
    under way: then none is said.
    """
    asked = deps.model.asked
    if asked.open + len(wanted) > TASKS_OPEN_MAX:
        raise WebError(429, f"{asked.open} tasks are under way: wait until some have ended", {"Retry-After": "1"})
    said = [_task(deps, person, one) for one in wanted]
    for event, _ in said:
        asked.submitted(event.task_id, event.role, event.action, deps.model.now_ms)
    answers = await asyncio.gather(*(deps.voice.say(*one) for one in said), return_exceptions=True)
    for (event, _), offset in zip(said, answers, strict=True):
        if isinstance(offset, BaseException):
            asked.lost(event.task_id)
        else:
            asked.stands_at(event.task_id, offset)
    for failed in answers:
        if isinstance(failed, BaseException):
            raise failed
    return [asked.tasks[event.task_id] for event, _ in said]


def _task(deps: Deps, person: Person, one: Wanted) -> tuple[TaskSubmitted, str]:
    """Return a task as it is said, and what it is in words, without secrets. Raises ``WebError`` 403 and 422."""
    author = author_of(person, one.by)
    if one.role not in ROLES:
        raise WebError(422, f"agent_type is one of {', '.join(ROLES)}")
    if bool(one.action) != bool(one.service):
        raise WebError(422, "an action needs a service, and a service an action")
    if one.action and one.action not in actions():
        raise WebError(422, "there is no such action: see the catalogue")
    if one.action and not person.may(APPROVES):
        raise WebError(403, f"{person.name} is {person.role}; a task that acts needs {APPROVES}: nobody is asked again")
    text = deps.redact(_short(one.description, DESCRIPTION_CHARACTERS_MAX)) if one.description else ""
    made = uuid.uuid4()
    event = TaskSubmitted(
        task_id=str(made),
        role=one.role,
        action=one.action,
        service=one.service,
        description_sha256=sha256_of(text),
        author=author,
        host="" if one.action else _host_for(deps, one.role, made.int),
    )
    return event, text


def _host_for(deps: Deps, role: str, number: int) -> str:
    """Return a host where a worker of a role answers, by a random number; ``""`` leaves it to the fold."""
    hosts = sorted({one.host for one in deps.model.workers() if one.healthy and one.role == role})
    return hosts[number % len(hosts)] if hosts else ""


async def heal(deps: Deps, person: Person, *, by: str, reason: str) -> Healed:
    """Have the pools replace their dead and hung workers now, and say which were. Raises ``WebError`` as ``_asked``."""
    author = author_of(person, by)
    model = deps.model
    before = {(one.host, one.id): one for one in model.workers() if not one.specialist}
    asked = HealRequested(author=author, reason=_short(reason, REASON_CHARACTERS_MAX))
    done = await _asked(deps, asked)
    if not done.in_force:
        return Healed(healed_workers=(), count=0, message=done.detail)
    asked_ms = model.now_ms

    def all_told() -> bool:
        """Whether every worker that there was gave a sign of life since."""
        now = {(one.host, one.id): one for one in model.workers()}
        return all(key in now and model.now_ms - now[key].age_ms >= asked_ms for key in before)

    told = await model.until(all_told, HEALED_S)
    now = {(one.host, one.id): one.pid for one in model.workers()}
    healed = tuple(key[1] for key, one in before.items() if key in now and now[key] != one.pid)
    rest = f"{len(before) - len(healed)} answered" if told else f"some did not answer within {HEALED_S:.0f} s"
    return Healed(healed_workers=healed, count=len(healed), message=f"{len(healed)} workers were replaced, {rest}")


async def _asked(deps: Deps, event: InboxEvent) -> Done:
    """Say something and return what was decided on it. Raises ``WebError`` 409 when it was refused."""
    decision = await deps.model.asked.answer(await deps.voice.say(event), IN_FORCE_S)
    if decision is None:
        return Done(in_force=False, detail=NOT_YET)
    if decision.kind == "request_refused":
        raise WebError(409, f"{NO_POOL}: {HOW_HEARD}" if decision.reason == NO_POOL else decision.reason)
    return Done(in_force=True, detail=_told(decision), decision_id=decision.id)


def _told(decision: Decision) -> str:
    return f"{decision.kind}: {decision.reason}" if decision.reason else decision.kind


def _short(text: str, most: int) -> str:
    """Return what a person wrote. Raises ``WebError`` 422 when it is too long."""
    if len(text) > most:
        raise WebError(422, f"{len(text)} characters; give at most {most}")
    return text
