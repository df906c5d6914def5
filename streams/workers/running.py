"""Which process a service is: by its pid file and that process's start time, or by the marker in its environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from streams.core.inventory import ServiceSpec
from streams.workers import proc
from streams.workers.files import read_plain, write_whole
from streams.workers.proc import Identity

COMMAND_VARIABLE: Final = "LOGMEND_COMMAND_ID"
"""Names the command that started a process: what makes a restart happen once."""
SERVICE_VARIABLE: Final = "LOGMEND_PID_FILE"
"""Names the service that a process belongs to, by its pid file, which is unique on a host."""
PID_FILE_BYTES_MAX: Final = 1024
PID_FILE_LINES: Final = 3
PID: Final = re.compile(r"[0-9]{1,18}")
UNKNOWN_TICKS: Final = -1
FILE_CLOCK_MS: Final = 2_000
"""A program that writes its own pid file does so after its start, give or take the clock's grain."""


class PidFile(NamedTuple):
    """What our pid files hold, a line each; one that a program wrote itself has the first line only."""

    pid: int
    start_ticks: int
    command: str

    def text(self) -> str:
        """Return the contents of the file."""
        return f"{self.pid}\n{self.start_ticks}\n{self.command}\n"


class Running(NamedTuple):
    """A living process of a service, and the command that started it (``""``: none of ours)."""

    identity: Identity
    command: str


def find(spec: ServiceSpec) -> Running | None:
    """Return the process of a service; None when it is down."""
    recorded = _from_pid_file(Path(spec.pid_file))
    if recorded is not None:
        return recorded
    return next((found for found in _marked(spec) if _leads(found)), None)


def leftovers(spec: ServiceSpec) -> list[Running]:
    """Return every living process that was started for a service or by its processes."""
    return list(_marked(spec))


def last_command(spec: ServiceSpec) -> str:
    """Return the command that last started the service, whether it still runs or not; ``""`` when not known."""
    entry = _read(Path(spec.pid_file))
    return entry.command if entry else ""


def record(spec: ServiceSpec, running: Running) -> None:
    """Write the pid file."""
    entry = PidFile(pid=running.identity.pid, start_ticks=running.identity.start_ticks, command=running.command)
    write_whole(Path(spec.pid_file), entry.text().encode("ascii"))


def _read(path: Path) -> PidFile | None:
    """Return what a pid file says; None when there is none or it holds something else."""
    try:
        lines = read_plain(path, PID_FILE_BYTES_MAX).decode("ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    if not lines or not all(PID.fullmatch(line) for line in lines[:2]):
        return None
    ticks = int(lines[1]) if len(lines) == PID_FILE_LINES else UNKNOWN_TICKS
    return PidFile(int(lines[0]), ticks, lines[2] if len(lines) == PID_FILE_LINES else "")


def _from_pid_file(path: Path) -> Running | None:
    entry = _read(path)
    if entry is None or entry.pid <= 1 or not proc.is_own(entry.pid):
        return None
    status = proc.status_of(entry.pid)
    if status is None or status.state in proc.DEAD:
        return None
    if entry.start_ticks != UNKNOWN_TICKS:
        return Running(status.identity, entry.command) if entry.start_ticks == status.start_ticks else None
    if proc.started_ms(status.identity) > _written_ms(path) + FILE_CLOCK_MS:
        return None
    return Running(status.identity, proc.environment_of(entry.pid).get(COMMAND_VARIABLE, ""))


def _written_ms(path: Path) -> float:
    try:
        return path.stat().st_mtime * 1000
    except OSError:
        return 0.0


def _marked(spec: ServiceSpec) -> list[Running]:
    found = []
    for status in proc.own_processes():
        environment = proc.environment_of(status.pid)
        if environment.get(SERVICE_VARIABLE) == spec.pid_file:
            found.append(Running(status.identity, environment.get(COMMAND_VARIABLE, "")))
    return found


def _leads(running: Running) -> bool:
    """Say whether it is the process that we started: each begins a session of its own, its children don't."""
    status = proc.status_of(running.identity.pid)
    return status is not None and status.session == status.pid
