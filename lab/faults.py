"""Six faults, each a real one: the service really stops doing its work, and shows it the way real services do.

Every injector has an undo for tests and for the end of a run. Each injection and each undo is written to the site's
journal with who asked for it, so that it can be proved that nothing but Logmend healed what was counted as healed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from typing import ClassVar, Final

from lab import control
from lab.health import get, is_healthy
from lab.site import API, API_MEMORY_MB, PROXY, WORKER, Site

ROGUE_READY_S: Final = 12.0
REPORT_MB: Final = 8
REPORTS_PER_S: Final = 25.0


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class FaultError(RuntimeError):
    """The fault could not be brought about; the message says why."""


class Fault(ABC):
    """One way to break one service. ``inject`` returns when the service is broken, and says so by returning."""

    name: ClassVar[str]
    service: ClassVar[str]
    tells: ClassVar[str]
    """What there is to be seen, for people."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.since_ms = 0
        """When the service was broken (milliseconds since 1970)."""
        self._rogue: subprocess.Popen[bytes] | None = None

    def inject(self, caller: str) -> None:
        """Break the service; ``FaultError`` when that fails."""
        self._note("inject", caller)
        self.since_ms = now_ms()
        self._break()

    def undo(self, caller: str) -> None:
        """Take away what ``inject`` brought and see to it that the service runs; harmless when it was healed."""
        self._note("undo", caller)
        self._mend()
        if not self.is_healthy():
            control.stop(self.site, self.service)
            control.start(self.site, self.service)

    def tidy(self) -> None:
        """Leave nothing behind after the verdict: end the rogue process if it still lives, and reap it."""
        if self._rogue is not None:
            self._rogue.kill()
            self._rogue.communicate()
            self._rogue = None

    def is_healthy(self) -> bool:
        """Say whether the service does its work: the ground truth, found out by using it."""
        return is_healthy(self.site, self.service)

    @abstractmethod
    def _break(self) -> None:
        """Bring the fault about."""

    def _mend(self) -> None:
        """Take the fault's cause away: a rogue process, or else the service's own."""
        if self._rogue is None:
            control.stop(self.site, self.service)
        self.tidy()

    def _let_in(self, what: str, which: str) -> None:
        """Start a rogue process that is after a port or a lock."""
        self._rogue = subprocess.Popen(
            [sys.executable, "-m", "lab.rogue", what, which], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )

    def _await_rogue(self) -> None:
        """Wait until the rogue process has got it."""
        if self._rogue is None or self._rogue.stdout is None or self._rogue.stdout.readline() != b"ready\n":
            raise FaultError(f"{self.name}: the rogue process did not get what it is after")

    def _pid(self) -> int:
        pid = control.pid_of(self.site, self.service)
        if pid is None:
            raise FaultError(f"{self.name}: {self.service} does not run, so there is nothing to break")
        return pid

    def _note(self, what: str, caller: str) -> None:
        entry = {
            "at_ms": now_ms(),
            "what": what,
            "fault": self.name,
            "service": self.service,
            "caller": caller,
            "pid": os.getpid(),
        }
        with self.site.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")


class Crash(Fault):
    """The process dies of SIGSEGV; its fault handler prints the stack to the log."""

    name = "crash"
    service = WORKER
    tells = "the worker dies of a segmentation fault"

    def _break(self) -> None:
        pid = self._pid()
        os.kill(pid, signal.SIGSEGV)
        if not control.wait(lambda: not control.runs(pid), 5.0):
            raise FaultError(f"{self.name}: process {pid} survived SIGSEGV")


class Hang(Fault):
    """The process waits for a lock that it holds itself, and logs nothing: its port accepts, and nobody answers."""

    name = "hang"
    service = API
    tells = "the API waits for itself; only its probe shows it"

    def _break(self) -> None:
        self._pid()
        try:
            get(self.site.api_port, "/export")
        except OSError:
            return
        raise FaultError(f"{self.name}: {self.service} answered")


class Leak(Fault):
    """Ever more reports are asked of the API, whose cache keeps them all, until its memory limit is reached."""

    name = "leak"
    service = API
    tells = "the API's memory grows until every answer is a MemoryError"

    def _break(self) -> None:
        self._pid()
        for number in range(4 * API_MEMORY_MB // REPORT_MB):
            if self._asked(number) != 200 and not self.is_healthy():
                return
            time.sleep(1 / REPORTS_PER_S)
        raise FaultError(f"{self.name}: {self.service} still answers after {4 * API_MEMORY_MB} MB of reports")

    def _asked(self, number: int) -> int:
        try:
            return get(self.site.api_port, f"/reports?key=q{number}-{time.time_ns()}&mb={REPORT_MB}")[0]
        except OSError:
            return 0


class PortTaken(Fault):
    """The API goes down, a stray process takes its port, and the API that is started again finds it taken."""

    name = "port_taken"
    service = API
    tells = "a stray process took the API's port while it was restarted"

    def _break(self) -> None:
        pid = self._pid()
        self._let_in("port", str(self.site.api_port))
        control.kill(pid)
        self._await_rogue()
        control.start(self.site, self.service)
        if not control.wait(lambda: control.pid_of(self.site, self.service) is None, 5.0):
            raise FaultError(f"{self.name}: {self.service} started although its port is taken")


class DatabaseLock(Fault):
    """A stray process holds an exclusive transaction on the worker's SQLite file and never ends it."""

    name = "database_lock"
    service = WORKER
    tells = "a stray process holds the worker's database locked"

    def _break(self) -> None:
        self._pid()
        self._let_in("lock", str(self.site.database))
        self._await_rogue()


class BrokenConfiguration(Fault):
    """The proxy's configuration file is cut short by a bad roll-out, and the proxy is started again with it."""

    name = "configuration"
    service = PROXY
    tells = "the proxy's configuration was overwritten with garbage and it was restarted"

    def _break(self) -> None:
        path = self.site.config_file(self.service)
        path.write_bytes(path.read_bytes()[:40] + b"\n<<<<<<< HEAD\n")
        control.stop(self.site, self.service)
        control.start(self.site, self.service)
        if not control.wait(lambda: control.pid_of(self.site, self.service) is None, 5.0):
            raise FaultError(f"{self.name}: {self.service} runs although its configuration is garbage")

    def _mend(self) -> None:
        self.site.write_config(self.service)


FAULTS: Final[dict[str, type[Fault]]] = {
    fault.name: fault for fault in (Crash, Hang, PortTaken, DatabaseLock, Leak, BrokenConfiguration)
}


def make(name: str, site: Site) -> Fault:
    """Return the fault of a name; ``FaultError`` names those that there are."""
    try:
        return FAULTS[name](site)
    except KeyError:
        raise FaultError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}") from None
