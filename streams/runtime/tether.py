"""Runs a command that ends when the process which started it ends, however that ends.

Run as a file (``python -I -S tether.py PARENT_PID COMMAND...``) it asks the kernel for SIGTERM at its parent's death
and becomes the command, so the command keeps its pid. The kernel means the *thread* that forked: start children from
a thread that lives as long as the process.
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


def tethered(command: Sequence[str]) -> list[str]:
    """Return the argument list that runs ``command`` tethered to the calling process."""
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(0)
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
