"""What every fault is: a way to break a service for real, and to take that back.

Each injection, each undo and each setting back is written to the site's journal with who asked for it, so that it can
be proved that nothing but Logmend healed what was counted as healed.
"""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from lab import control
from lab.furnish import turn_back
from lab.health import is_healthy
from lab.outside import WELL, behave
from lab.site import Site
from streams.workers.clock import now_ms


class FaultError(RuntimeError):
    """The fault could not be brought about; the message says why."""


class Fault(ABC):
    """One way to break one service. ``inject`` returns when the service is broken, and says so by returning."""

    name: ClassVar[str]
    service: ClassVar[str]
    """Who does not do its work any more."""
    cause: ClassVar[str] = ""
    """The service on which the incident is, where that is another (a dependency)."""
    pattern: ClassVar[str]
    """What of the catalogue it shows."""
    heals: ClassVar[str]
    """The action that the shipped fixes name for it on that service."""
    tells: ClassVar[str]
    """What there is to be seen, for people."""
    stands_in: ClassVar[str] = ""
    """What takes the place of the real thing, where this is not one."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.since_ms = 0
        """When the service was broken (milliseconds since 1970)."""
        self._rogue: subprocess.Popen[bytes] | None = None

    @classmethod
    def acted_on(cls) -> str:
        """Return the service that the healing action is for."""
        return cls.cause or cls.service

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
            for service in dict.fromkeys((self.acted_on(), self.service)):
                control.stop(self.site, service)
                control.start(self.site, service)

    def tidy(self, caller: str) -> None:
        """Leave nothing behind after the verdict: end the rogue, and set back what only a person may.

        What was healed by going another way (a switch) is turned back, now that its cause is gone.
        """
        if self._rogue is not None:
            self._rogue.kill()
            self._rogue.communicate()
            self._rogue = None
        if self._set_back():
            self._note("set back", caller)

    def is_healthy(self) -> bool:
        """Say whether the service does its work: the ground truth, found out by using it."""
        return is_healthy(self.site, self.service)

    def stand_in(self) -> str:
        """Return what stands in for the real thing here; ``""``: nothing does."""
        return self.stands_in

    @abstractmethod
    def _break(self) -> None:
        """Bring the fault about."""

    def _mend(self) -> None:
        """Take the fault's cause away: a rogue process, or else the service's own."""
        if self._rogue is None:
            control.stop(self.site, self.acted_on())
        self.tidy("undo")

    def _set_back(self) -> bool:
        """Put in its normal place what the healing action moved; whether anything was elsewhere."""
        return turn_back(self.site, self.service)

    def _let_in(self, what: str, which: str) -> None:
        """Start a rogue process that is after something of the service's."""
        self._rogue = subprocess.Popen(
            [sys.executable, "-m", "lab.rogue", what, which], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )

    def _await_rogue(self) -> None:
        """Wait until the rogue process has got it."""
        if self._rogue is None or self._rogue.stdout is None or self._rogue.stdout.readline() != b"ready\n":
            raise FaultError(f"{self.name}: the rogue process did not get what it is after")

    def _pid(self) -> int:
        service = self.acted_on()
        pid = control.pid_of(self.site, service)
        if pid is None:
            raise FaultError(f"{self.name}: {service} does not run, so there is nothing to break")
        return pid

    def _until_broken(self, times: int, breaks: Callable[[int], bool]) -> None:
        """Do something up to so many times, until it says that the service is broken; ``FaultError`` if it never is."""
        if not any(breaks(number) for number in range(times)):
            raise FaultError(f"{self.name}: {self.service} still works after {times} times")

    def _start_again(self) -> None:
        """Stop and start the service, as a roll-out does; ``FaultError`` when it lives on in spite of the fault."""
        control.stop(self.site, self.service)
        control.start(self.site, self.service)
        if not control.wait(lambda: control.pid_of(self.site, self.service) is None, 5.0):
            raise FaultError(f"{self.name}: {self.service} runs in spite of it")

    def _note(self, what: str, caller: str) -> None:
        self.site.note(now_ms(), what, self.name, self.service, caller)


class PeerFault(Fault):
    """A peer beyond the fleet misbehaves: only the service's own way round it helps."""

    peer: ClassVar[str]
    how: ClassVar[str]

    def _break(self) -> None:
        self._pid()
        behave(self.site, self.peer, self.how)

    def _mend(self) -> None:
        self.tidy("undo")

    def _set_back(self) -> bool:
        behave(self.site, self.peer, WELL)
        return super()._set_back()
