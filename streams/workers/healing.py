"""Healing the pool: who is dead or hung now is replaced at once, under its own name, whatever its turn would be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from streams import telemetry
from streams.core.events import Command
from streams.workers.crew import Crew, Worker
from streams.workers.orders import COMMAND_ID, RefusedError
from streams.workers.results import Result

ANSWER_SECONDS: Final = 5.0
"""A worker that does not answer within this time is hung: its loop waits for nothing longer than a small file."""
REPLACED_SECONDS: Final = 15.0
"""How long its successor may take to give its first sign of life."""
LOOK_SECONDS: Final = 0.02


class Heal:
    """Replace who is dead or hung."""


def heal_of(command: Command) -> Heal:
    """Return what a heal command asks for; ``RefusedError`` for one that asks for more."""
    if COMMAND_ID.fullmatch(command.id) is None:
        raise RefusedError("bad_id", "the command's id is not one of ours")
    if command.action or command.arguments or command.target:
        raise RefusedError("bad_argument", "healing takes no argument")
    return Heal()


async def heal(crew: Crew) -> Result:
    """Ask every worker of a role for a sign of life, and replace those that give none.

    ``code`` is ``healed``, ``all_well`` when there was nothing to do, or ``not_healed`` when a successor gives none
    either.
    """
    asked = {worker: worker.process for worker in crew.places}
    for worker in crew.places:
        crew.ask(worker)
    await _until(lambda: not any(map(_is_silent, crew.places)), ANSWER_SECONDS)
    sick = [worker for worker, process in asked.items() if _is_silent(worker) or worker.process is not process]
    for worker in sick:
        telemetry.handled("worker", f"{worker.name} is dead or hung and is replaced")
        if worker.process is asked[worker]:
            crew.replace(worker)
    await _until(lambda: all(worker.process not in {None, asked[worker]} for worker in sick), REPLACED_SECONDS)
    for worker in sick:
        crew.ask(worker)
    await _until(lambda: not any(map(_is_silent, sick)), REPLACED_SECONDS)
    if not sick:
        return Result(ok=True, code="all_well", effect="none")
    healed = not any(_is_silent(worker) or worker.process is asked[worker] for worker in sick)
    return Result(ok=healed, code="healed" if healed else "not_healed", effect="none")


def _is_silent(worker: Worker) -> bool:
    return worker.process is None or worker.unanswered > 0


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds, or for so long at most."""
    for _ in range(int(seconds / LOOK_SECONDS)):
        if holds():
            return
        await asyncio.sleep(LOOK_SECONDS)
