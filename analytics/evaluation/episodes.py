"""From scores to alarms, and one threshold for all that is not chosen on what it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from analytics.evaluation.data import Floats

CANDIDATES: Final = 400


def onsets(score: Floats, threshold: float, quiet_rows: int) -> list[int]:
    """Return the rows that raise an alarm: at or above the threshold, and none for ``quiet_rows`` after an alarm."""
    raised: list[int] = []
    for row in np.flatnonzero(score >= threshold).tolist():
        if not raised or row - raised[-1] >= quiet_rows:
            raised.append(row)
    return raised


def episodes(score: Floats, threshold: float, gap_rows: int) -> list[tuple[int, int]]:
    """Return each episode at or above the threshold as (first row, last row); shorter gaps don't end one."""
    rows = np.flatnonzero(score >= threshold)
    if not len(rows):
        return []
    ends = np.flatnonzero(np.diff(rows) >= gap_rows)
    firsts = [int(rows[0]), *(int(rows[end + 1]) for end in ends)]
    lasts = [*(int(rows[end]) for end in ends), int(rows[-1])]
    return list(zip(firsts, lasts, strict=True))


def candidates(scores: Sequence[Floats]) -> Floats:
    """Return thresholds to choose from, ascending: quantiles of all scores, the closer the higher."""
    everything = np.sort(np.concatenate(scores))
    places = len(everything) - np.geomspace(1, len(everything), CANDIDATES)
    return np.unique(everything[places.astype(int)])


def lowest(thresholds: Floats, false_per_day: Callable[[float], float], most_per_day: float) -> float:
    """Return the lowest threshold from which on upwards no more than ``most_per_day`` false alarms are raised."""
    chosen = float(thresholds[-1])
    for threshold in thresholds[::-1]:
        if false_per_day(float(threshold)) > most_per_day:
            break
        chosen = float(threshold)
    return chosen
