"""Tasks and healing: what a person has the pools do, from the request to what came of it.

A task without an action proves that a worker of its role answers; it uses up nobody's budget. One with an action is
done on a service for the person who asked, who thereby approves it; every guardrail is asked, as for an incident's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from streams.core.commands import command_sha256
from streams.core.config import canonical
from streams.core.events import Argument, Command, Coordinate, Gate, OutcomeReported
from streams.core.guardrails import Situation, ask, failed
from streams.core.inventory import ServiceSpec
from streams.core.muting import maintained
from streams.core.people import refuse, short
from streams.core.requests import ROLES, HealRequested, TaskSubmitted
from streams.core.sending import OUTCOME_SLACK_MS, arguments_for, send
from streams.core.state import Draft, Turn
from streams.core.strategy import has
from streams.core.tasks import TASKS_OPEN_MAX, Given

TASK_ID_CHARACTERS_MAX: Final = 64
NO_POOL: Final = "no pool was heard of lately"
HOW_HEARD: Final = (
    "is logmend workers running? One that has just begun is heard of with the first look of logmend host, or what it "
    "answers (logmend task submit --host NAME)"
)
"""For people who are told ``NO_POOL``."""


def submit(turn: Turn, asked: TaskSubmitted, where: Coordinate) -> None:
    """Give a task to a pool, or say why not. A task that was taken before changes nothing."""
    if not (
        0 < len(asked.task_id) <= TASK_ID_CHARACTERS_MAX and asked.task_id.isascii() and asked.task_id.isprintable()
    ):
        refuse(turn, where, f"a task's id has 1 to {TASK_ID_CHARACTERS_MAX} plain characters")
    elif asked.task_id in turn.state.tasks.told:
        return
    elif len(turn.state.tasks.open) >= TASKS_OPEN_MAX:
        refuse(turn, where, f"task {asked.task_id}: {TASKS_OPEN_MAX} tasks are under way")
    elif asked.action:
        _submit_action(turn, asked, where)
    else:
        _submit_question(turn, asked, where)


def _submit_question(turn: Turn, asked: TaskSubmitted, where: Coordinate) -> None:
    """Have a worker of a role answer."""
    host = asked.host or _next_host(turn)
    if asked.role not in ROLES:
        refuse(turn, where, f"task {asked.task_id}: a role is one of {', '.join(ROLES)}")
    elif not host:
        refuse(turn, where, f"task {asked.task_id}: {NO_POOL}; name its host")
    else:
        arguments = (Argument(name="role", value=asked.role), Argument(name="task", value=asked.task_id))
        _give(turn, asked, where, _command(turn, "task", host, arguments=arguments), ())


def _next_host(turn: Turn) -> str:
    """Return the host whose turn it is; ``""`` when none was heard of."""
    tasks = turn.state.tasks
    hosts = tasks.present(turn.now_ms)
    tasks.turns += 1
    return hosts[tasks.turns % len(hosts)] if hosts else ""


def _submit_action(turn: Turn, asked: TaskSubmitted, where: Coordinate) -> None:
    """Have an action done that a person asked for, if no guardrail says no."""
    spec, row = turn.fleet.spec(asked.service), turn.catalogue.action(asked.action)
    gates = _gates(turn, asked.service, spec)
    if spec is None or failed(gates):
        said_no = " ".join(failed(gates))
        refuse(turn, where, f"task {asked.task_id}: {said_no}", service=asked.service, gates=gates)
        return
    if row is None or row.service_type != spec.type or not all(has(spec, part) for part in row.requires):
        refuse(turn, where, f"task {asked.task_id}: no such action for this service", service=spec.name)
        return
    command = _command(turn, "task", spec.host, arguments=arguments_for(row.id, spec, ""))
    command = msgspec.structs.replace(
        command,
        service=spec.name,
        service_type=spec.type,
        strategy=row.strategy,
        action=row.id,
        target=canonical(spec),
        repeatable=row.repeatable,
        attempt=1,
        approved_by=asked.author or "unknown",
    )
    turn.state.guard.count_issued(turn.now_ms, spec, "", turn.policy)
    _give(turn, asked, where, msgspec.structs.replace(command, sha256=command_sha256(command)), gates)


def _gates(turn: Turn, service: str, spec: ServiceSpec | None) -> tuple[Gate, ...]:
    situation = Situation(
        spec=spec,
        now_ms=turn.now_ms,
        evidence_age_ms=0,
        halted=bool(turn.state.directory.halted_by),
        attempts=0,
        under_way=turn.state.incidents.under_way() | turn.state.tasks.under_way(),
        services_known=len(turn.fleet),
    )
    _, muted = maintained(turn, service, "")
    return (*ask(turn.state.guard, turn.policy, situation), *muted)


def _give(turn: Turn, asked: TaskSubmitted, where: Coordinate, command: Command, gates: tuple[Gate, ...]) -> None:
    """Write the decision whose command dispatch sends on."""
    tasks, policy = turn.state.tasks, turn.policy
    tasks.take(asked.task_id)
    deadline_ms = turn.now_ms + policy.command_ttl_ms + policy.action_timeout_ms + OUTCOME_SLACK_MS
    tasks.open[command.id] = Given(asked.task_id, command.service, command.host, deadline_ms)
    draft = Draft(kind="task_given", reason=f"{asked.task_id} {asked.role or command.action}", causes=(where,))
    draft.service, draft.host, draft.strategy = command.service, command.host, command.strategy
    draft.gates, draft.command = gates, command
    turn.write(draft)


def _command(turn: Turn, kind: str, host: str, arguments: tuple[Argument, ...] = ()) -> Command:
    """Return a command of the next decision that is about no service."""
    bare = Command(
        id=turn.next_id(),
        seq=turn.state.book.next_seq,
        previous_seq=turn.state.book.last_command_seq,
        epoch=turn.epoch,
        kind=kind,
        incident="",
        host=host,
        service="",
        service_type="",
        strategy="",
        action="",
        arguments=arguments,
        target=b"",
        repeatable=True,
        attempt=0,
        timeout_ms=turn.policy.action_timeout_ms,
        expires_ms=turn.append_ms + turn.policy.command_ttl_ms,
        sha256="",
        approved_by="",
    )
    return msgspec.structs.replace(bare, sha256=command_sha256(bare))


def task_ended(turn: Turn, outcome: OutcomeReported) -> bool:
    """Take the outcome of a task into account; False when the command is no task's."""
    given = turn.state.tasks.open.get(outcome.command_id)
    if given is None:
        return False
    if given.host == outcome.host:
        _end(turn, outcome.command_id, f"{outcome.status} {'ok' if outcome.ok else 'failed'} {outcome.code}".rstrip())
    return True


def overdue(turn: Turn) -> None:
    """End the tasks that nobody answered in time."""
    tasks = turn.state.tasks.open
    while tasks:
        command_id = next(iter(tasks))
        if turn.now_ms < tasks[command_id].deadline_ms:
            return
        _end(turn, command_id, "overdue")


def _end(turn: Turn, command_id: str, reason: str) -> None:
    given = turn.state.tasks.open.pop(command_id)
    turn.write(Draft(kind="task_ended", reason=reason, service=given.service, host=given.host, refers_to=command_id))


def heal(turn: Turn, asked: HealRequested, where: Coordinate) -> None:
    """Have every pool that was heard of lately replace its workers that are dead or hung."""
    hosts = turn.state.tasks.present(turn.now_ms)
    if not hosts:
        refuse(turn, where, NO_POOL)
    for host in hosts:
        draft = Draft(kind="heal_asked", reason=f"by {short(asked.author)}", host=host, causes=(where,))
        send(turn, draft, _command(turn, "heal", host))
