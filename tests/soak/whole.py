"""All of ``logmend up``, with pool and web, as a person starts it; what its processes hold, and faults in them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Final

import psutil
from msgspec import Struct

from streams.runtime.address import bootstrap, read_address
from streams.runtime.readiness import read_process, ready_file
from streams.runtime.supervisor import ROLES
from streams.settings import Settings
from tests.ports import free_ports

UP: Final = (*("detect", "decide"), *(role for role in ROLES if role not in ("detect", "decide")), "web", "advise")
"""What ``logmend up`` runs, in the order of its ports."""
READY_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.2
_SAMPLE: Final = re.compile(r"^(logmend_\w+)(\{.*\})? ([-+.0-9eE]+|NaN)$", re.MULTILINE)


class Held(Struct, frozen=True):
    """What a process holds, with its children; ``tasks`` is -1 for one without an event loop or without an answer."""

    pss_mb: float
    descriptors: int
    threads: int
    tasks: int


class Whole:
    """A running ``logmend up``. ``brokers`` names a broker to use instead of an embedded one."""

    def __init__(self, settings: Settings) -> None:
        self._first_port = free_ports(len(UP) + 1)
        self._given = settings.model_copy(update={"metrics_port": self._first_port})
        self._log = settings.data_dir / "up.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = self._given

    async def start(self) -> None:
        """Return when everything is ready; ``settings`` then name the broker."""
        environment = {**os.environ, **self._given.environment()}
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "streams.cli", "up"]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)  # noqa: ASYNC220 - it returns at once
        deadline = time.monotonic() + READY_SECONDS_MAX
        while "ready in" not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"logmend up is not ready: {self.said()}")
            await asyncio.sleep(LOOK_SECONDS)
        self.settings = self._given.model_copy(update={"brokers": bootstrap(self._given)})

    def said(self) -> str:
        """Return all that ``logmend up`` said."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it as Ctrl-C does, and return its status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children end with it
            return self._process.wait()

    # ------------------------------------------------------------------------------------------------- what is held

    def pid_of(self, name: str) -> int:
        """Return the pid of a process of ``UP``, of ``up`` itself or of its ``broker``; 0 when it does not run."""
        if name == "up":
            return self._process.pid if self._process else 0
        if name == "broker":
            address = read_address(self.settings.data_dir)
            return address.pid if address and address.running else 0
        said = read_process(ready_file(self.settings.data_dir, name))
        return said.pid if said and said.alive else 0

    def held(self) -> dict[str, Held]:
        """Return what each process holds that runs now."""
        found = {}
        for name in ("up", "broker", *UP):
            try:
                one = self._held(name)
            except psutil.Error:  # it ended while it was looked at
                continue
            if one is not None:
                found[name] = one
        return found

    def _held(self, name: str) -> Held | None:
        pid = self.pid_of(name)
        if not pid:
            return None
        root = psutil.Process(pid)
        family = [root] if name in ("up", "broker") else [root, *root.children(recursive=True)]
        tasks = next((int(value) for metric, _, value in self._metrics(name) if metric == "logmend_tasks"), -1)
        return Held(
            pss_mb=round(sum(one.memory_full_info().pss for one in family) / 1e6, 1),
            descriptors=sum(one.num_fds() for one in family),
            threads=sum(one.num_threads() for one in family),
            tasks=tasks,
        )

    def _metrics(self, name: str) -> Iterator[tuple[str, str, float]]:
        """Yield (name, labels, value) of what a process exports; nothing of one that does not answer."""
        if name not in ("up", *UP):
            return
        port = self._first_port + (1 + UP.index(name) if name in UP else 0)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
                text = answer.read().decode()
        except OSError:
            return
        for metric, labels, value in _SAMPLE.findall(text):
            yield metric, labels, float(value)

    def total(self, name: str, metric: str, label: str = "") -> float:
        """Return the sum of a process's series of a metric whose labels hold a text; -1.0 when it does not answer."""
        every = list(self._metrics(name))
        return sum(value for found, labels, value in every if found == metric and label in labels) if every else -1.0

    # ------------------------------------------------------------------------------------------------------- faults

    async def kill(self, name: str) -> str:
        """Kill a process; the supervisor starts it again."""
        pid = self.pid_of(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return f"kill {name}"

    async def kill_worker(self) -> str:
        """Kill one worker of the pool; its manager starts another."""
        workers = psutil.Process(self.pid_of("workers")).children()
        if workers:
            workers[0].kill()
        return "kill a worker"

    async def pause(self, name: str, seconds: float) -> str:
        """Stop a process for a while, less than its lease."""
        pid = self.pid_of(name)
        if pid:
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)
        return f"pause {name} for {seconds:g} s"
