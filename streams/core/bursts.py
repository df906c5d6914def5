"""How fast lines of one kind come: enough of them in a short time raise a severity (SPEC D, "rate raises a severity").

Counted in event time, so that a backlog that is read in one second is no burst. A count is exact to a sixth of the
window, which keeps it in seven numbers.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.events import SEVERITIES
from streams.core.strategy import PatternRow

PARTS: Final = 6
"""Parts that a window is counted in."""


class Burst(Struct):
    """Lines of one service and pattern: by the begin of the part of the window that they fell into (event time)."""

    parts: dict[int, int] = {}

    def add(self, at_ms: int, count: int, window_ms: int) -> None:
        """Count lines at ``at_ms``; what lies a window before the newest is forgotten, and a later line of it too."""
        part_ms = max(window_ms // PARTS, 1)
        begin_ms = at_ms - at_ms % part_ms
        oldest_ms = max(begin_ms, *self.parts, 0) - window_ms
        self.parts = {begin: lines for begin, lines in self.parts.items() if begin > oldest_ms}
        if begin_ms > oldest_ms:
            self.parts[begin_ms] = self.parts.get(begin_ms, 0) + count

    def lines(self) -> int:
        """Return how many lines the newest window holds."""
        return sum(self.parts.values())


def raised(row: PatternRow, severity: str, lines: int) -> str:
    """Return the severity that ``lines`` within one window give a pattern: its own, or the row's for a burst."""
    if not row.burst_lines or lines < row.burst_lines:
        return severity
    return max(severity, row.burst_severity, key=SEVERITIES.index)
