"""One child of the supervisor: started, asked whether it is ready, started again when it dies, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec import json as msgspec_json

from streams import telemetry
from streams.runtime.readiness import NAME_VARIABLE, read_process, ready_file
from streams.runtime.tether import tethered
from streams.settings import PREFIX, Settings

DELAY_FIRST_S: Final = 0.1
DELAY_FACTOR: Final = 3.0
DELAY_MAX_S: Final = 30.0
SETTLED_S: Final = 60.0
SETTLED_READY_S: Final = 2.0
"""A process that lived this long, or was ready and lived that long, begins again with the shortest delay."""
YIELDING: Final = dict.fromkeys(("eventlog", "web", "advise", "notify"), 5)
"""Who yields to what detects, decides and acts, and by how much: nobody waits for these by the millisecond, and at 5
they still get a third of what each other process gets, however busy the machine is."""
LOG_BYTES_MAX: Final = 8 * 1024 * 1024


class ChildState(Struct, frozen=True, kw_only=True):
    """What is known of a child: ``pid`` is 0 while it is dead."""

    name: str
    role: str
    pid: int
    ready: bool
    restarts: int
    log: Path


class _Failed(Struct):
    """What is told of the log event with which a process ends."""

    error: str


class Child:
    """A process ``logmend <role>``. ``number`` tells those of one role apart, from 1.

    It is in a session of its own (a terminal's Ctrl-C is the supervisor's to pass on) and gets SIGKILL when the
    supervisor dies: every stage stands kill -9, and without the broker no stage could end in order.
    """

    def __init__(self, settings: Settings, role: str, number: int, metrics_port: int) -> None:
        self.role = role
        self.name = role if number == 1 else f"{role}-{number}"
        self.log = settings.data_dir / "run" / f"{self.name}.log"
        self._settings = settings
        self._ready_file = ready_file(settings.data_dir, self.name)
        self._environment = _environment(settings, self.name, number, metrics_port)
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = 0
        self._started = 0.0
        self._was_ready = False
        self._delay = DELAY_FIRST_S
        self._due = 0.0

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._restarts

    @property
    def state(self) -> ChildState:
        """What is known of it now."""
        return ChildState(
            name=self.name,
            role=self.role,
            pid=self._process.pid if self._process is not None and self.running else 0,
            ready=self.ready,
            restarts=self._restarts,
            log=self.log,
        )

    @property
    def ready(self) -> bool:
        """Whether the process that runs now has said that it is ready."""
        said = read_process(self._ready_file)
        if self._process is None or not self.running or said is None:
            return False
        return said.pid == self._process.pid and said.alive

    def start(self) -> None:
        """Start the process."""
        self._started = time.monotonic()
        self._was_ready = False
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(_command(self.role), signal.SIGKILL, YIELDING.get(self.role, 0)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def look_after(self) -> None:
        """Start the process again when it has died and its delay has passed; keep its log small."""
        _cut(self.log)
        self._was_ready = self._was_ready or self.ready
        if self.running or self._process is None:
            return
        now = time.monotonic()
        if not self._due:
            if now - self._started >= (SETTLED_READY_S if self._was_ready else SETTLED_S):
                self._delay = DELAY_FIRST_S
            self._due = now + self._delay
            telemetry.child_restarted(self.name, self._process.returncode, self._delay)
            self._delay = min(self._delay * DELAY_FACTOR, DELAY_MAX_S)
        elif now >= self._due:
            self._due = 0.0
            self._restarts += 1
            self.start()

    def terminate(self) -> None:
        """Ask the process to end."""
        if self._process is not None and self.running:
            self._process.terminate()

    def end(self) -> None:
        """End the process at once if it still runs, and forget it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._ready_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the error of the last line that it wrote, or else that line; cut to 300 characters."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        last = lines[-1] if lines else ""
        try:
            return msgspec_json.decode(last, type=_Failed).error[:300]
        except MsgspecError:
            return last[:300]


def _command(role: str) -> list[str]:
    return [sys.executable, "-m", "streams.cli", role]


def _environment(settings: Settings, name: str, number: int, metrics_port: int) -> dict[str, str]:
    """Give the child our settings, whatever its environment or a file say, and a name of its own among its like."""
    ours = {PREFIX + field.upper() for field in type(settings).model_fields}
    return {
        **{variable: value for variable, value in os.environ.items() if variable not in ours},
        **settings.model_copy(update={"metrics_port": metrics_port}).environment(),
        "LOGMEND_INSTANCE": settings.host if number == 1 else f"{settings.host}-{number}",
        NAME_VARIABLE: name,
    }


def _cut(log: Path) -> None:
    """Put a log that has grown aside, and begin anew; the writer appends, so it goes on at the new end."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def children_of(settings: Settings, roles: Sequence[str]) -> list[Child]:
    """Return a child for each role, in order; a role may come several times."""
    children = []
    for index, role in enumerate(roles):
        port = settings.metrics_port + 1 + index if settings.metrics_port else 0
        children.append(Child(settings, role, 1 + list(roles[:index]).count(role), port))
    return children
