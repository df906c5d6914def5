"""Runs a command that ends when the process which started it ends, however that ends.

Run as a file (``python -I -S tether.py PARENT_PID SIGNAL COMMAND...``) it asks the kernel for that signal at its
parent's death and becomes the command, so the command keeps its pid. The kernel means the *thread* that forked: start
children from a thread that lives as long as the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def tethered(command: Sequence[str], death: signal.Signals = signal.SIGTERM) -> list[str]:
    """Return the argument list that runs ``command`` until the calling process dies; then it gets signal ``death``."""
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), str(os.getpid()), str(int(death)), *command]


def _become(parent: int, death: int, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(0)
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
