"""Breakages of components that their first, best-known action does not heal: hard ones, and some that nothing heals.

A hard one has a cause that its symptom does not show: mostly a roll-out that brought a configuration which looks whole.
One has two causes at one time, so that an action uncovers the next. Of two the good state is gone, or beyond the fleet:
no action of the catalogue helps, and only a person brings it back (``undo``).
"""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path
from typing import Any, Final

from lab import control
from lab.faults.base import FaultError
from lab.outside import behave
from lab.scenarios.own import break_down
from lab.scenarios.workshop import KINDS, MIRRORS, PROGRAM, Breakage
from lab.site import free_ports
from streams.workers.files import write_whole

LOOKS: Final = 20
"""At the open files of a component, in between which it is idle at least once."""


class RollOut(Breakage):
    """A new configuration is rolled out that can be read, and is wrong."""

    heals = "process.rollback_config"

    def _change(self, **values: Any) -> None:
        path = self.component.configuration
        write_whole(path, json.dumps({**json.loads(path.read_bytes()), **values}, indent=2).encode())
        self.roll_out()


class WrongPort(RollOut):
    """The new configuration names another port: the component lives, says nothing, and nobody finds it."""

    kind = "wrong_port"
    pattern = "health_check_failure"
    category = "service"
    tells = "the component listens where nobody asks for it"

    def _break(self) -> None:
        self._pid()
        self._change(port=free_ports(1)[0])


class LowLimit(RollOut):
    """The new configuration allows as many open files as an idle component has, and one connection."""

    kind = "low_limit"
    pattern = "resource_exhaustion"
    category = "resource"
    tells = "the component has too many open files, however often it is restarted"

    def _break(self) -> None:
        files = Path(f"/proc/{self._pid()}/fd")
        self._change(open_files_max=min(_next(files) for _ in range(LOOKS)) + 1)


def _next(files: Path) -> int:
    """Return the number that a process's next open file would have, a moment from now."""
    time.sleep(control.PAUSE_S)
    taken = {int(one.name) for one in files.iterdir()}
    return next(number for number in itertools.count() if number not in taken)


class BadStart(Breakage):
    """The configuration was cut in half some time ago; then the component crashes, and can't be started again."""

    kind = "bad_start"
    pattern = "process_crash"
    category = "process"
    heals = "process.rollback_config"
    tells = "the component's process dies, and does not start again"

    def _break(self) -> None:
        self.cut_configuration()
        break_down(self.site, self.component.spec, signal.SIGSEGV)


class ProgramGone(Breakage):
    """The component's program is removed, and its process dies: there is nothing left to start."""

    kind = "program_gone"
    pattern = "process_crash"
    category = "process"
    heals = ""
    tells = "the component's process dies, and its program is gone"

    def _break(self) -> None:
        self.component.program.unlink()
        break_down(self.site, self.component.spec, signal.SIGSEGV)

    def _mend(self) -> None:
        write_whole(self.component.program, PROGRAM)
        super()._mend()


class MirrorsDown(Breakage):
    """Both mirrors hang up; the inventory knows no third."""

    kind = "mirrors_down"
    pattern = "service_dependency"
    category = "dependency"
    heals = ""
    tells = "both of the component's mirrors are down"

    def _break(self) -> None:
        self._pid()
        for mirror in MIRRORS:
            behave(self.site, f"{self.service}-{mirror}", "down")


class PortTaken(Breakage):
    """The component goes down, a stray process takes its port, and the component that is started finds it taken."""

    kind = pattern = "port_conflict"
    category = "network"
    heals = "process.kill_blocker"
    tells = "a stray process took the component's port while it was restarted"

    def _break(self) -> None:
        pid = self._pid()
        self._let_in("port", str(self.component.spec.port))
        control.kill(pid)
        self._await_rogue()
        control.act_on(self.site, self.component.spec, "process.start")
        if not control.wait(lambda: control.pid_at(self.component.spec) is None, 5.0):
            raise FaultError(f"{self.name}: {self.service} started although its port is taken")


class PortTakenAndBadStart(PortTaken):
    """The configuration was cut in half as well: that is in the way of the start first, the stray process after it."""

    kind = "port_and_bad_start"
    pattern = "process_crash"
    category = "process"
    tells = "the component's process dies, does not start again, and its port is taken"

    def _break(self) -> None:
        self.cut_configuration()
        super()._break()


TROUBLES: Final[dict[str, type[Breakage]]] = {
    **KINDS,
    **{
        one.kind: one
        for one in (
            PortTaken,
            PortTakenAndBadStart,
            WrongPort,
            LowLimit,
            BadStart,
            ProgramGone,
            MirrorsDown,
        )
    },
}
"""Every breakage of a component, by kind; the first seven are those that their shipped fix heals."""
