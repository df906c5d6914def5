"""The score of a service and its status, by the shipped table."""

from __future__ import annotations

import pytest

from streams.catalogue import strategies
from streams.catalogue.metrics import metrics
from streams.core.events import HEALTH_METRICS, SEVERITIES
from streams.core.features import SPANS
from streams.core.health import LEARNT, STATUSES, Measured, assess, badness
from streams.core.tracks import Track

TABLE = strategies().health
MINUTE_MS = 60_000


def history(metric: str, *values: float) -> Track:
    """Return a track that knows these minutes, and one more."""
    track = Track()
    for number, value in enumerate((*values, values[-1])):
        track.add(number * MINUTE_MS, value, SPANS["error_rate" if metric == "error_lines" else metric])
    return track


def judged(metric: str, value: float, *usual: float) -> float:
    """Return how bad a value is when the minutes before were as ``usual`` (none: nothing is known of them)."""
    return badness(TABLE.metrics[metric], value, history(metric, *usual) if usual else Track())


def health(**values: float) -> tuple[float, str]:
    """Return score and leading metric of values without a history."""
    found = assess({name: Measured(TABLE.metrics[name], value, Track()) for name, value in values.items()})
    return found.score, found.leading


def test_the_table_judges_all_twelve() -> None:
    """Every metric has a row, in which something can be at fault; the rows of the six statuses are in their order."""
    assert set(TABLE.metrics) == {*HEALTH_METRICS, "error_lines"}
    assert all(row.fine is not None or row.times_fine for row in TABLE.metrics.values())
    assert tuple(row.id for row in TABLE.statuses) == STATUSES
    assert {row.alert for row in TABLE.statuses} | {row.lasting for row in TABLE.statuses} == {"", *SEVERITIES}


def test_rows_know_how_totals_are_divided() -> None:
    """What ``metrics.toml`` says of units is what the core goes by."""
    assert {name: TABLE.metrics[name].per for name in HEALTH_METRICS} == {
        name: spec.per for name, spec in metrics().metrics.items()
    }
    assert TABLE.metrics["error_rate"].most == 100.0


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (100.0, "excellent"),
        (95.1, "excellent"),
        (95.0, "good"),
        (85.0, "good"),
        (84.9, "fair"),
        (70.0, "fair"),
        (69.9, "poor"),
        (50.0, "poor"),
        (49.9, "critical"),
        (0.0, "critical"),
    ],
)
def test_status_of_a_score(score: float, status: str) -> None:
    """Scores fall into the bands of SPEC P2."""
    assert TABLE.status(score).id == status


@pytest.mark.parametrize(
    ("before", "score", "after"),
    [
        ("good", 84.0, "good"),
        ("good", 82.9, "fair"),
        ("fair", 86.9, "fair"),
        ("fair", 87.1, "good"),
        ("critical", 51.0, "critical"),
        ("excellent", 10.0, "critical"),
        ("critical", 99.0, "excellent"),
        ("failed", 84.0, "fair"),
        ("", 84.0, "fair"),
    ],
)
def test_a_status_holds_near_its_band(before: str, score: float, after: str) -> None:
    """A score within two points of the band changes no status; from failed and from unknown it decides at once."""
    assert TABLE.settled(score, before).id == after


def test_what_is_fine_takes_nothing() -> None:
    """A service whose metrics are all within limits has 100 points, however few it reports."""
    assert health(cpu=40.0) == (100.0, "")
    assert health(cpu=40.0, memory=60.0, disk=84.0, availability=100.0, error_rate=0.5) == (100.0, "")


def test_one_metric_takes_its_weight() -> None:
    """A full disk takes its 60 points, however many other metrics are well."""
    assert health(disk=100.0) == (40.0, "disk")
    assert health(disk=100.0, cpu=1.0, memory=1.0, error_rate=0.0, availability=100.0) == (40.0, "disk")


def test_what_is_left_is_multiplied() -> None:
    """Two metrics at fault leave less than each, and the one that takes most leads."""
    score, leading = health(cpu=100.0, memory=100.0)
    assert score == pytest.approx(30.0)
    assert leading == "memory"


@pytest.mark.parametrize(
    ("metric", "usual", "value"),
    [
        ("cpu", 95.0, 96.0),
        ("cpu", 380.0, 381.0),
        ("memory", 94.0, 95.0),
        ("error_lines", 90.0, 90.0),
        ("response_time", 3_000.0, 3_100.0),
        ("cache_hit_rate", 20.0, 19.0),
        ("availability", 97.0, 97.0),
        ("network", 5e6, 6e6),
    ],
)
def test_the_usual_is_no_fault(metric: str, usual: float, value: float) -> None:
    """What a service always did is not held against it."""
    assert judged(metric, value, *[usual] * LEARNT) == 0.0


@pytest.mark.parametrize(
    ("metric", "usual", "value"),
    [
        ("memory", 99.0, 99.0),
        ("disk", 98.0, 98.0),
        ("error_rate", 40.0, 40.0),
        ("availability", 50.0, 50.0),
        ("response_time", 9_000.0, 9_000.0),
    ],
)
def test_absolute_limits_stay(metric: str, usual: float, value: float) -> None:
    """What no service should do is a fault, however usual it is."""
    assert judged(metric, value, *[usual] * LEARNT) > 0.2


@pytest.mark.parametrize(
    ("metric", "usual", "value"),
    [
        ("response_time", 20.0, 500.0),
        ("throughput", 200.0, 5.0),
        ("queue_depth", 100.0, 5_000.0),
        ("network", 1e6, 5e7),
        ("power", 200.0, 700.0),
        ("cache_hit_rate", 95.0, 15.0),
    ],
)
def test_the_unusual_is_a_fault(metric: str, usual: float, value: float) -> None:
    """What is far from a service's own history is held against it, where no limit fits all services."""
    assert judged(metric, value, *[usual] * 10) > 0.5
    assert judged(metric, usual, *[usual] * 10) == 0.0


def test_history_needs_five_minutes() -> None:
    """After four minutes nothing is unusual yet; after five it is."""
    assert judged("response_time", 500.0, *[20.0] * 4) == 0.0
    assert judged("response_time", 500.0, *[20.0] * 5) == 1.0


def test_limits_move_after_six_hours() -> None:
    """A fault that was there from the first minute on is one for six hours, and usual from then on."""
    assert judged("cpu", 100.0, *[100.0] * (LEARNT - 1)) == 1.0
    assert judged("cpu", 100.0, *[100.0] * LEARNT) == 0.0


def test_a_process_on_several_cores_is_judged_by_its_history() -> None:
    """Two busy cores are no fault, and eight are for a service that usually has two."""
    assert judged("cpu", 200.0) == 0.0
    assert judged("cpu", 200.0, *[190.0] * 10) == 0.0
    assert judged("cpu", 800.0, *[200.0] * 10) == 1.0


def test_a_restless_metric_is_allowed_more() -> None:
    """What lies within three deviations of a restless history is usual; the same value is a fault for a calm one."""
    assert judged("response_time", 1_500.0, *[100.0, 900.0] * LEARNT) == 0.0
    assert judged("response_time", 1_500.0, *[500.0] * LEARNT) > 0.0


def test_a_small_difference_does_not_matter() -> None:
    """Fifty times the usual is no fault where it is a few milliseconds."""
    assert judged("response_time", 50.0, *[1.0] * 10) == 0.0


@pytest.mark.parametrize("metric", sorted({*HEALTH_METRICS}))
def test_badness_is_a_share_and_monotone(metric: str) -> None:
    """From the usual on towards the bad side, badness only grows, and stays within 0..1."""
    row = TABLE.metrics[metric]
    falls = (row.worst < row.fine) if row.fine is not None else row.times_worst < row.times_fine
    usual = 1.0 if metric == "error_rate" else 60.0
    most = 100.0 if row.cores else 1e9
    rising = [min(usual * 1.5**step, most) for step in range(40)]
    values = [usual * step / 20 for step in range(20, -1, -1)] if falls else rising
    found = [judged(metric, value, *[usual] * 10) for value in values]
    assert found == sorted(found)
    assert 0.0 <= found[0] < found[-1] <= 1.0
