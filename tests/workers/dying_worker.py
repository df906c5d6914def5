"""A real worker that kills itself (``python -m tests.workers.dying_worker ROOT ROLE``).

Each line ``<module>.<function> <before|after>`` of ``ROOT/dying`` is the death of one worker; after the last one the
file is removed and workers live. ``ROOT/dead`` has the pids of those who died so.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from streams.workers import sandbox, worker

FUNCTIONS: dict[str, tuple[Any, str]] = {
    "begin": (worker.Worker, "_begin"),
    "launch": (sandbox, "launch"),
    "collect": (worker.Worker, "_collect"),
    "end": (worker.Worker, "_end"),
}


def die(path: Path) -> None:
    """Cross out the line of this death and die."""
    with path.with_name("dead").open("a", encoding="ascii") as dead:
        dead.write(f"{os.getpid()}\n")
    rest = path.read_text("ascii").splitlines()[1:]
    if rest:
        path.write_text("\n".join(rest), "ascii")
    else:
        path.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(path: Path) -> None:
    """Make one function fatal."""
    name, when = path.read_text("ascii").splitlines()[0].split()
    owner, attribute = FUNCTIONS[name]
    original = getattr(owner, attribute)

    def fatal(*given: Any, **named: Any) -> Any:
        if when == "before":
            die(path)
        result = original(*given, **named)
        die(path)
        return result

    setattr(owner, attribute, fatal)


if __name__ == "__main__":
    dying = Path(sys.argv[1]) / "dying"
    if dying.exists():
        prepare(dying)
    worker.main(sys.argv[2])
