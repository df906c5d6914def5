"""Consumers die slowly: a thread of its own sees it, shows all stacks, and ends the process.

The supervisor starts it again. Five things count as a stall when they last ``STALL_SECONDS``: the event loop does not
turn; the engine's call gets no answer from the broker; a fetch was handed over and not worked on; the broker does not
say how far the partitions reach; a partition has lag and its position stands still. A thread, because a task would hang
together with the loop.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NamedTuple, NoReturn

from streams import telemetry
from streams.ports import TopicPartition
from streams.runtime.lease import boot_seconds

STALL_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
STACKS_MAX: Final = 100
FRAMES_MAX: Final = 20
EXIT_STALLED: Final = 72


class Lag(NamedTuple):
    """How far a partition was read, and where it ends."""

    position: int
    end: int


@dataclass(slots=True)
class Progress:
    """What the event loop says about itself; single assignments only, so that the thread needs no lock.

    ``beat_at`` is the last turn of the loop, ``calling_since`` the last sign of life of a call into the engine (0:
    none runs), ``handed_since`` when a fetch was handed to the agent (0: none waits), ``measured_at`` when the broker
    last said how far the partitions reach. All in seconds of ``clock``.
    """

    clock: Callable[[], float] = boot_seconds
    beat_at: float = 0.0
    calling_since: float = 0.0
    handed_since: float = 0.0
    measured_at: float = 0.0
    lags: dict[TopicPartition, Lag] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.beat_at = self.measured_at = self.clock()

    def beat(self) -> None:
        """Say that the loop turns."""
        self.beat_at = self.clock()

    def measured(self) -> None:
        """Say that the broker answered the question how far the partitions reach."""
        self.measured_at = self.clock()

    def answered(self) -> None:
        """Say that the broker answered the call that runs."""
        if self.calling_since:
            self.calling_since = self.clock()


class Stall(NamedTuple):
    """What stands still, and for how long.

    ``topic`` is ``loop``, ``engine``, ``handover`` or ``broker`` when it is no partition's.
    """

    topic: str
    partition: int
    seconds: float


class Judge:
    """Says whether a process stalls; keeps how long each partition has had lag without moving."""

    def __init__(self, progress: Progress, stall_seconds: float = STALL_SECONDS) -> None:
        self._progress = progress
        self._limit = stall_seconds
        self._behind: dict[TopicPartition, tuple[int, float]] = {}

    def look(self) -> Stall | None:
        """Return what stalls now, the nearest cause first; None when all is well. To be called every second."""
        now = self._progress.clock()
        own = (
            ("loop", self._progress.beat_at),
            ("engine", self._progress.calling_since),
            ("handover", self._progress.handed_since),
            ("broker", self._progress.measured_at),
        )
        for name, since in own:
            if since and now - since >= self._limit:
                return Stall(name, -1, now - since)
        return self._partitions(now)

    def _partitions(self, now: float) -> Stall | None:
        lags = self._progress.lags
        self._behind = {where: seen for where, seen in self._behind.items() if where in lags}
        for where, lag in lags.items():
            position, since = self._behind.get(where, (-1, now))
            if lag.end <= lag.position or lag.position != position:
                since = now
            self._behind[where] = (lag.position, since)
            if now - since >= self._limit:
                return Stall(where.topic, where.partition, now - since)
        return None


def end_process(loop: asyncio.AbstractEventLoop) -> NoReturn:
    """Write the stacks of all threads and tasks to stderr, and end the process at once."""
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    try:
        for task in list(asyncio.all_tasks(loop))[:STACKS_MAX]:
            _show(task)
    except RuntimeError as error:  # the loop changed its set of tasks meanwhile
        telemetry.handled("watchdog_stacks", f"{error}")
    os._exit(EXIT_STALLED)


def _show(task: asyncio.Task[Any]) -> None:
    """Write what a task waits for, down to the innermost await; ``Task.print_stack`` shows the outermost alone."""
    frames: list[tuple[FrameType, int]] = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None and len(frames) < FRAMES_MAX:
        frames.append((frame, frame.f_lineno))
        awaited = awaited.cr_await
    shown = traceback.StackSummary.extract(iter(frames)).format()
    sys.stderr.write(f"Stack for {task!r} (most recent await last):\n{''.join(shown)}")


class Watchdog(threading.Thread):
    """Looks once a second; ``end`` is called once with the loop, when something stalls."""

    def __init__(
        self,
        stage: str,
        judge: Judge,
        loop: asyncio.AbstractEventLoop,
        *,
        end: Callable[[asyncio.AbstractEventLoop], None] = end_process,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._stage = stage
        self._judge = judge
        self._loop = loop
        self._end = end
        self._look_seconds = look_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until stopped or until something stalls."""
        while not self._stopped.wait(self._look_seconds):
            stall = self._judge.look()
            if stall is not None:
                telemetry.watchdog_fired(self._stage, stall.topic, stall.partition, stall.seconds)
                self._end(self._loop)
                return

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
