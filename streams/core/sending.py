"""Commands as they are sent: what every one carries, and the book of those that wait for an outcome."""

from __future__ import annotations

from typing import Final

import msgspec

from streams.core.commands import command_sha256
from streams.core.config import canonical
from streams.core.events import Argument, Command
from streams.core.incidents import Incident
from streams.core.inventory import ServiceSpec
from streams.core.state import COMMANDS_OPEN_MAX, Awaited, Draft, Turn

OUTCOME_SLACK_MS: Final = 10_000
"""How long after expiry and time-out an outcome may still be on its way."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a command asks for. ``ttl_ms`` is how long it may be begun after this fact; the rest as in ``Command``."""

    kind: str
    action: str
    strategy: str = ""
    arguments: tuple[Argument, ...] = ()
    repeatable: bool = True
    attempt: int = 0
    ttl_ms: int


def command_for(turn: Turn, incident: Incident, spec: ServiceSpec, task: Task) -> Command:
    """Return the command of the next decision."""
    bare = Command(
        id=turn.next_id(),
        seq=turn.state.book.next_seq,
        previous_seq=turn.state.book.last_command_seq,
        epoch=turn.epoch,
        kind=task.kind,
        incident=incident.id,
        host=spec.host,
        service=spec.name,
        service_type=spec.type,
        strategy=task.strategy,
        action=task.action,
        arguments=task.arguments,
        target=canonical(spec),
        repeatable=task.repeatable,
        attempt=task.attempt,
        timeout_ms=turn.policy.action_timeout_ms,
        expires_ms=turn.append_ms + task.ttl_ms,
        sha256="",
        approved_by="",
    )
    return msgspec.structs.replace(bare, sha256=command_sha256(bare))


SWITCHED: Final = {
    "isolate": "traffic",
    "fallback": "upstream",
    "degrade": "feature",
    "scale_up": "replicas",
    "scale_down": "replicas",
}
"""Which kind of switch a verb moves; which value comes next is the worker's to see."""


def arguments_for(action: str, spec: ServiceSpec, pattern: str) -> tuple[Argument, ...]:
    """Return the arguments of an action, from the inventory alone: nothing of a log line ever gets here."""
    service_type, _, verb = action.partition(".")
    if verb == "kill_blocker" and (pattern == "database_lock" or not spec.port):
        return tuple(Argument(name="lock_file", value=path) for path in spec.lock_files[:1])
    if verb == "kill_blocker":
        return (Argument(name="port", value=str(spec.port)),)
    if action == "http.call":
        return (Argument(name="call", value="restart" if "restart" in spec.calls else min(spec.calls)),)
    if verb in SWITCHED and service_type != "kubernetes":
        return (Argument(name="switch", value=spec.switch(SWITCHED[verb])),)
    return ()


def send(turn: Turn, draft: Draft, command: Command) -> None:
    """Write a decision whose command is sent on; its outcome is awaited from now on."""
    commands_open = turn.state.commands_open
    if len(commands_open) >= COMMANDS_OPEN_MAX:
        del commands_open[next(iter(commands_open))]  # the oldest; it is long overdue
    commands_open[turn.next_id()] = Awaited(command.service, command.host)
    draft.command = command
    turn.write(draft)
