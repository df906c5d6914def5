"""The measures are those that were published: values worked out by hand, or by the benchmarks' own code."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from analytics.evaluation.data import Floats, Series
from analytics.evaluation.episodes import candidates, lowest, onsets
from analytics.evaluation.nab import Judge, Outcome, leave_one_out, probation_rows, scaled_sigmoid, together
from analytics.evaluation.vus import segments, vus_pr

STEP_MS = 300_000
ROWS = 1_000
WINDOW = (500, 599)
"""First and last row of the only window."""


def series(windows: tuple[tuple[int, int], ...] = (WINDOW,)) -> Series:
    """Return a series of ``ROWS`` values with windows given as rows."""
    at_ms = np.arange(ROWS, dtype=np.int64) * STEP_MS
    return Series("one", at_ms, np.zeros(ROWS), tuple((a * STEP_MS, b * STEP_MS) for a, b in windows))


def sigmoid(position: float) -> float:
    """Return the benchmark's scaled sigmoid, as it is published."""
    return 2 / (1 + exp(5 * position)) - 1


def labels(text: str) -> np.ndarray:
    """Return a label per character, ``#`` for an incident."""
    return np.array([one == "#" for one in text])


def test_an_alarm_on_the_first_row_of_every_window_scores_100() -> None:
    """A perfect detector has the score 100, one that never alarms 0."""
    judge = Judge(series())
    assert judge.outcome([WINDOW[0]]).standard == pytest.approx(100)
    assert judge.outcome([]).standard == 0


@pytest.mark.parametrize("row", [500, 550, 599])
def test_an_alarm_is_worth_the_less_the_later_it_is(row: int) -> None:
    """Within a window the sigmoid of the position from its end, in widths, over that of the first row."""
    expected = sigmoid((row - 600) / 100) / sigmoid(-1)
    assert Judge(series()).outcome([row]).points == pytest.approx(expected)


def test_only_the_earliest_alarm_of_a_window_counts() -> None:
    """More alarms in a window are worth nothing, and cost nothing."""
    judge = Judge(series())
    assert judge.outcome([510, 520, 530]).points == judge.outcome([510]).points


@pytest.mark.parametrize(("row", "cost"), [(300, 0.11), (999, 0.11), (601, -0.11 * sigmoid(2 / 99))])
def test_a_false_alarm_costs_more_the_further_behind_a_window_it_is(row: int, cost: float) -> None:
    """Before the first window and three widths behind one it costs 0.11; just behind one nearly nothing."""
    assert Judge(series()).outcome([row]).points == pytest.approx(-1.0 - cost)


def test_probation_counts_neither_way() -> None:
    """Alarms in the first 15 % of a series, at most 750 rows, are not looked at."""
    assert probation_rows(ROWS) == 150
    assert probation_rows(20_000) == 750
    assert Judge(series()).outcome([0, 149]) == Judge(series()).outcome([])
    assert Judge(series()).outcome([150]).false_alarms == 1


def test_a_series_without_windows_can_only_lose() -> None:
    """Where nothing is abnormal each alarm is false."""
    outcome = Judge(series(())).outcome([200, 900])
    assert (outcome.windows, outcome.false_alarms) == (0, 2)
    assert outcome.points == pytest.approx(-0.22)


def test_a_threshold_is_chosen_without_the_series_it_is_used_on() -> None:
    """A series whose own best threshold differs from that of all others gets that of all others."""
    good, bad = Outcome(1.0, 1, 1, 1, 0, 1.0), Outcome(-1.0, 1, 0, 0, 0, 1.0)
    assert leave_one_out([[good, bad], [bad, good], [bad, good], [bad, good]]) == [1, 1, 1, 1]


def test_outcomes_add_up() -> None:
    """Two series together have the points, windows and days of both."""
    one = Judge(series()).outcome([500])
    assert together([one, one]).standard == pytest.approx(one.standard)
    assert together([one, one]).days == pytest.approx(2 * one.days)


def test_scaled_sigmoid_ends_three_widths_behind() -> None:
    """Past three widths an alarm is wholly false."""
    assert scaled_sigmoid(3.01) == -1.0
    assert scaled_sigmoid(0.0) == 0.0


@pytest.mark.parametrize(
    ("seed", "width", "expected"),
    [(1, 30, 0.8126342398), (2, 7, 0.7331724078), (3, 100, 0.8478327125)],
)
def test_vus_pr_is_that_of_the_benchmark(seed: int, width: int, expected: float) -> None:
    """On random scores and labels the volume is what TSB-AD's own code gives (RangeAUC_volume_opt)."""
    label, score = case(seed)
    assert vus_pr(label, score, width) == pytest.approx(expected, abs=1e-9)


def case(seed: int) -> tuple[np.ndarray, Floats]:
    """Return 400 labels with four incidents, and scores that are somewhat higher in them."""
    chance = np.random.default_rng(seed)
    label = np.zeros(400, dtype=bool)
    for first in chance.integers(20, 370, 4):
        label[first : first + chance.integers(1, 25)] = True
    return label, chance.random(400) + 0.5 * label


def test_vus_pr_of_a_perfect_score_without_buffer_is_one() -> None:
    """With no buffer, a score that is high exactly where the label is set has an area of 1."""
    label = labels("..........####................##........")
    assert vus_pr(label, label.astype(float), 0) == pytest.approx(1.0)


def test_vus_pr_by_hand() -> None:
    """Two rows, one labelled and ranked first: precision 1 up to recall 1; ranked last: precision 1/2."""
    label = labels("#.")
    assert vus_pr(label, np.array([1.0, 0.0]), 0) == pytest.approx(1.0)
    assert vus_pr(label, np.array([0.0, 1.0]), 0) == pytest.approx(0.5)


def test_nothing_labelled_has_no_volume() -> None:
    """Without an incident there is nothing to find."""
    assert np.isnan(vus_pr(np.zeros(10, dtype=bool), np.arange(10.0)))


def test_segments_are_runs_of_labels() -> None:
    """Runs at either end are segments too."""
    assert segments(labels("##..#...###")) == [(0, 2), (4, 5), (8, 11)]


def test_an_alarm_is_quiet_for_a_while() -> None:
    """Of a run above the threshold the first row alarms, and again after the quiet rows."""
    assert onsets(np.array([0, 1, 1, 1, 1, 0, 1.0]), 1.0, 3) == [1, 4]


def test_the_lowest_threshold_keeps_to_the_false_alarms() -> None:
    """The walk starts at the highest and stops before the first that alarms too often, whatever lies below."""
    rates = {1.0: 0.0, 2.0: 9.0, 3.0: 1.0, 4.0: 0.0}
    assert lowest(np.array(sorted(rates)), rates.__getitem__, 1.0) == 3.0


def test_candidates_are_scores_up_to_the_highest() -> None:
    """Thresholds to choose from are scores, ascending, and the highest is one of them."""
    found = candidates([np.arange(1000.0)])
    assert found[-1] == 999.0
    assert (np.diff(found) > 0).all()
