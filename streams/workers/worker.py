"""A process of the pool (``python -m streams.workers.worker NAME``), for a role, or a spare that becomes a specialist.

It takes commands from its manager's pipe and runs them.

One thread, one loop over pipes. An action runs in a child of its own (``sandbox.py``), but for those that only replace
a small file: they are done here, in a few milliseconds. When the manager is gone (end of file) whatever runs is killed
and the worker ends: the next manager's journal knows what to do about it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import sys
import time
from collections import deque
from typing import Final

from streams.catalogue import teams
from streams.core.commands import command_sha256
from streams.core.events import Command
from streams.workers import limits, sandbox
from streams.workers.clock import now_ms
from streams.workers.errand import answer, is_errand
from streams.workers.frames import Become, Ended, Frames, Hold, Leave, Ping, Pong, Request, Run, pack
from streams.workers.orders import Order, RefusedError, order_of
from streams.workers.results import Result
from streams.workers.roles import HANDLERS, abilities, handler
from streams.workers.sandbox import Child

READ_BYTES: Final = 65_536
LOOK_SECONDS: Final = 0.1
PR_SET_NAME: Final = 15


class Worker:
    """The loop of one worker. ``name``, a role or a specialist, limits what it runs; a spare runs nothing."""

    def __init__(self, name: str, inlet: int, outlet: int) -> None:
        self._inlet = inlet
        self._outlet = outlet
        self._frames = Frames(Request)
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, tuple[Child, int]] = {}
        self._looks: deque[Run] = deque()
        """Looks of a specialist that wait for the one that is under way."""
        self._leaving = False
        self._become(name)
        self._cold = sorted(self._actions or HANDLERS)
        """Actions whose modules are not imported yet: that is done while there is nothing else to do."""

    def _become(self, name: str) -> None:
        """Work under a name from now on; the kernel shows its first 15 letters."""
        self._name = name
        self._actions = abilities(name)
        self._specialist = teams().specialist(name)
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())

    def run(self) -> None:
        """Work until told to leave, or until the manager is gone."""
        self._selector.register(self._inlet, selectors.EVENT_READ)
        while not (self._leaving and not self._children):
            ready = self._selector.select(self._patience())
            if not ready and self._cold:
                handler(self._cold.pop())  # once here, not in every action's child
            for key, _ in ready:
                if key.fd == self._inlet:
                    if not self._listen():
                        self._abandon()
                        return
                else:
                    self._collect(key.fd)
            self._enforce()

    def _patience(self) -> float | None:
        """Return how long there is nothing to do but to listen, in seconds; None for ever."""
        if self._cold:
            return 0.0
        return LOOK_SECONDS if self._children else None

    def _listen(self) -> bool:
        data = os.read(self._inlet, READ_BYTES)
        for frame in self._frames.feed(data):
            match frame:
                case Run():
                    self._take(frame)
                case Ping(number):
                    self._say(pack(Pong(number, len(self._children))))
                case Become(name):
                    self._become(name)
                case Hold(memory_mb, cpu):
                    limits.hold(memory_mb, cpu)
                case Leave():
                    self._leaving = True
        return bool(data)

    def _take(self, run: Run) -> None:
        """Begin a command; looks of a specialist one by one, because each may hold all of what it was given."""
        if is_errand(run.command):
            self._answer(run)
        elif self._specialist is None or run.command.kind != "look":
            self._begin(run)
        else:
            self._looks.append(run)
            self._look()

    def _answer(self, run: Run) -> None:
        """Answer an errand, here and now."""
        command, started_ms = run.command, now_ms()
        try:
            result = answer(self._name, command)
        except RefusedError as error:
            self._end(command.id, "refused", Result(ok=False, code=error.code, effect="none", detail=str(error)))
        else:
            self._end(command.id, "done", result, started_ms)

    def _look(self) -> None:
        while self._looks and not any(child.order.action.looks for child, _ in self._children.values()):
            self._begin(self._looks.popleft())

    def _begin(self, run: Run) -> None:
        """Look at the command once more, immediately before it takes effect, and begin it."""
        command = run.command
        try:
            order = self._order(command)
        except RefusedError as error:
            self._end(command.id, "refused", Result(ok=False, code=error.code, effect="none", detail=str(error)))
            return
        if now_ms() > run.give_up_ms:
            self._end(command.id, "expired", Result(ok=False, code="expired", effect="none"))
            return
        if run.dry_run:
            self._end(command.id, "refused", Result(ok=False, code="dry_run", effect="none"))
            return
        started_ms = now_ms()
        if order.action.in_process:
            self._finish(order, sandbox.perform(order, run.surroundings), started_ms)
            return
        child = sandbox.launch(order, run.surroundings)
        self._children[child.pipe] = (child, started_ms)
        self._selector.register(child.pipe, selectors.EVENT_READ)

    def _order(self, command: Command) -> Order:
        if command.action not in self._actions:
            raise RefusedError("wrong_role", "the role of this worker does not run it")
        if command_sha256(command) != command.sha256:
            raise RefusedError("wrong_hash", "the command is not the one that was hashed")
        order = order_of(command)
        topic = order.values.get("topic")
        if topic is not None and self._specialist is not None and topic not in self._specialist.topics:
            raise RefusedError("wrong_topic", f"a {self._specialist.name} does not look at {topic}")
        return order

    def _collect(self, pipe: int) -> None:
        child, started_ms = self._children[pipe]
        if child.listen():
            return
        self._selector.unregister(pipe)
        del self._children[pipe]
        self._finish(child.order, child.collect(), started_ms)
        self._look()

    def _finish(self, order: Order, result: Result, started_ms: int) -> None:
        doubtful = result.effect == "unknown" and not order.repeatable
        self._end(order.command_id, "in_doubt" if doubtful else "done", result, started_ms)

    def _enforce(self) -> None:
        for child, _ in self._children.values():
            if time.monotonic() > child.give_up:
                child.kill()

    def _end(self, command_id: str, status: str, result: Result, started_ms: int = 0) -> None:
        finished_ms = now_ms() if started_ms else 0
        self._say(pack(Ended(command_id, status, result, started_ms, finished_ms)))

    def _say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._outlet, data) :]

    def _abandon(self) -> None:
        for child, _ in self._children.values():
            child.kill()


def main(name: str) -> None:
    """Serve the manager at the other end of standard input and output."""
    outlet = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        Worker(name, sys.stdin.fileno(), outlet).run()


if __name__ == "__main__":
    main(sys.argv[1])
