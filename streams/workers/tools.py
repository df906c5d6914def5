"""Programs of the host that actions run: by a fixed search, with an argument vector, without a shell.

Every argument is a constant of ours or a name that ``orders`` has checked. What a program prints is kept for the pool's
log only, and not much of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from streams.workers import guard, limits
from streams.workers.results import Effect, Result, Surroundings

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_BYTES_MAX: Final = 4096
SPARE_MS: Final = 200
"""What is left of an action's time for what comes after a program."""


class Ran(Struct, frozen=True):
    """How a program ended: ``code`` is ``""`` for exit status 0, else a short word; ``output`` is what it printed."""

    code: str
    output: str

    def result(self, done: str) -> Result:
        """Return the result of an action that is this program and nothing else; ``done`` is its word for success."""
        if self.code == "no_tool":
            return Result(ok=False, code=self.code, effect="none", detail=self.output)
        effect: Effect = "unknown" if self.code == "timed_out" else "once"
        return Result(ok=not self.code, code=self.code or done, effect=effect, detail=self.output if self.code else "")


def find(name: str, tool_path: str) -> str:
    """Return the absolute path of a program: in the directories of ``tool_path``, then in those of the system.

    ``""`` when this host has none.
    """
    return shutil.which(name, path=f"{tool_path}:{SYSTEM_PATH}" if tool_path else SYSTEM_PATH) or ""


def run(
    argv: Sequence[str], timeout_ms: int, around: Surroundings, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run a program to its end. ``argv[0]`` is a name that is looked up, or an absolute path.

    The limits of the sandbox are not its: programs written in Go reserve more address space than that. It is killed as
    a whole process group when its time is over, and when the process that runs it dies. For processes of one thread.
    """
    return _run(argv, timeout_ms, around, environment, guard.guarded())


def ask(argv: Sequence[str], timeout_ms: int, around: Surroundings) -> Ran:
    """Run a program that changes nothing, as ``run`` does; it may be called in any thread, and may outlive this one."""
    return _run(argv, timeout_ms, around, {}, None)


def _run(
    argv: Sequence[str],
    timeout_ms: int,
    around: Surroundings,
    environment: Mapping[str, str] | None,
    before: Callable[[], None] | None,
) -> Ran:
    program = argv[0] if argv[0].startswith("/") else find(argv[0], around.tool_path)
    if not program or not os.access(program, os.X_OK):
        return Ran("no_tool", f"{argv[0]} is not installed on this host")
    try:
        with limits.lifted():
            process = subprocess.Popen(
                [program, *argv[1:]],
                cwd="/",
                env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=before,  # noqa: PLW1509 - given by ``run`` only, where there is one thread
            )
    except OSError as error:
        return Ran("not_startable", f"{argv[0]}: {error.strerror}")
    return _end(process, max(timeout_ms - SPARE_MS, SPARE_MS) / 1000)


def _end(process: subprocess.Popen[bytes], seconds: float) -> Ran:
    began = time.monotonic()
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Ran("timed_out", f"after {time.monotonic() - began:.1f} s: {_text(output)}")
    return Ran("" if process.returncode == 0 else f"exit_{process.returncode}".replace("-", "signal_"), _text(output))


def _text(output: bytes) -> str:
    return output[-OUTPUT_BYTES_MAX:].decode("utf-8", "replace").strip()
