"""How busy the processors of this host are."""

from __future__ import annotations

import psutil


class Processors:
    """The busy share of all processors between two questions; psutil's own memory of that is by thread."""

    def __init__(self) -> None:
        self._before = _processor_seconds()

    def busy_percent(self) -> float:
        """Return the share since the last question, or since this was made; waiting for a disk is idleness."""
        (idle_before, total_before), now = self._before, _processor_seconds()
        self._before = now
        passed = now[1] - total_before
        busy = 100 * (1 - (now[0] - idle_before) / passed) if passed > 0 else 0.0
        return round(min(max(busy, 0.0), 100.0), 1)


def _processor_seconds() -> tuple[float, float]:
    """Return the seconds that the processors were idle, and all their seconds."""
    times = psutil.cpu_times()
    guests = times.guest + times.guest_nice  # which are in user and nice already
    return times.idle + times.iowait, sum(times) - guests
