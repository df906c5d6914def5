"""Runs a command that ends when the process which started it ends, however that ends.

Run as a file (``python -I -S tether.py PARENT_PID SIGNAL NICENESS COMMAND...``) it asks the kernel for that signal at
its parent's death and becomes the command, so the command keeps its pid. The kernel means the *thread* that forked:
start children from a thread that lives as long as the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
AUTOGROUP: Final = Path("/proc/self/autogroup")
"""Linux shares the processors between sessions first: there, niceness counts within a session only, and this between
them. It is of no account in a container or a systemd unit, and not on every kernel."""
ATTEMPTS: Final = 20
ATTEMPT_SECONDS: Final = 0.12


def tethered(command: Sequence[str], death: signal.Signals = signal.SIGTERM, niceness: int = 0) -> list[str]:
    """Return the argument list that runs ``command`` until the calling process dies; then it gets signal ``death``.

    With a ``niceness`` (1 to 19) it yields to others; then it is to be started in a session of its own.
    """
    tether = [sys.executable, "-I", "-S", str(Path(__file__).absolute())]
    return [*tether, str(os.getpid()), str(int(death)), str(niceness), *command]


def _yield_as_session(niceness: int) -> None:
    """Give this session a niceness; who is not root may set one in each tenth of a second, whoever else sets one."""
    for _ in range(ATTEMPTS):
        try:
            AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:
            time.sleep(ATTEMPT_SECONDS)
        except OSError:
            return
        else:
            return


def _become(parent: int, death: int, niceness: int, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death)
    if niceness:
        os.nice(niceness)
        _yield_as_session(niceness)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(0)
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
