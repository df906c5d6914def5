"""Two clocks for what Logmend's own code takes within one process: the wall clock, and the processor's time.

A machine that does other things takes the processor away in the middle of a step, or makes a file wait for its disk.
By the wall clock that is part of the step, so over a thousand steps the longest one says more of the machine than of
the code; the processor time of this process goes on only while its own code (and the kernel on its behalf) is running,
the garbage collector's pauses included. So means are compared by the wall clock, which holds every wait there is and
where one pause hardly counts, and maxima by processor time. What this can't tell from a pause: a wait of our own that
comes now and then, and is too rare to show in the mean. The longest step by the wall clock is printed beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Struct


class Span(NamedTuple):
    """How long one step took, in milliseconds: by the wall clock, and of all of this process's threads together."""

    wall: float
    cpu: float


class Times(Struct, frozen=True):
    """Milliseconds over several steps: mean and maximum by the wall clock, maximum of the processor time."""

    mean: float
    max: float
    cpu_max: float


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall_s = time.perf_counter()
        self._cpu_s = time.process_time()

    def read(self) -> Span:
        """Return the time since then; it runs on."""
        return Span((time.perf_counter() - self._wall_s) * 1000, (time.process_time() - self._cpu_s) * 1000)


def times(spans: Sequence[Span]) -> Times:
    """Return the mean and the maxima of some steps; ``ValueError`` when there was none, which is no measurement."""
    walls = [span.wall for span in spans]
    if not walls:
        raise ValueError("nothing was measured")
    cpu_max = max(span.cpu for span in spans)
    return Times(round(sum(walls) / len(walls), 3), round(max(walls), 3), round(cpu_max, 3))


def timed(count: int, work: Callable[[], object]) -> Times:
    """Do something ``count`` times, and return what it took."""
    spans = []
    for _ in range(count):
        watch = Stopwatch()
        work()
        spans.append(watch.read())
    return times(spans)
