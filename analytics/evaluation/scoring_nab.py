"""``logmend score nab``: the standard profile of our detector and of chance, one threshold for all series."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct

from analytics.evaluation import data, streaming
from analytics.evaluation.baselines import uniform
from analytics.evaluation.data import Floats, Series
from analytics.evaluation.episodes import onsets
from analytics.evaluation.figures import Panel, save_panels
from analytics.evaluation.nab import Judge, Outcome, leave_one_out, together

QUIET_ROWS: Final = 144
"""Values for which a series raises no second alarm: half a day of the benchmark's five minutes."""
GRID: Final = np.arange(0.5, 8.01, 0.05)
"""Thresholds to choose from, in decades of surprise."""
SEEDS: Final = 10


class SeriesScore(Struct, frozen=True, kw_only=True):
    """One series: the threshold that is best on all others, and what its alarms were worth."""

    name: str
    threshold: float
    points: float
    windows: int
    windows_hit: int
    false_alarms: int


class NabScore(Struct, frozen=True, kw_only=True):
    """All series together; ``standard_best_threshold`` had the threshold been chosen on the series themselves."""

    standard: float
    random_standard: float
    standard_best_threshold: float
    window_precision: float
    window_recall: float
    false_alarms_per_day: float
    series: list[SeriesScore]

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the contract, and each series."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "series"} | {
            "series": [{name: getattr(one, name) for name in one.__struct_fields__} for one in self.series]
        }


def score(directory: Path, plot: Path | None = None) -> NabScore:
    """Score a directory of NAB's layout; draw each series into ``plot``."""
    series = data.nab(directory)
    judges = [Judge(one) for one in series]
    scores = [streaming.of_series(one) for one in series]
    chosen, outcomes, best = _judged(judges, scores)
    total = together(outcomes)
    chance = [_judged(judges, _chance(series, seed))[1] for seed in range(SEEDS)]
    if plot:
        save_panels(plot, [_panel(*row) for row in zip(series, judges, scores, chosen, strict=True)])
    return NabScore(
        standard=total.standard,
        random_standard=float(np.mean([together(one).standard for one in chance])),
        standard_best_threshold=best,
        window_precision=_share(total.alarms - total.false_alarms, total.alarms),
        window_recall=_share(total.windows_hit, total.windows),
        false_alarms_per_day=total.false_alarms / total.days,
        series=[
            SeriesScore(
                name=one.name,
                threshold=threshold,
                points=outcome.points,
                windows=outcome.windows,
                windows_hit=outcome.windows_hit,
                false_alarms=outcome.false_alarms,
            )
            for one, threshold, outcome in zip(series, chosen, outcomes, strict=True)
        ],
    )


def _judged(judges: list[Judge], scores: list[Floats]) -> tuple[list[float], list[Outcome], float]:
    """Return thresholds left one out, their outcomes, and the standard score of the threshold best on all."""
    table = [
        [judge.outcome(onsets(score, threshold, QUIET_ROWS)) for threshold in GRID]
        for judge, score in zip(judges, scores, strict=True)
    ]
    places = leave_one_out(table)
    best = max(together([row[place] for row in table]).standard for place in range(len(GRID)))
    chosen = [float(GRID[place]) for place in places]
    return chosen, [row[place] for row, place in zip(table, places, strict=True)], best


def _chance(series: list[Series], seed: int) -> list[Floats]:
    """Return random surprises: a rate of one in a thousand comes once in a thousand values."""
    return [-np.log10(1.0 - uniform(len(one.values), seed * len(series) + at)) for at, one in enumerate(series)]


def _panel(series: Series, judge: Judge, score: Floats, threshold: float) -> Panel:
    labelled, alarms = np.zeros(judge.rows, dtype=bool), np.zeros(judge.rows, dtype=bool)
    for begin, end in judge.spans:
        labelled[begin:end] = True
    alarms[onsets(score, threshold, QUIET_ROWS)] = True
    return Panel(series.name, series.values, 1.0 - 10.0**-score, labelled, alarms)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
