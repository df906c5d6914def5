"""What is left out when detect falls behind, in which order, and never for what is critical.

Kafka is the queue: a backlog that shrinks by itself sheds nothing, however old it is. While the oldest line at hand is
older than a limit and its age has grown since the last look, one more rung is shed:

1. ``TEMPLATES``: a line that looks like an error and matches no rule is counted by service, severity and second, and no
   longer by its template: reading one costs as much as all else of a line.
2. ``TEXTS``: the text of detected lines is no longer kept as evidence; their places in the topic are.

Seconds stay seconds: ten of them counted as one would look like a burst. Lines of severity critical and fatal lose
nothing, and every line is counted. How much was shed is in the slice (``shed_templates``, ``shed_texts``), so that it
is a fact.
"""

from __future__ import annotations

from typing import Final

from streams.core.events import Slice

TEMPLATES: Final = 1
TEXTS: Final = 2
KEPT: Final = frozenset({"critical", "fatal"})
"""The severities that lose nothing."""
LOOK_MS: Final = 5_000
"""A fetch takes half a second at most, so a look has seen several of them."""
GROWTH_MS: Final = 2_000
"""What lag must have grown by: it sways by the time of a fetch, also where a host's clock is ahead of the broker's."""
JUMP_FACTOR: Final = 1.5
"""Lag grows no faster than time: what rises so much faster is a clock that was set, or a partition that was taken."""


def rung_of(piece: Slice) -> int:
    """Return the rung at which the same records give this slice again."""
    if piece.shed_texts:
        return TEXTS
    return TEMPLATES if piece.shed_templates else 0


class Pressure:
    """How much one process sheds now; it is told the lag of what it reads, and asked by its slicers.

    Times are milliseconds. A limit of 0 never sheds.
    """

    def __init__(self, limit_ms: int = 0) -> None:
        self.limit_ms: Final = limit_ms
        self.rung = 0
        self._looked_ms = self._before_ms = self._base_ms = -1
        self._worst_ms = 0

    def seen(self, lag_ms: int, now_ms: int) -> bool:
        """Take in that a line was read so long after its append; return whether the rung is another one now.

        ``now_ms`` is of a clock that never goes back.
        """
        self._worst_ms = max(self._worst_ms, lag_ms)
        if self._looked_ms < 0:
            self._looked_ms = now_ms
        if not self.limit_ms or now_ms - self._looked_ms < LOOK_MS:
            return False
        was, self.rung = self.rung, self._judged(now_ms - self._looked_ms)
        self._looked_ms, self._before_ms, self._worst_ms = now_ms, self._worst_ms, 0
        return self.rung != was

    def _judged(self, elapsed_ms: int) -> int:
        """Return the rung that follows; all is kept again only from half of the limit down, so that it stays a while.

        ``_base_ms`` is the least lag since the last rung.
        """
        lag_ms = self._worst_ms
        jumped = self._before_ms < 0 or lag_ms - self._before_ms > elapsed_ms * JUMP_FACTOR
        self._base_ms = lag_ms if jumped else min(self._base_ms, lag_ms)
        if lag_ms < self.limit_ms / 2:
            return 0
        if lag_ms < self.limit_ms or lag_ms - self._base_ms < GROWTH_MS:
            return self.rung
        self._base_ms = lag_ms
        return min(self.rung + 1, TEXTS)
