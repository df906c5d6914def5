"""Signs of life of a service: whether its process, unit or container runs, and what that process holds.

A manager that can't be asked, and files of /proc that are not ours to read, show nothing: what is not seen is left out.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

from streams.core.inventory import ServiceSpec
from streams.workers import proc, running, tools
from streams.workers.results import Surroundings
from streams.workers.units import SYSTEMCTL, kubectl

ASK_MS: Final = 3_000
MEBIBYTE: Final = 1 << 20
RUNNING_STATES: Final = frozenset({"active", "reloading"})
THREADS_FIELD: Final = 17
"""Of /proc/<pid>/stat, counted after the name."""

Signs = dict[str, float]
"""Codes of the catalogue's findings to values."""


def signs_of(spec: ServiceSpec, around: Surroundings) -> Signs:
    """Return what is seen of a service of any type; empty when nothing can be."""
    asking = _BY_TYPE.get(spec.type)
    return asking(spec, around) if asking else {}


def _process(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001 - all types are asked alike
    if not spec.pid_file:
        return {}
    current = running.find(spec)
    return _of_pid(current.identity.pid) if current else {"process_alive": 0.0}


def _unit(spec: ServiceSpec, around: Surroundings) -> Signs:
    asked = (*SYSTEMCTL, "show", "--property=ActiveState,MainPID,MemoryCurrent", "--", spec.unit)
    ran = tools.ask(asked, ASK_MS, around)
    said = dict(line.split("=", 1) for line in ran.output.splitlines() if "=" in line)
    if ran.code or "ActiveState" not in said:
        return {}
    if said["ActiveState"] not in RUNNING_STATES:
        return {"process_alive": 0.0}
    pid, memory = said.get("MainPID", ""), said.get("MemoryCurrent", "")
    of_unit = {"process_memory_mb": int(memory) / MEBIBYTE} if memory.isdecimal() else {}
    return {**_of_main(pid), **of_unit, "process_alive": 1.0}


def _container(spec: ServiceSpec, around: Surroundings) -> Signs:
    shown = "--format={{.State.Running}} {{.State.Pid}}"
    ran = tools.ask(("docker", "inspect", "--type=container", shown, "--", spec.container), ASK_MS, around)
    if ran.code:
        return {"process_alive": 0.0} if "no such container" in ran.output.lower() else {}
    is_running, _, pid = ran.output.partition(" ")
    return {**_of_main(pid), "process_alive": 1.0} if is_running == "true" else {"process_alive": 0.0}


def _deployment(spec: ServiceSpec, around: Surroundings) -> Signs:
    shown = "--output=jsonpath={.status.availableReplicas}"
    ran = tools.ask((*kubectl(spec), "get", f"deployment/{spec.deployment}", shown), ASK_MS, around)
    return {} if ran.code else {"process_alive": float(ran.output.isdecimal() and int(ran.output) > 0)}


_BY_TYPE: Final[Mapping[str, Callable[[ServiceSpec, Surroundings], Signs]]] = {
    "process": _process,
    "systemd": _unit,
    "hybrid": _unit,
    "docker": _container,
    "kubernetes": _deployment,
}


def _of_main(pid: str) -> Signs:
    """Return what is seen of the main process that a manager names; it may name none (0), or one of another host."""
    return _of_pid(int(pid)) if pid.isdecimal() and int(pid) > 0 else {}


def _of_pid(pid: int) -> Signs:
    status = proc.status_of(pid)
    if status is None or status.state in proc.DEAD:
        return {"process_alive": 0.0}
    found = {
        "process_alive": float(status.state not in proc.STOPPED),
        "process_uptime_seconds": max(time.time() - proc.started_ms(status.identity) / 1000, 0.0),
        "process_memory_mb": sum(proc.resident_bytes(one.pid) for one in proc.family_of(status)) / MEBIBYTE,
    }
    with contextlib.suppress(OSError, ValueError, IndexError):
        found["process_threads"] = float(_stat_fields(pid)[THREADS_FIELD])
    with contextlib.suppress(OSError, ValueError, StopIteration):
        found["process_descriptors_share"] = _descriptors(pid) / _descriptors_max(pid)
    return found


def _stat_fields(pid: int) -> list[bytes]:
    raw = (proc.PROC / str(pid) / "stat").read_bytes()
    return raw[raw.rindex(b")") + 2 :].split()


def _descriptors(pid: int) -> int:
    with os.scandir(proc.PROC / str(pid) / "fd") as entries:
        return sum(1 for _ in entries)


def _descriptors_max(pid: int) -> int:
    """Return the soft limit; ``ValueError`` for ``unlimited``."""
    lines = (proc.PROC / str(pid) / "limits").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("Max open files")).split()[3])
