"""The two times of the fold, and the watermark that joins them.

``now_ms`` follows the append times of facts, but never back and never more than a minute at once, so that no clock step
and no outage moves a deadline by more than that. The watermark says up to which event time a set of sources has been
heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

STEP_MAX_MS: Final = 60_000
AHEAD_MAX_MS: Final = 300_000
"""An event time further ahead of its append time than this is clamped: a wrong clock must not close windows."""
SOURCES_MAX: Final = 10_000


class Clock(Struct):
    """Smoothed append time. Zero until the first fact."""

    now_ms: int = 0
    append_ms: int = 0

    def advance(self, append_ms: int) -> None:
        """Take the append time of the next fact into account."""
        if self.append_ms == 0:
            self.now_ms = append_ms
        else:
            self.now_ms += min(max(append_ms - self.append_ms, 0), STEP_MAX_MS)
        self.append_ms = append_ms


class Mark(Struct, array_like=True):
    """Progress of one source partition: its largest event time, and when (``now_ms``) it was last heard."""

    at_max_ms: int = 0
    heard_ms: int = 0


class Watermarks(Struct):
    """Marks of all source partitions, keyed ``source/partition``."""

    marks: dict[str, Mark] = {}

    def hear(self, source: str, at_ms: int, clock: Clock) -> None:
        """Note that a source spoke; ``at_ms`` 0 means that it said nothing about event time."""
        mark = self.marks.get(source)
        if mark is None:
            if len(self.marks) >= SOURCES_MAX:
                return
            mark = self.marks[source] = Mark()
        mark.at_max_ms = max(mark.at_max_ms, min(at_ms, clock.append_ms + AHEAD_MAX_MS))
        mark.heard_ms = clock.now_ms

    def passed_ms(self, sources: Iterable[str], clock: Clock, lateness_ms: int, silent_ms: int) -> int:
        """Return the event time up to which ``sources`` have been heard.

        A source silent for ``silent_ms`` leaves the minimum. When all are silent, nothing says that event time
        lags behind, and the last append time stands in for it.
        """
        live = [
            mark.at_max_ms
            for source in sources
            if (mark := self.marks.get(source)) and clock.now_ms - mark.heard_ms < silent_ms and mark.at_max_ms
        ]
        return (min(live) if live else clock.append_ms) - lateness_ms
