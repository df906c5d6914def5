"""Processes that wait to become specialists: begun, and with all imported, before anybody calls.

A start takes a processor 0.3 s with its imports. Three at once, on a host whose services fail just then, took more than
a second. So new ones are begun one by one, and not before nobody has called for a while: until then the host has better
things to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from streams import telemetry
from streams.workers import proc

SPARES: Final = 6
"""Two plans at once call so many, three each. Each holds 18 MB that it shares with nobody."""
RESTART_PAUSE_SECONDS: Final = 0.05
RESTART_PAUSE_MAX_SECONDS: Final = 5.0
STEADY_SECONDS: Final = 10.0
"""A process that lived this long is replaced at once again."""


class Pause:
    """How long to wait until a process that ended by itself is replaced: longer each time, unless it was steady."""

    def __init__(self) -> None:
        self._seconds = RESTART_PAUSE_SECONDS

    def after(self, began: float) -> float:
        """Return the pause in seconds after one that began then (monotonic, seconds) and has just ended."""
        steady = time.monotonic() - began > STEADY_SECONDS
        self._seconds = RESTART_PAUSE_SECONDS if steady else min(self._seconds * 2, RESTART_PAUSE_MAX_SECONDS)
        return self._seconds


class Spares:
    """The processes that wait. ``begin`` starts one; ``rest_seconds`` pass between a call or a start and the next."""

    def __init__(self, begin: Callable[[], Awaitable[Process]], rest_seconds: float) -> None:
        self._begin = begin
        self._rest_seconds = rest_seconds
        self._waiting: list[Process] = []
        self._pause = Pause()
        self._not_before = 0.0
        self._fewer = asyncio.Event()

    def take(self) -> Process | None:
        """Return one, the caller's from now on; None when there is none. One that is dead or stopped is none."""
        self._rest(self._rest_seconds)
        self._fewer.set()
        while self._waiting:
            process = self._waiting.pop(0)
            status = proc.status_of(process.pid)
            if status is not None and status.state not in proc.DEAD | proc.STOPPED:
                return process
            kill(process)
        return None

    async def keep(self) -> None:
        """Have ``SPARES`` wait, for ever; whatever ends this, none is left."""
        self._rest(self._rest_seconds)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._moment()
                    process = await self._start()
                    if process is not None:
                        group.create_task(self._watch(process))
        finally:
            await end(self._waiting)

    async def _moment(self) -> None:
        """Wait until one more is wanted, and the host has time for it."""
        while True:
            rest = self._not_before - time.monotonic()
            if len(self._waiting) >= SPARES:
                self._fewer.clear()
                await self._fewer.wait()
            elif rest > 0:
                await asyncio.sleep(rest)
            else:
                return

    async def _start(self) -> Process | None:
        """Begin one; None when this host can't."""
        began = time.monotonic()
        try:
            process = await self._begin()
        except OSError as error:
            telemetry.handled("worker", f"a spare has no process: {error.strerror}")
            self._rest(self._pause.after(began))
            return None
        self._waiting.append(process)
        self._rest(self._rest_seconds)
        return process

    async def _watch(self, process: Process) -> None:
        """See to it that one that ends while it waits is replaced."""
        began = time.monotonic()
        status = await process.wait()
        if process in self._waiting:
            self._waiting.remove(process)
            pause = self._pause.after(began)
            telemetry.child_restarted("spare", status, pause)
            self._rest(pause)
            self._fewer.set()

    def _rest(self, seconds: float) -> None:
        self._not_before = max(self._not_before, time.monotonic() + seconds)


async def end(processes: Sequence[Process]) -> None:
    """Kill processes, and wait until they are gone."""
    for process in processes:
        kill(process)
    for process in processes:
        await process.wait()


def kill(process: Process) -> None:
    """Kill a process, if there is still one."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
