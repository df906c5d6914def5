"""Is the state of a thing with many metrics abnormal? One row of metrics at a time, the same tracks as for one series.

Each metric gives two standard scores (``Track``): of its level and of its restlessness. The row of all of them is
compared with the states that the thing is known to be in (sequential k-means: J. MacQueen, 1967). The mean square
distance to the nearest is 1 on average in the long run whatever the metrics are, so it means the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Final

from msgspec import Struct

from streams.core.anomaly import Finding
from streams.core.num import log
from streams.core.series import Track
from streams.core.tails import LN10

STATES: Final = 16
STATE_ROWS: Final = 173
"""Rows after which one more state is begun, while there are fewer than ``STATES``; no part of an hour, day or week."""
STATE_MEMORY: Final = 2_000
LEARNED: Final = 4.0
"""A row further away than this moves its state as if it were that far."""
SMOOTH: Final = 3.5
"""Rows over which the distance is smoothed."""


class State(Struct):
    """A state the thing is known to be in: where it lies, the square of that, and rows that were nearest to it."""

    centre: list[float]
    square: float
    rows: int = 1


class Group(Struct):
    """Metrics of one thing, in an order that stays."""

    tracks: list[Track] = []
    states: list[State] = []
    rows: int = 0
    distance: float = 0.0

    def see(self, values: Sequence[float]) -> Finding:
        """Say how abnormal a row is for what was seen before it, then learn it. NaN: not measured, never abnormal.

        With a distance ``d`` whose mean is 1, at most two in ``1 + d`` rows are as far (Markov's inequality): the score
        is 1 - 1 / (1 + d), the surprise log10(1 + d).
        """
        if not self.tracks:
            self.tracks = [Track() for _ in values]
            self.states = [State([0.0] * (2 * len(values)), 0.0)]
        row: list[float] = []
        for track, value in zip(self.tracks, values, strict=True):
            if math.isfinite(value):
                row.extend(track.see(value)[-2:])
            else:
                row.extend((0.0, 0.0))
        self.rows += 1
        self.distance += (self._nearest(row) - self.distance) / SMOOTH
        far = 1.0 + self.distance
        return Finding(1.0 - 1.0 / far, log(far) / LN10)

    def _nearest(self, row: list[float]) -> float:
        """Return the mean square distance of a row to the nearest state, and learn it."""
        square = math.fsum(map(mul, row, row))
        nearest, least = self.states[0], math.inf
        for state in self.states:
            distance = square + state.square - 2.0 * math.fsum(map(mul, row, state.centre))
            if distance < least:
                nearest, least = state, distance
        far = max(least, 0.0) / len(row)
        if len(self.states) < STATES and self.rows % STATE_ROWS == 0:
            self.states.append(State(list(row), square))
        else:
            _move(nearest, row, far)
        return far


def _move(state: State, row: list[float], far: float) -> None:
    """Move a state towards a row of its own."""
    state.rows += 1
    rate = min(1.0, LEARNED / far if far else 1.0) / min(state.rows, STATE_MEMORY)
    state.centre = [held + rate * (value - held) for held, value in zip(state.centre, row, strict=True)]
    state.square = math.fsum(map(mul, state.centre, state.centre))
