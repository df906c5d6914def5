"""An errand: a task without an action, which a worker of a role answers in its own loop; what it takes to answer."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.commands import command_sha256
from streams.core.events import Command
from streams.core.requests import ROLES
from streams.workers.orders import COMMAND_ID, RefusedError
from streams.workers.results import Result

ANSWERED: Final = "alive"
"""What an errand's outcome says."""


class Errand(Struct, frozen=True):
    """What is to be answered: by a worker of which role."""

    role: str


def is_errand(command: Command) -> bool:
    """Tell whether a command asks for nothing but an answer."""
    return command.kind == "task" and not command.action


def errand_of(command: Command) -> Errand:
    """Return what an errand asks for; ``RefusedError`` for anything that nobody would ask for."""
    given = {argument.name: argument.value for argument in command.arguments}
    if COMMAND_ID.fullmatch(command.id) is None:
        raise RefusedError("bad_id", "the command's id is not one of ours")
    if command.action or given.keys() != {"role", "task"} or len(command.arguments) != len(given):
        raise RefusedError("bad_argument", "an errand has a role and the id of its task")
    if given["role"] not in ROLES:
        raise RefusedError("bad_argument", f"{given['role'][:64]!r} is no role")
    return Errand(given["role"])


def answer(role: str, command: Command) -> Result:
    """Return what a worker of a role answers; ``RefusedError`` when it is not the one that was asked."""
    if command_sha256(command) != command.sha256:
        raise RefusedError("wrong_hash", "the command is not the one that was hashed")
    if errand_of(command).role != role:
        raise RefusedError("wrong_role", "the errand is for another role")
    return Result(ok=True, code=ANSWERED, effect="none")
