"""A pool for written histories: specialists come up, look, find something, act, and are let go."""

from __future__ import annotations

from streams.core.events import Command, OutcomeReported
from streams.core.reports import FindingReported, SpecialistReported
from tests.analytics.history import History

STEP_MS = 400


def answer(history: History, command: Command, *, dies: str = "", fails: bool = False) -> None:
    """Let the pool do what a command says, ``STEP_MS`` after it was sent.

    ``dies``: who never comes up; ``fails``: actions that were begun do not end well.
    """
    history.log.now_ms += STEP_MS
    given = {argument.name: argument.value for argument in command.arguments}
    name = given.get("specialist", "")
    match command.kind:
        case "spawn" if name == dies:
            history.say(_report(history, name, given["plan"], "failed"))
        case "spawn":
            reports = [_report(history, name, given["plan"], state) for state in ("spawned", "running", "waiting")]
            history.say(*reports, _outcome(history, command, ""))
        case "look":
            found = FindingReported(
                command_id=command.id,
                host=command.host,
                service=command.service,
                worker=name or "architect_001",
                code="process_memory_mb",
                value=64.0,
                at_ms=history.now_ms,
            )
            history.say(found, _outcome(history, command, name or "architect_001"))
        case "release":
            reports = [_report(history, name, given["plan"], state) for state in ("done", "released")]
            history.say(*reports, _outcome(history, command, ""))
        case _:
            history.say(_outcome(history, command, "executor_001", ok=not fails))


def break_down(history: History, service: str, pattern: str, *, answers: int) -> None:
    """Break a service, and let its team answer so many commands."""
    sent = len(history.commands)
    history.see(service, pattern)
    for place in range(sent, sent + answers):
        answer(history, history.commands[place])


def work_together(history: History, service: str, pattern: str, *, dies: str = "") -> None:
    """Break a service, let its team work on it until the command is done, and see it heal."""
    answered = len(history.commands)
    history.see(service, pattern)
    while answered < len(history.commands):
        answer(history, history.commands[answered], dies=dies)
        answered += 1
    history.calm(service, 200)
    for command in history.commands[answered:]:
        answer(history, command)


def _report(history: History, name: str, plan: str, state: str) -> SpecialistReported:
    return SpecialistReported(
        host="h1",
        specialist=name,
        plan=plan,
        state=state,
        code="died" if state == "failed" else "",
        at_ms=history.now_ms,
        cpu_ms=0 if state == "running" else 120,
        memory_kb=40_000,
    )


def _outcome(history: History, command: Command, worker: str, *, ok: bool = True) -> OutcomeReported:
    return OutcomeReported(
        command_id=command.id,
        command_seq=command.seq,
        host=command.host,
        worker=worker,
        status="done",
        ok=ok,
        code="done",
        effect="none" if command.kind == "look" else "once",
        started_ms=history.now_ms - 200,
        finished_ms=history.now_ms - 100,
        skew_ms=0,
    )
