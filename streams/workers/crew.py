"""The worker processes of one host: started, asked for a sign of life, replaced under the same name, and let go.

Beside the workers of roles there are guests: specialists, who come when called, and are not replaced when they die. The
process of one has waited for that among the spares (``spares.py``), if there was one left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from streams import telemetry
from streams.core.errors import InvariantError
from streams.runtime.tether import tethered
from streams.workers import proc
from streams.workers.clock import now_ms
from streams.workers.frames import Answer, Become, Ended, Frames, Hold, Leave, Ping, Pong, Run, pack
from streams.workers.roles import ROLES, SPARE, role_of
from streams.workers.spares import Pause, Spares, end, kill

READ_BYTES: Final = 65_536
OVERTIME_SECONDS: Final = 5.0
"""An action is over so long after its time-out at the latest: its worker has had the time to end it and to say so."""
ENVIRONMENT_KEPT: Final = ("PATH", "HOME", "LANG", "TZ")
"""What a service gets of the pool's environment beside what it declares."""
ENVIRONMENT_OF_WORKERS: Final = (*ENVIRONMENT_KEPT, "PYTHONPATH", "VIRTUAL_ENV")
COMMAND_LINE = (sys.executable, "-P", "-m", "streams.workers.worker")

Lost = Callable[[str, Sequence[str]], None]
Told = Callable[[str, Ended], None]


class Timing(Struct, frozen=True, kw_only=True):
    """How often a worker is asked for a sign of life, after how long without one it is hung, how long it may leave.

    One is hung when as many questions as fit into that time got no answer: while this process stands still, none is
    asked. One that has an action may take the time of that action to leave, if it is longer. ``rest_seconds`` after a
    guest came the host has time for a spare, and so long after that for the next.
    """

    health_seconds: float = 10.0
    hung_seconds: float = 60.0
    leave_seconds: float = 35.0
    rest_seconds: float = 1.0


class Worker:
    """One place in the crew. Its process changes; its name doesn't. ``tasks`` and ``errors`` count since the start.

    ``running`` are the commands that it has, each with the time (monotonic, seconds) at which it is over for certain.
    """

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self.role = role
        self.process: asyncio.subprocess.Process | None = None
        self.running: dict[str, float] = {}
        self.tasks = 0
        self.errors = 0
        self.started_ms = 0
        self.unanswered = 0
        self.wanted = asyncio.Event()
        """Set when its next process is to begin at once."""

    @property
    def pid(self) -> int:
        """The process's pid; 0 while there is none."""
        return self.process.pid if self.process else 0

    @property
    def busy_seconds(self) -> float:
        """How long what it has may take at most, from now on."""
        return max(0.0, max(self.running.values(), default=0.0) - time.monotonic())

    @property
    def state(self) -> str:
        """What its heartbeat says."""
        if self.process is None:
            return "starting"
        return "busy" if self.running else "idle"


class Guest(Worker):
    """A worker that has one process, and whoever called it hears ``news`` of it: up, busy, idle, gone.

    ``is_leaving`` from when it was told to leave on, ``is_due`` when it gets no time but for what it has begun. What it
    has used is as of the last news.
    """

    def __init__(self, name: str, role: str, hold: Hold, news: Callable[[Guest, str], None]) -> None:
        super().__init__(name, role)
        self.hold = hold
        self.news = news
        self.is_up = False
        self.is_leaving = False
        self.is_due = False
        self.usage = proc.Usage(0, 0)

    def look(self) -> None:
        """Find out what its process has used."""
        self.usage = (proc.usage_of(self.pid) if self.pid else None) or self.usage


class Crew:
    """All workers of this host.

    ``told`` hears of ended commands, ``lost`` that a worker is gone and what it had, ``ready`` that there is one again.
    """

    def __init__(self, per_role: int, timing: Timing, told: Told, lost: Lost, ready: Callable[[], None]) -> None:
        self._timing = timing
        self._told = told
        self._lost = lost
        self._ready = ready
        self._leaving = False
        self._group: asyncio.TaskGroup | None = None
        self._places = tuple(
            Worker(f"{role}_{number:03d}", role) for role in sorted(ROLES) for number in range(1, per_role + 1)
        )
        self._guests: dict[Guest, asyncio.Task[None]] = {}
        self._spares = Spares(lambda: _spawn(SPARE), timing.rest_seconds)
        self._keeps_spares: asyncio.Task[None] | None = None

    @property
    def places(self) -> tuple[Worker, ...]:
        """Workers of roles."""
        return self._places

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Workers of roles and guests."""
        return (*self._places, *self._guests)

    async def work(self) -> None:
        """Keep every place filled until ``leave``; whatever ends this, no worker is left."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                keepers = [group.create_task(self._keep(worker)) for worker in self._places]
                self._keeps_spares = group.create_task(self._spares.keep())
                health = group.create_task(self._watch())
                await asyncio.wait(keepers)
                health.cancel()
        finally:
            self._leaving = True
            await end([worker.process for worker in self.workers if worker.process])

    def choose(self, action: str) -> Worker | None:
        """Return the least busy worker whose role runs an action; None when none is up."""
        return self.of_role(role_of(action))

    def of_role(self, role: str) -> Worker | None:
        """Return the least busy worker of a role; None when none is up."""
        able = [one for one in self._places if one.role == role and one.process is not None and not self._leaving]
        return min(able, key=lambda one: len(one.running), default=None)

    def give(self, worker: Worker, run: Run, timeout_ms: int) -> None:
        """Hand a command to a worker, that ends it after ``timeout_ms``."""
        worker.running[run.command.id] = time.monotonic() + timeout_ms / 1000 + OVERTIME_SECONDS
        self._send(worker, pack(run))
        _tell_guest(worker, "busy")

    def ask(self, worker: Worker) -> None:
        """Ask a worker for a sign of life."""
        worker.unanswered += 1
        self._send(worker, pack(Ping(0)))

    def replace(self, worker: Worker) -> None:
        """End a worker's process, if it has one, and have its next one begin without a pause."""
        worker.wanted.set()
        if worker.process is not None:
            kill(worker.process)

    def invite(self, guest: Guest) -> None:
        """Begin a guest's one process; its ``news`` say what becomes of it."""
        if self._group is None:
            raise InvariantError("a guest before there is a crew")
        self._guests[guest] = self._group.create_task(self._visit(guest))

    def dismiss(self, guest: Guest, *, at_once: bool = False) -> None:
        """Let a guest finish what it has and end; it is killed if it takes too long, ``at_once`` if it has nothing."""
        guest.is_leaving = True
        guest.is_due = guest.is_due or at_once
        self._send(guest, pack(Leave()))
        if guest.process is not None:  # else again when it has one
            asyncio.get_running_loop().call_later(self._patience_seconds(guest), _kill_if_running, guest.process)

    def _patience_seconds(self, worker: Worker) -> float:
        is_due = isinstance(worker, Guest) and worker.is_due
        return max(0.0 if is_due else self._timing.leave_seconds, worker.busy_seconds)

    async def leave(self) -> None:
        """Let the workers finish what they have and end; kill those that take too long."""
        self._leaving = True
        if self._keeps_spares is not None:
            self._keeps_spares.cancel()
        await asyncio.gather(*(self._see_off(worker) for worker in self.workers))
        if self._guests:
            await asyncio.wait(self._guests.values())

    async def _see_off(self, worker: Worker) -> None:
        process = worker.process
        if process is None:
            return
        self._send(worker, pack(Leave()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds(worker)):
                await process.wait()
        await end((process,))

    def _is_leaving(self) -> bool:
        return self._leaving

    async def _keep(self, worker: Worker) -> None:
        pause = Pause()
        while not self._is_leaving():
            began = time.monotonic()
            status = await self._live(worker)
            if not self._is_leaving():
                worker.errors += 1
                seconds = pause.after(began)
                telemetry.child_restarted(worker.name, status, seconds)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await worker.wanted.wait()
                worker.wanted.clear()

    async def _visit(self, guest: Guest) -> None:
        try:
            await self._live(guest)
        except OSError as error:
            telemetry.handled("worker", f"{guest.name} has no process: {error.strerror}")
        finally:
            del self._guests[guest]
        guest.news(guest, "gone")

    async def _live(self, worker: Worker) -> int:
        """Have one process of a worker from start to end; return its status. ``OSError`` when it can't start."""
        process = await self._process_for(worker)
        worker.process, worker.started_ms, worker.unanswered = process, now_ms(), 0
        if isinstance(worker, Guest):
            self._send(worker, pack(Become(worker.role)) + pack(worker.hold) + pack(Ping(0)))
            if worker.is_leaving:
                self.dismiss(worker)
        self._ready()
        if self._is_leaving():
            kill(process)
        await self._listen(worker, process)
        status = await process.wait()
        worker.process = None
        self._mourn(worker)
        return status

    async def _process_for(self, worker: Worker) -> asyncio.subprocess.Process:
        if isinstance(worker, Guest):
            return self._spares.take() or await _spawn(SPARE)
        return await _spawn(worker.role)

    def _mourn(self, worker: Worker) -> None:
        lost, worker.running = tuple(worker.running), {}
        self._lost(worker.name, lost)

    async def _listen(self, worker: Worker, process: asyncio.subprocess.Process) -> None:
        """Take what the worker says until it is gone; one that talks nonsense is ended."""
        frames = Frames(Answer)
        stream = _reader_of(process)
        while data := await stream.read(READ_BYTES):
            try:
                for frame in frames.feed(data):
                    self._hear(worker, frame)
            except (InvariantError, ValueError) as error:
                telemetry.handled("worker", str(error))
                kill(process)
                return

    def _hear(self, worker: Worker, frame: object) -> None:
        worker.unanswered = 0
        match frame:
            case Ended():
                worker.running.pop(frame.command_id, None)
                worker.tasks += 1
                worker.errors += frame.result.code in {"crashed", "failed", "timed_out"}
                self._told(worker.name, frame)
                _tell_guest(worker, "idle")
            case Pong():
                _tell_guest(worker, "up")

    async def _watch(self) -> None:
        """Ask each worker for a sign of life, and end those that have given none for too long."""
        number = 0
        while True:
            await asyncio.sleep(self._timing.health_seconds)
            number += 1
            for worker in self.workers:
                if worker.process is None:
                    continue
                if worker.unanswered * self._timing.health_seconds >= self._timing.hung_seconds:
                    telemetry.handled("worker", f"{worker.name} gave no sign of life and is replaced")
                    kill(worker.process)
                else:
                    worker.unanswered += 1
                    self._send(worker, pack(Ping(number)))

    def _send(self, worker: Worker, data: bytes) -> None:
        if worker.process is not None and worker.process.stdin is not None and not worker.process.stdin.is_closing():
            worker.process.stdin.write(data)


async def _spawn(role: str) -> asyncio.subprocess.Process:
    """Begin a worker's process, which ends with this one even when it is hung."""
    environment = {name: os.environ[name] for name in ENVIRONMENT_OF_WORKERS if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *tethered((*COMMAND_LINE, role), signal.SIGKILL),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def _reader_of(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise InvariantError("a worker without a pipe")
    return process.stdout


def _tell_guest(worker: Worker, news: str) -> None:
    """Say what a guest does now: that it is up once, that it is idle when it has nothing left to do."""
    if not isinstance(worker, Guest) or (news == "up" and worker.is_up) or (news == "idle" and worker.running):
        return
    worker.is_up = worker.is_up or news == "up"
    worker.look()
    worker.news(worker, news)


def _kill_if_running(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        kill(process)
