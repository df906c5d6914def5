"""Starting and stopping a lab service by hand, the way an operator would: without Logmend, and for undo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from lab.site import SERVICES, Site

STOP_GRACE_S: Final = 2.0
_CHILDREN: Final[dict[int, subprocess.Popen[bytes]]] = {}
"""Services that this process started and that are not known to have ended: they are reaped when looked at."""


def start(site: Site, service: str) -> int:
    """Start a service with its output appended to its log file, write its pid file, and return its pid."""
    spec = site.spec(service)
    with Path(spec.log_file).open("ab") as output:
        process = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env={"PATH": os.defpath, **spec.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _CHILDREN[process.pid] = process
    Path(spec.pid_file).write_text(f"{process.pid}\n", "ascii")
    return process.pid


def pid_of(site: Site, service: str) -> int | None:
    """Return the pid of the running service, or None: the pid file's, when that process runs this very service."""
    try:
        pid = int(site.pid_file(service).read_text("ascii").split()[0])
        process = psutil.Process(pid)
        command = process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return pid if str(site.config_file(service)) in command else None


def stop(site: Site, service: str) -> None:
    """Stop a service: SIGTERM, and SIGKILL when it has not ended after two seconds. Nothing to do is fine."""
    pid = pid_of(site, service)
    if pid is not None:
        end(pid)


def stop_all(site: Site) -> None:
    """Stop all services of a site."""
    for service in SERVICES:
        stop(site, service)


def end(pid: int) -> None:
    """End a process by SIGTERM, after two seconds by SIGKILL, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not wait(lambda: not runs(pid), STOP_GRACE_S):
        kill(pid)


def kill(pid: int) -> None:
    """End a process by SIGKILL and wait until it is gone; ``TimeoutError`` when it is still there after 10 s."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if not wait(lambda: not runs(pid), 10.0):
        raise TimeoutError(f"process {pid} does not end, not even by SIGKILL")


def runs(pid: int) -> bool:
    """Say whether a process is there and not a zombie; a child of ours that has ended is reaped."""
    child = _CHILDREN.get(pid)
    if child is not None and child.poll() is not None:
        del _CHILDREN[pid]
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until the condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
