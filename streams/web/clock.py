"""What time it is for the broker, and for the fold, as far as the records that come tell."""

from __future__ import annotations

from collections.abc import Callable


class BrokerClock:
    """The broker's clock: the stamp of the newest record, and how long ago it came.

    ``wall_ms`` is this host's clock, used until a record came; ``steady_s`` counts seconds and never goes back.
    """

    def __init__(self, wall_ms: Callable[[], int], steady_s: Callable[[], float]) -> None:
        self._wall_ms = wall_ms
        self._steady_s = steady_s
        self._stamp_ms = 0
        self._came_s = 0.0
        self._behind_ms = 0

    def came(self, stamp_ms: int) -> None:
        """Take the stamp of a record that has just come; one that was under way for long tells nothing new."""
        if not self._stamp_ms or stamp_ms >= self.now_ms():
            self._stamp_ms, self._came_s = stamp_ms, self._steady_s()

    def folded(self, append_ms: int, now_ms: int) -> None:
        """Take how far the fold's own time was behind the broker's at a decision."""
        self._behind_ms = append_ms - now_ms

    def now_ms(self) -> int:
        """Return the broker's time."""
        if not self._stamp_ms:
            return self._wall_ms()
        return self._stamp_ms + round((self._steady_s() - self._came_s) * 1000)

    def of_fold(self, fold_ms: int) -> int:
        """Return when a moment of the fold's time is, by the broker's clock, if it runs on as it does now."""
        return fold_ms + self._behind_ms
