"""Ends a program of the host, with all of its group, when the process that runs it dies.

The kernel's signal at a parent's death reaches one process, and what a program starts would outlive it. So a guard
stands between the two: it leads the group, hears of the death, and kills the group with itself in it. What begins a
session of its own is out of its reach.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1
DEATH: Final = signal.SIGRTMAX
"""Nobody sends this one to a group of processes for another purpose."""
_libc: Final = ctypes.CDLL(None, use_errno=True)


def guarded() -> Callable[[], None]:
    """Return what a child of this process does between its fork and its program, as the leader of a group.

    The program becomes a child of that child, which ends as the program does. To be called from the thread that starts
    the program, in a process that has no other one.
    """
    parent = os.getpid()

    def guard() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, DEATH)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
        program = os.fork()
        if program:
            _wait(program)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return guard


def _wait(program: int) -> NoReturn:
    """Wait for the program's end or the parent's; nothing of ours may keep a pipe of theirs open meanwhile."""
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    while signal.sigwait({DEATH, signal.SIGCHLD}) != DEATH:
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            _end_like(os.waitstatus_to_exitcode(status))
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _end_like(code: int) -> NoReturn:
    """End with an exit code, or by a signal if it is negative."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # of SIGKILL, which needs none
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
    os._exit(code)
