"""Breakages of components that their first, best-known action does not heal: hard ones, and some that nothing heals.

A hard one has a cause that its symptom does not show: mostly a roll-out that brought a configuration which looks whole.
Some have two causes at one time, so that one action uncovers the other. Of the last three the good state is gone, or
beyond the fleet: no action of the catalogue helps, and only a person brings it back (``undo``).
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab import control
from lab.faults.base import FaultError
from lab.outside import behave
from lab.scenarios.own import break_down
from lab.scenarios.workshop import ARTEFACTS, KINDS, MIRRORS, PROGRAM, Breakage, Damaged
from lab.services.search import packed
from lab.site import free_ports
from streams.workers.files import write_whole


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


class WrongMirrors(RollOut):
    """The new configuration has ports of both mirrors on which nobody listens."""

    kind = "wrong_mirrors"
    pattern = "service_dependency"
    category = "dependency"
    tells = "no mirror can be reached"

    def _break(self) -> None:
        self._pid()
        self._change(mirrors=dict(zip(MIRRORS, free_ports(len(MIRRORS)), strict=True)))


class LowLimit(RollOut):
    """The new configuration allows as many open files as an idle component has, and one connection."""

    kind = "low_limit"
    pattern = "resource_exhaustion"
    category = "resource"
    tells = "the component has too many open files, however often it is restarted"

    def _break(self) -> None:
        files = Path(f"/proc/{self._pid()}/fd")
        idle = min(sum(1 for _ in files.iterdir()) for _ in range(20))
        self._change(open_files_max=idle + 1)


class BadStart(Breakage):
    """The configuration was cut in half some time ago; then the component crashes, and can't be started again."""

    kind = "bad_start"
    pattern = "process_crash"
    category = "process"
    heals = "process.rollback_config"
    tells = "the component's process dies, and does not start again"

    def _break(self) -> None:
        path = self.component.configuration
        path.write_bytes(path.read_bytes()[:40])
        break_down(self.site, self.component.spec, signal.SIGSEGV)


class MirrorAndRollOut(RollOut):
    """The first mirror hangs up, and where the second one is, is wrong since the last roll-out."""

    kind = "mirror_and_roll_out"
    pattern = "service_dependency"
    category = "dependency"
    tells = "the first mirror is down, the second one can't be reached"

    def _break(self) -> None:
        self._pid()
        mirrors: Mapping[str, int] = json.loads(self.component.configuration.read_bytes())["mirrors"]
        self._change(mirrors={**mirrors, MIRRORS[1]: free_ports(1)[0]})
        behave(self.site, f"{self.service}-{MIRRORS[0]}", "down")


class SlowAndRollOut(RollOut):
    """The analysis is slow, and since the last roll-out the component looks for its switch in another place."""

    kind = "slow_and_roll_out"
    pattern = "performance_degradation"
    category = "performance"
    tells = "jobs take longer than anybody waits, with the analysis switched off too"

    def _break(self) -> None:
        self._pid()
        self._change(analysis_switch=str(self.component.configuration.with_name("analysis.old")))
        behave(self.site, f"{self.service}-analysis", "slow")


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


class DataGone(Damaged):
    """The artefacts are overwritten, and there is no checkpoint of them any more."""

    kind = "data_gone"
    heals = ""
    tells = "the component's artefacts are not what was written, and there is no copy"

    def _break(self) -> None:
        shutil.rmtree(self.component.spec.checkpoint_dir)
        super()._break()

    def _mend(self) -> None:
        write_whole(self.component.artefacts, packed(ARTEFACTS))
        control.act_on(self.site, self.component.spec, "process.checkpoint")
        super()._mend()


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

    def _mend(self) -> None:
        self.tidy("undo")


TROUBLES: Final[dict[str, type[Breakage]]] = {
    **KINDS,
    **{
        one.kind: one
        for one in (
            PortTaken,
            WrongPort,
            WrongMirrors,
            LowLimit,
            BadStart,
            MirrorAndRollOut,
            SlowAndRollOut,
            ProgramGone,
            MirrorsDown,
            DataGone,
        )
    },
}
"""Every breakage of a component, by kind; the first seven are those that their shipped fix heals."""
