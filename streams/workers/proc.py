"""Processes as /proc shows them. A pid alone names nobody: with its start time it does (pids are used again)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
DEAD: Final = frozenset("ZXx")
"""States of a process that has ended, reaped or not."""
STOPPED: Final = frozenset("Tt")
"""States of one that does nothing until it is told to go on."""


class Identity(NamedTuple):
    """One process for ever: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


class Status(NamedTuple):
    """What /proc/<pid>/stat says. ``state`` is its letter: R, S, D, T (stopped), Z (zombie) ..."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_ticks: int

    @property
    def identity(self) -> Identity:
        """The process, told apart from a later one with the same pid."""
        return Identity(self.pid, self.start_ticks)


def status_of(pid: int) -> Status | None:
    """Return the status of a pid; None when there is no such process."""
    try:
        raw = (PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = raw[raw.rindex(b")") + 2 :].split()
    return Status(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def status_of_identity(identity: Identity) -> Status | None:
    """Return the status of this very process; None when it has ended (a zombie has) or its pid is another's now."""
    status = status_of(identity.pid)
    if status is None or status.start_ticks != identity.start_ticks or status.state in DEAD:
        return None
    return status


def is_alive(identity: Identity) -> bool:
    """Say whether this very process has not ended."""
    return status_of_identity(identity) is not None


def own_processes() -> Iterator[Status]:
    """Yield every living process of our user."""
    user = os.getuid()
    for entry in list(os.scandir(PROC)):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.stat().st_uid != user:
                continue
            status = status_of(int(entry.name))
            if status is not None and status.state not in DEAD:
                yield status


def is_own(pid: int) -> bool:
    """Say whether the process runs as our user."""
    try:
        return (PROC / str(pid)).stat().st_uid == os.getuid()
    except (FileNotFoundError, ProcessLookupError):
        return False


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; empty when it is gone or not ours to read."""
    return dict(_pair(item) for item in _words(pid, "environ") if "=" in item)


def command_line_of(pid: int) -> tuple[str, ...]:
    """Return the argument list of a process; empty when it is gone."""
    return tuple(_words(pid, "cmdline"))


def _words(pid: int, name: str) -> list[str]:
    try:
        raw = (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
    return [os.fsdecode(item) for item in raw.split(b"\0") if item]


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def ancestors_of(pid: int) -> frozenset[int]:
    """Return the pid, its parent, and so on up to 1."""
    found: set[int] = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        status = status_of(pid)
        pid = status.parent if status else 0
    return frozenset(found)


def family_of(status: Status) -> list[Status]:
    """Return a process and what belongs to it: its group if it leads one, and its descendants."""
    everyone = list(own_processes())
    members = {status.pid}
    grown = True
    while grown:
        more = {
            other.pid
            for other in everyone
            if other.pid not in members
            and (other.parent in members or (status.group == status.pid and other.group == status.pid))
        }
        members |= more
        grown = bool(more)
    return [other for other in everyone if other.pid in members]


def send(identity: Identity, number: signal.Signals) -> bool:
    """Send a signal to this very process; False when it has ended. Raises ``PermissionError`` for another user's."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def started_ms(identity: Identity) -> int:
    """Return when a process was started, in milliseconds of this host's clock, cut to a tick (10 ms)."""
    boot_ms = (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1_000_000
    return boot_ms + identity.start_ticks * 1000 // os.sysconf("SC_CLK_TCK")


def of_unit(unit: str) -> Iterator[int]:
    """Yield our user's processes that run in the control group of a systemd unit."""
    name = unit if "." in unit else f"{unit}.service"
    for status in own_processes():
        with contextlib.suppress(OSError):
            lines = (PROC / str(status.pid) / "cgroup").read_text("utf-8", "replace").splitlines()
            if any(name in line.rpartition(":")[2].split("/") for line in lines):
                yield status.pid


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds; 0 when it is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((PROC / str(pid) / "statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


class Usage(NamedTuple):
    """Processor time that a process and its ended children have used, and the most memory that it has held itself."""

    cpu_ms: int
    memory_kb: int


def usage_of(pid: int) -> Usage | None:
    """Return what a process has used so far; None when it has ended."""
    try:
        raw = (PROC / str(pid) / "stat").read_bytes()
        lines = (PROC / str(pid) / "status").read_text("ascii", "replace").splitlines()
        fields = raw[raw.rindex(b")") + 2 :].split()
        most = next(line for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):  # a zombie has no memory
        return None
    ticks = sum(int(field) for field in fields[11:15])
    return Usage(ticks * 1000 // os.sysconf("SC_CLK_TCK"), int(most.split()[1]))
