"""NAB's standard profile: how its scaled sigmoid rewards alarms, and one threshold for all series.

Source: A. Lavin and S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", 2015,
and ``nab/sweeper.py`` of that benchmark. Each alarm row outside of every window counts; of those in a window the
earliest. Rows of the probation (the first 15 %, at most 750) count neither way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from analytics.evaluation.data import DAY_MS, Floats, Series

FALSE_POSITIVE: Final = 0.11
PROBATION_PART: Final = 0.15
PROBATION_ROWS_MAX: Final = 750
FAR: Final = 3.0
"""Window widths behind a window from which on an alarm is wholly false."""


class Outcome(NamedTuple):
    """What the alarms of one series, or of several together, were worth."""

    points: float
    windows: int
    windows_hit: int
    alarms: int
    false_alarms: int
    days: float

    def plus(self, other: Outcome) -> Outcome:
        """Return both together."""
        return Outcome(
            self.points + other.points,
            self.windows + other.windows,
            self.windows_hit + other.windows_hit,
            self.alarms + other.alarms,
            self.false_alarms + other.false_alarms,
            self.days + other.days,
        )

    @property
    def standard(self) -> float:
        """The score: 0 for no alarm at all, 100 for one at the first row of each window and none elsewhere."""
        return 100 * (self.points + self.windows) / (2 * self.windows) if self.windows else math.nan


NOTHING: Final = Outcome(0.0, 0, 0, 0, 0, 0.0)


def scaled_sigmoid(position: float) -> float:
    """Return what an alarm is worth at a position in window widths: -1 its first row, 0 its end, above behind it."""
    return -1.0 if position > FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def probation_rows(rows: int) -> int:
    """Return how many rows at the begin of a series count neither way."""
    return min(math.floor(PROBATION_PART * rows), PROBATION_ROWS_MAX)


class Judge:
    """Scores alarms on one series: what each row is worth is worked out once."""

    def __init__(self, series: Series) -> None:
        self.rows = len(series.values)
        self.probation = probation_rows(self.rows)
        self.days = float(series.at_ms[-1] - series.at_ms[self.probation]) / DAY_MS
        self.spans = [
            (int(np.searchsorted(series.at_ms, first)), int(np.searchsorted(series.at_ms, last, side="right")))
            for first, last in series.windows
        ]
        self.worth = _worth(self.rows, self.spans)

    def outcome(self, alarms: Sequence[int]) -> Outcome:
        """Score alarms, given as ascending rows."""
        counted = [row for row in alarms if row >= self.probation]
        points, hit, within = 0.0, 0, 0
        for begin, end in self.spans:
            inside = [row for row in counted if begin <= row < end]
            hit += bool(inside)
            within += len(inside)
            points += float(self.worth[inside[0]]) if inside else -1.0
        points += sum(float(self.worth[row]) for row in counted if self.worth[row] < 0.0)
        return Outcome(points, len(self.spans), hit, len(counted), len(counted) - within, self.days)


def _worth(rows: int, spans: Sequence[tuple[int, int]]) -> Floats:
    """Return what an alarm on each row is worth: in a window (0, 1], elsewhere below 0."""
    worth = np.full(rows, -FALSE_POSITIVE)
    most = scaled_sigmoid(-1.0)
    ends = [begin for begin, _ in spans[1:]] + [rows]
    for (begin, end), until in zip(spans, ends, strict=False):
        width = end - begin
        for row in range(begin, end):
            worth[row] = scaled_sigmoid((row - end) / width) / most
        for row in range(end, until):
            worth[row] = FALSE_POSITIVE * scaled_sigmoid((row - end + 1) / max(width - 1, 1))
    return worth


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Return outcomes of several series as one."""
    total = NOTHING
    for one in outcomes:
        total = total.plus(one)
    return total


def leave_one_out(table: Sequence[Sequence[Outcome]]) -> list[int]:
    """Return for each series the threshold that is best on all others.

    ``table`` has a row per series and a column per candidate threshold, ascending. Of equally good ones the middle.
    """
    points = np.array([[one.points for one in row] for row in table])
    rest = points.sum(axis=0) - points
    chosen = []
    for row in rest:
        best = np.flatnonzero(row >= row.max() - 1e-9)
        chosen.append(int(best[len(best) // 2]))
    return chosen
