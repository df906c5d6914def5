"""Plays docker's command line over real processes: start, stop, restart, kill and inspect of containers in a directory.

A container is ``<name>.json`` (argv, environment, directory, log file). While it runs, a second process of this program
is its parent, as containerd's shim is, and says in its log how it ended. Run by a plain interpreter (``-IS``), so it
imports the standard library alone.

    docker.py DIRECTORY start|stop|restart [--time=SECONDS] -- NAME
    docker.py DIRECTORY kill --signal=NAME -- NAME
    docker.py DIRECTORY inspect --type=container --format=... -- NAME
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PAUSE_S = 0.01
START_S = 5.0
GRACE_S = 10.0
KILLED_S = 5.0


class Container:
    """One container of a directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self._directory = directory
        self._pid_file = directory / f"{name}.pid"
        try:
            self._declared = json.loads((directory / f"{name}.json").read_bytes())
        except FileNotFoundError:
            raise SystemExit(f"Error response from daemon: No such container: {name}") from None

    def pid(self) -> int:
        """Return the pid of its process; 0 when it does not run."""
        try:
            pid = int(self._pid_file.read_bytes() or 0)
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except (OSError, ValueError, IndexError):
            return 0
        return 0 if state in {b"Z", b"X"} else pid

    def start(self) -> None:
        """Start it unless it runs; return when it does."""
        if self.pid():
            return
        self._pid_file.write_bytes(b"")
        subprocess.Popen(
            [sys.executable, "-IS", __file__, str(self._directory), "shim", "--", self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if not wait(lambda: self._pid_file.stat().st_size > 0, START_S):
            raise SystemExit(f"Error response from daemon: failed to start container {self.name}")

    def stop(self, grace_s: float) -> None:
        """End it: SIGTERM, and SIGKILL when it takes too long."""
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILLED_S)):
            if not self.kill(number) or wait(lambda: not self.pid(), patience_s):
                return
        raise SystemExit(f"Error response from daemon: cannot stop container: {self.name}")

    def kill(self, number: int) -> bool:
        """Send it a signal; False when it does not run."""
        pid = self.pid()
        try:
            if pid:
                os.kill(pid, number)
        except ProcessLookupError:
            return False
        return bool(pid)

    def watch(self) -> None:
        """Be its parent: start it, wait for its end, and say in its log how that was."""
        declared = self._declared
        with Path(declared["log"]).open("ab") as log:
            process = subprocess.Popen(
                declared["argv"],
                cwd=declared["cwd"],
                env=declared["environment"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            self._pid_file.write_bytes(str(process.pid).encode())
            code = process.wait()
            code = code if code >= 0 else 128 - code
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            level = "error" if code else "info"
            log.write(f'time="{stamp}" level={level} msg="container {self.name} exited with code {code}"\n'.encode())


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True


def option(arguments: Sequence[str], name: str, default: str) -> str:
    """Return the value of ``--name=value``."""
    return next((one.partition("=")[2] for one in arguments if one.startswith(f"--{name}=")), default)


def main() -> None:
    """Do what the command line says."""
    directory, verb, *arguments = sys.argv[1:]
    container = Container(Path(directory), arguments[-1])
    if verb == "shim":
        container.watch()
    elif verb == "inspect":
        sys.stdout.write("running\n" if container.pid() else "exited\n")
    elif verb == "kill":
        container.kill(getattr(signal, f"SIG{option(arguments, 'signal', 'KILL')}"))
    elif verb in {"start", "stop", "restart"}:
        if verb != "start":
            container.stop(float(option(arguments, "time", str(GRACE_S))))
        if verb != "stop":
            container.start()
        sys.stdout.write(f"{container.name}\n")
    else:
        raise SystemExit(f"docker: '{verb}' is not a docker command.")


if __name__ == "__main__":
    main()
