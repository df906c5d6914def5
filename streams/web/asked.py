"""What became of what people asked for: the decision on each request, and tasks with their results for five minutes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec
from msgspec import Struct, field

from streams.core.events import Decision, OutcomeReported
from streams.web.bounded import put
from streams.web.states import Task

KEPT_MS: Final = 300_000
"""Results of tasks (SEED_TABLES, section 4)."""
TASKS_MAX: Final = 100_000
"""200 a second for five minutes, and those under way; the oldest goes first."""
ANSWERS_MAX: Final = 10_000
OUTCOMES_MAX: Final = 10_000
COMMANDS_MAX: Final = 10_000
"""Twice what the fold has under way: the outcome may be read after the decision that ends the task."""
NAMED_S: Final = 2.0
"""Decisions and facts are read side by side: who did a task is known a moment before or after that it has ended."""
OPEN: Final = frozenset({"submitted", "given"})
ASKED: Final = frozenset(
    {
        "escalation_acknowledged",
        "escalation_assigned",
        "escalation_noted",
        "escalation_resolved",
        "mute_set",
        "mute_lifted",
        "task_given",
        "heal_asked",
        "halted",
        "resumed",
        "request_refused",
    }
)
"""Decisions that answer a message; its coordinate is their cause."""


class Asked(Struct):
    """Tasks by id, and the decisions on messages by their offset in the inbox for people."""

    inbox: str
    tasks: dict[str, Task] = field(default_factory=dict)
    open: int = 0
    """How many tasks are under way."""
    ended: deque[tuple[int, str]] = field(default_factory=deque)
    """When tasks ended, and their ids."""
    commands: dict[str, str] = field(default_factory=dict)
    """Id of a task's command to the task."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """Id of a command to the worker that ended it."""
    answers: dict[int, Decision] = field(default_factory=dict)
    at: dict[int, str] = field(default_factory=dict)
    """Offset of a submission to its task."""
    askers: dict[int, asyncio.Future[Decision]] = field(default_factory=dict)
    waiters: dict[str, list[asyncio.Future[None]]] = field(default_factory=dict)

    def submitted(self, task_id: str, role: str, action: str, at_ms: int) -> None:
        """Note a task that is about to be said."""
        self._put(Task(id=task_id, role=role, action=action, status="submitted", submitted_ms=at_ms))

    def lost(self, task_id: str) -> None:
        """Forget a task that could not be said."""
        self.open -= self.tasks.pop(task_id).status in OPEN

    def stands_at(self, task_id: str, offset: int) -> None:
        """Note where a task stands in the inbox."""
        answer = self.answers.get(offset)
        if answer is None:
            put(self.at, offset, task_id, TASKS_MAX)
        elif answer.kind == "request_refused":
            self._end(task_id, "refused", answer.reason, answer.append_ms)

    def took(self, outcome: OutcomeReported) -> bool:
        """Note which worker ended a command; True when it is the command of a task that is known."""
        if not outcome.worker:
            return False
        put(self.outcomes, outcome.command_id, outcome.worker, OUTCOMES_MAX)
        task = self.tasks.get(self.commands.get(outcome.command_id, ""))
        if task is None:
            return False
        self.tasks[task.id] = msgspec.structs.replace(task, worker=outcome.worker)
        if task.status not in OPEN:
            self._wake(task.id)
        return True

    def take(self, decision: Decision) -> bool:
        """Take a decision into account; True when it is about a task."""
        if decision.kind in ASKED:
            self._answer(decision)
        match decision.kind:
            case "task_given":
                self._given(decision)
            case "task_ended":
                task_id = self.commands.get(decision.refers_to, "")
                self._end(task_id, _status(decision.reason), decision.reason, decision.append_ms)
            case _:
                return False
        return True

    def forget(self, now_ms: int) -> None:
        """Let go of results that are older than five minutes."""
        while self.ended and self.ended[0][0] + KEPT_MS <= now_ms:
            _, task_id = self.ended.popleft()
            task = self.tasks.get(task_id)
            if task is not None and task.status not in OPEN:
                del self.tasks[task_id]

    async def answer(self, offset: int, seconds: float) -> Decision | None:
        """Return the decision on the message at an offset; None when none came within ``seconds``."""
        if offset in self.answers:
            return self.answers[offset]
        asker = self.askers.setdefault(offset, asyncio.get_running_loop().create_future())
        try:
            return await asyncio.wait_for(asyncio.shield(asker), seconds)
        except TimeoutError:
            return None
        finally:
            self.askers.pop(offset, None)

    async def result(self, task_id: str, seconds: float) -> Task | None:
        """Return a task once it has ended, or as it is after ``seconds``; None when it is not known.

        The fact that names its worker may be read after the decision that ends it, and is waited for, too, for a while.
        """
        task = self.tasks.get(task_id)
        if task is not None and task.status in OPEN and seconds:
            task = await self._told(task, seconds)
        if task is not None and _is_nameless(task) and seconds:
            task = await self._told(task, min(seconds, NAMED_S))
        return task

    async def _told(self, task: Task, seconds: float) -> Task:
        """Return a task when something new is known of it, or after ``seconds``."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.setdefault(task.id, []).append(waiter)
        await asyncio.wait((waiter,), timeout=seconds)
        waiting = self.waiters.get(task.id, [])
        if waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self.waiters[task.id]
        return self.tasks.get(task.id, task)

    def _wake(self, task_id: str) -> None:
        for waiter in self.waiters.pop(task_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def _answer(self, decision: Decision) -> None:
        for cause in decision.causes:
            if cause.topic != self.inbox:
                continue
            put(self.answers, cause.offset, decision, ANSWERS_MAX)
            asker = self.askers.pop(cause.offset, None)
            if asker is not None and not asker.done():
                asker.set_result(decision)
            task_id = self.at.pop(cause.offset, "")
            if task_id and decision.kind == "request_refused":
                self._end(task_id, "refused", decision.reason, decision.append_ms)

    def _given(self, decision: Decision) -> None:
        task_id, _, role = decision.reason.partition(" ")
        command = decision.command
        if command is None:
            return
        put(self.commands, command.id, task_id, COMMANDS_MAX)
        given = Task(
            id=task_id,
            role=role,
            action=command.action,
            status="given",
            host=decision.host,
            service=decision.service,
            worker=self.outcomes.get(command.id, ""),
            submitted_ms=decision.append_ms,
        )
        known = self.tasks.get(task_id)
        if known is None:
            self._put(given)
        else:
            self.tasks[task_id] = msgspec.structs.replace(given, role=known.role, submitted_ms=known.submitted_ms)

    def _end(self, task_id: str, status: str, reason: str, at_ms: int) -> None:
        task = self.tasks.get(task_id)
        if task is None or task.status not in OPEN:
            return
        self.tasks[task_id] = msgspec.structs.replace(task, status=status, reason=reason, ended_ms=at_ms)
        self.open -= 1
        self.ended.append((at_ms, task_id))
        self._wake(task_id)

    def _put(self, task: Task) -> None:
        self.tasks[task.id] = task
        self.open += 1
        if len(self.tasks) > TASKS_MAX:
            oldest = self.tasks.pop(next(iter(self.tasks)))
            self.open -= oldest.status in OPEN


def _is_nameless(task: Task) -> bool:
    """Tell whether a worker ended a task, and is not known yet."""
    return task.status not in OPEN and not task.worker and task.reason.startswith("done")


def _status(reason: str) -> str:
    """Return how a task ended, from ``<status> <ok or failed> <code>`` or ``overdue``."""
    return "completed" if reason.startswith("done ok") else "failed"
