"""Declared files by which a service is steered: features, upstreams, replicas, traffic (``inventory.Switch``).

A switch moves in this process, in milliseconds: a small file is replaced in one step, then the service is told by a
signal, if it wants one. Beside the file lies a mark (``<file>.logmend``) of the last command that moved it, with what
it held before and after: the same command run again finds its mark and moves nothing. The disk is waited for once, when
both are written: if power (not a process) fails just then, the switch may be moved on by one more.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.inventory import Switch
from streams.workers import proc, running
from streams.workers.files import locked, read_plain, write_whole
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

VALUE_BYTES_MAX: Final = 4096
MARK_BYTES_MAX: Final = 1 << 16
MARK: Final = ".logmend"
FIRST, LAST, NEXT, PREVIOUS, AROUND = "first", "last", "next", "previous", "around"
MOVES: Final[Mapping[str, str]] = {
    "fallback": AROUND,
    "degrade": LAST,
    "isolate": LAST,
    "scale_up": NEXT,
    "scale_down": PREVIOUS,
    "rejoin": FIRST,
    "restore_upstream": FIRST,
    "restore_features": FIRST,
}
"""Where each verb moves a switch: to an end, by one and no further, or by one and from the last to the first again."""


class Mark(Struct, frozen=True):
    """Which command moved a switch last, and from what to what."""

    command: str
    before: str
    after: str


def move(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Move the switch that the order names, as its verb says; ``at_limit`` where there is no further value."""
    switch = order.spec.switches[str(order.values["switch"])]
    path = Path(switch.file)
    with locked(Path(switch.file + ".lock"), order.timeout_ms / 2000):
        mark = _mark(path, switch)
        if mark is not None and mark.command == order.command_id:
            _finish(order, switch, path, mark)
            return Result(ok=True, code="already_done", effect="once")
        before = _content(path, switch)
        if before is None:
            return Result(ok=False, code="bad_switch", effect="none", detail=f"{path} is not a regular file")
        after = _value(switch.values, before, MOVES[order.action.verb])
        if after is None:
            return Result(ok=False, code="at_limit", effect="none", detail=f"{path} holds {before[:80]!r}")
        if after == before:
            return Result(ok=True, code="unchanged", effect="none")
        mark = Mark(order.command_id, before, after)
        write_whole(Path(switch.file + MARK), msgspec.json.encode(mark), lasting=False)
        _finish(order, switch, path, mark)
        return Result(ok=True, code="switched", effect="once")


def _mark(path: Path, switch: Switch) -> Mark | None:
    """Return the mark beside a switch; None when there is none of ours, which never leads to an undeclared value."""
    try:
        mark = msgspec.json.decode(read_plain(Path(f"{path}{MARK}"), MARK_BYTES_MAX), type=Mark)
    except (OSError, msgspec.DecodeError):
        return None
    return mark if mark.after in switch.values else None


def _content(path: Path, switch: Switch) -> str | None:
    """Return what the file holds, the normal value when there is none, or None when it is no regular file."""
    try:
        return read_plain(path, VALUE_BYTES_MAX).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return switch.values[0]
    except OSError:
        return None


def _value(values: Sequence[str], current: str, how: str) -> str | None:
    """Return the value to move to. A content that is none of the values counts as before the first."""
    if how in {FIRST, LAST}:
        return values[0 if how == FIRST else -1]
    at = values.index(current) if current in values else -1
    if how == PREVIOUS:
        return values[at - 1] if at > 0 else None
    if at + 1 < len(values):
        return values[at + 1]
    return values[0] if how == AROUND else None


def _finish(order: Order, switch: Switch, path: Path, mark: Mark) -> None:
    """Write what the mark says, and tell the service; after a crash in between both are done again."""
    write_whole(path, f"{mark.after}\n".encode())
    if switch.signal and (current := running.find(order.spec)) is not None:
        with contextlib.suppress(ProcessLookupError):
            proc.send(current.identity, signal.Signals[f"SIG{switch.signal}"])
