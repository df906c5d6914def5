"""Is the state of a thing with many metrics abnormal? One row of metrics at a time, the same tracks as for one series.

Each metric gives two standard scores (``Track``): of its level and of its restlessness. The row of all of them is
compared with the states that the thing is known to be in (sequential k-means: J. MacQueen, 1967). A row that is far
from all is learnt the less the further it is, so an incident doesn't soon become the rule. The mean square
distance to the nearest is about 1 at most in the long run whatever the metrics are, so it means the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Final

from msgspec import Struct, field

from streams.core.num import log
from streams.core.series import Track
from streams.core.tails import LN10, Tail

STATES: Final = 16
STATE_ROWS: Final = 173
"""Rows after which one more state is begun, while there are fewer than ``STATES``; no part of an hour, day or week."""
STATE_MEMORY: Final = 2_000
LEARNED: Final = 4.0
"""A row further away than this moves its state as if it were that far."""
SMOOTH: Final = 1.5
"""Rows over which the distance is smoothed."""
NEAR: Final = 0.01
"""A distance below this is none: it keeps its logarithm finite."""


class Standing(Struct, frozen=True):
    """What is to be said of one row.

    ``surprise`` is log10(1 + d) of the mean square distance ``d``, and ``score`` is 1 - 1 / (1 + d), in 0..1: as the
    mean of ``d`` is about 1 at most, no more than two in 1 + d rows are as far (Markov's inequality). They are good
    from the first minutes on and stay high as long as the thing is abnormal. ``rarity`` is -log10 of the rate of
    episodes as strong in the thing's own past: with hours of history, a threshold on it is the same rate of alarms for
    each thing.
    """

    score: float = 0.0
    surprise: float = 0.0
    rarity: float = 0.0


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
    tail: Tail = field(default_factory=Tail)

    def widen(self, count: int) -> None:
        """Take so many further metrics in, after those that there are; what is known of those is kept."""
        if not self.states:
            self.states = [State([], 0.0)]
        self.tracks += [Track() for _ in range(count)]
        for state in self.states:
            state.centre = [*state.centre, *[0.0] * (2 * count)]

    def see(self, values: Sequence[float]) -> Standing:
        """Say how abnormal a row is for what was seen before it, then learn it. NaN: not measured, never abnormal."""
        if not self.tracks:
            self.widen(len(values))
        row: list[float] = []
        for track, value in zip(self.tracks, values, strict=True):
            row.extend(track.look(value)[-2:] if math.isfinite(value) else (0.0, 0.0))
        self.rows += 1
        far = self._nearest(row)
        weight = 1.0 / max(far, 1.0)
        for track, value in zip(self.tracks, values, strict=True):
            if math.isfinite(value):
                track.learn(value, weight)
        self.distance += (far - self.distance) / SMOOTH
        number = log(self.distance + NEAR)
        rarity = self.tail.surprise(number)
        self.tail.learn(number)
        return Standing(1.0 - 1.0 / (1.0 + self.distance), log(1.0 + self.distance) / LN10, rarity)

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
