"""Commands that bring a specialist up or let it go: what must be in them, and in the world, for that to be done.

They change nothing of a service, so nobody's approval is asked for. Letting go is not refused for being late or halted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from streams.catalogue import teams
from streams.catalogue.actions import SPECIALIST
from streams.core.events import Command
from streams.core.teams import WAYS, SpecialistRow
from streams.workers.orders import COMMAND_ID, RefusedError

SPAWN: Final = "specialist.spawn"
RELEASE: Final = "specialist.release"
PARTS: Final = frozenset({"primary", "support"})
DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?")
INTEGER: Final = re.compile(r"[1-9][0-9]{0,9}")
KEEP_MS_MAX: Final = 86_400_000
ASKED: Final = frozenset({"specialist", "part", "way", "plan", "cpu", "memory_mb", "bandwidth_mbps", "keep_ms"})
LET_GO: Final = frozenset({"specialist", "plan"})


class Spawn(Struct, frozen=True, kw_only=True):
    """A specialist that is asked for: for which plan, in which part, and what it may hold (processors, MiB, Mbit/s).

    It is let go by itself after ``keep_ms``. Bandwidth is accounted for by who asks, and limited by nobody.
    """

    specialist: str
    row: SpecialistRow
    part: str
    way: str
    plan: str
    cpu: float
    memory_mb: float
    bandwidth_mbps: float
    keep_ms: int


class Release(Struct, frozen=True):
    """A specialist of a plan: whom to let go, or whom to report."""

    specialist: str
    plan: str


def spawn_of(command: Command) -> Spawn:
    """Return what a spawn command asks for; ``RefusedError`` for anything that no plan would ask for."""
    given = _given(command, SPAWN, ASKED)
    row = _row_of(given["specialist"])
    _check(given["part"] in PARTS, "a part is primary or support")
    _check(given["way"] in WAYS, "a way is one of four")
    _check(INTEGER.fullmatch(given["keep_ms"]) is not None, "keep_ms is a whole number")
    _check(int(given["keep_ms"]) <= KEEP_MS_MAX, "nobody is kept for more than a day")
    return Spawn(
        specialist=given["specialist"],
        row=row,
        part=given["part"],
        way=given["way"],
        plan=given["plan"],
        cpu=_amount(given, "cpu", row.cpu),
        memory_mb=_amount(given, "memory_mb", row.memory_mb),
        bandwidth_mbps=_amount(given, "bandwidth_mbps", row.bandwidth_mbps),
        keep_ms=int(given["keep_ms"]),
    )


def release_of(command: Command) -> Release:
    """Return whom a release command lets go; ``RefusedError`` when it names nobody."""
    given = _given(command, RELEASE, LET_GO)
    _row_of(given["specialist"])
    return Release(given["specialist"], given["plan"])


def named_of(command: Command) -> Release:
    """Return whom a command named that was in order when it was taken in, even if the catalogue has it no more."""
    given = {argument.name: argument.value for argument in command.arguments}
    return Release(given["specialist"], given["plan"])


def _given(command: Command, action: str, names: frozenset[str]) -> Mapping[str, str]:
    if command.action != action:
        raise RefusedError("unknown_action", f"{command.action[:64]!r} is nothing to do with a specialist")
    given = {argument.name: argument.value for argument in command.arguments}
    _check(given.keys() == names and len(command.arguments) == len(names), "other arguments than are needed")
    _check(COMMAND_ID.fullmatch(given["plan"]) is not None, "a plan is a decision's id")
    if COMMAND_ID.fullmatch(command.id) is None:
        raise RefusedError("bad_id", "the command's id is not one of ours")
    return given


def _row_of(specialist: str) -> SpecialistRow:
    named = SPECIALIST.fullmatch(specialist)
    row = teams().specialist(named["row"]) if named else None
    if row is None:
        raise RefusedError("unknown_specialist", f"{specialist[:64]!r} is no specialist")
    return row


def _amount(given: Mapping[str, str], name: str, most: float) -> float:
    """Return what one may hold: more than nothing, and no more than the catalogue has for it."""
    _check(DECIMAL.fullmatch(given[name]) is not None, f"{name} is no decimal number")
    amount = float(given[name])
    _check(0 < amount <= most, f"{name} is above 0 and at most {most}")
    return amount


def _check(passed: bool, message: str) -> None:  # noqa: FBT001 - reads as the condition it is
    if not passed:
        raise RefusedError("bad_argument", message)
