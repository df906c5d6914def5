"""Faults of processes: they die, wait for ever, or can't start."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lab import control
from lab.faults.base import Fault, FaultError
from lab.furnish import write_config, write_stemmer
from lab.health import get
from lab.site import API, CART, PROXY, SEARCH, WORKER


class Crash(Fault):
    """The process dies of SIGSEGV; its fault handler prints the stack to the log."""

    name = "crash"
    service = WORKER
    pattern = "process_crash"
    heals = "process.restart"
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
    pattern = "health_check_failure"
    heals = "process.restart"
    tells = "the API waits for itself; only its probe shows it"

    def _break(self) -> None:
        self._pid()
        try:
            get(self.site.ports[API], "/export")
        except OSError:
            return
        raise FaultError(f"{self.name}: {self.service} answered")


class PortTaken(Fault):
    """The API goes down, a stray process takes its port, and the API that is started again finds it taken."""

    name = "port_taken"
    service = API
    pattern = "port_conflict"
    heals = "process.kill_blocker"
    tells = "a stray process took the API's port while it was restarted"

    def _break(self) -> None:
        pid = self._pid()
        self._let_in("port", str(self.site.ports[API]))
        control.kill(pid)
        self._await_rogue()
        control.start(self.site, self.service)
        if not control.wait(lambda: control.pid_of(self.site, self.service) is None, 5.0):
            raise FaultError(f"{self.name}: {self.service} started although its port is taken")


class BrokenConfiguration(Fault):
    """The proxy's configuration file is cut short by a bad roll-out, and the proxy is started again with it."""

    name = "configuration"
    service = PROXY
    pattern = "configuration_error"
    heals = "process.rollback_config"
    tells = "the proxy's configuration was overwritten with garbage and it was restarted"

    def _break(self) -> None:
        path = self.site.config_file(self.service)
        path.write_bytes(path.read_bytes()[:40] + b"\n<<<<<<< HEAD\n")
        self._start_again()

    def _mend(self) -> None:
        write_config(self.site, self.service)


class MissingModule(Fault):
    """A roll-out of the search leaves its plug-in out, and the search does not start without it."""

    name = "missing_module"
    service = SEARCH
    pattern = "dependency_missing"
    heals = "process.rollback_config"
    tells = "the search's plug-in was removed and it was restarted"

    def _break(self) -> None:
        self._pid()
        Path(self.site.directory(SEARCH) / "stemmer.py").unlink()
        self._start_again()

    def _mend(self) -> None:
        write_stemmer(self.site)


class ContainerKilled(Fault):
    """The process of a container is killed, as the kernel does when memory is short."""

    name = "container"
    service = CART
    pattern = "container_exit"
    heals = "docker.restart"
    tells = "the cart's container exits with code 137"
    stands_in = "a program that plays docker over a real process"

    def _break(self) -> None:
        control.kill(self._pid())
        if not control.wait(lambda: "exited with code 137" in self._log(), 5.0):
            raise FaultError(f"{self.name}: the container's end was not told")

    def _log(self) -> str:
        return self.site.log_file(CART).read_text("utf-8", "replace")
