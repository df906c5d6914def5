"""One series: rare is rare for this series, whatever its unit, and what is said never depends on what follows."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.anomaly import Detector
from streams.core.num import draw, log
from streams.core.series import DAY_MS, LIMIT, Season, Track
from streams.core.tails import BLOCK, KEPT, SURPRISE_MAX, Tail, score

STEP_MS = 300_000
DAY = DAY_MS // STEP_MS
STATE_BYTES_MAX = 2_048
VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=120)


def noise(name: str, count: int) -> list[float]:
    """Return numbers in [0, 1) that look random and are the same everywhere."""
    return [draw(f"{name} {at}") for at in range(count)]


def surprises(values: list[float]) -> list[float]:
    """Return what a new detector says of each value, five minutes apart."""
    detector = Detector()
    return [detector.see(at * STEP_MS, value).surprise for at, value in enumerate(values)]


def working_days(count: int, name: str = "days") -> list[float]:
    """Return days of 20 at night and 80 from nine to six, with noise."""
    chance = noise(name, count * DAY)
    return [(80.0 if 108 <= at % DAY < 216 else 20.0) + 4 * chance[at] for at in range(count * DAY)]


def test_a_spike_stands_out_of_noise() -> None:
    """A value ten times further off than any before is rarer than one in a hundred blocks, and than all others."""
    values = noise("spike", 2_000)
    values[1_500] = 10.0
    said = surprises(values)
    assert said[1_500] > 2.0
    assert said[1_500] == max(said)


def test_a_spike_that_comes_every_day_is_known() -> None:
    """What was news the first time is not after it came ten days in a row."""
    values = noise("daily spike", 10 * DAY)
    for day in range(10):
        values[day * DAY + 200] = 10.0
    said = surprises(values)
    assert said[200] > 2.0 * said[9 * DAY + 200]


def test_a_rise_that_does_not_come_is_missed() -> None:
    """In a series with a daily rhythm an ordinary value at the wrong time of the day is an anomaly."""
    values = working_days(12)
    quiet = values[:]
    quiet[10 * DAY + 108 : 10 * DAY + 216] = [20.0 + one for one in noise("flat", 108)]
    morning = slice(10 * DAY + 108, 10 * DAY + 130)
    assert max(surprises(quiet)[morning]) > 2.0 > max(surprises(values)[morning])


def test_more_of_the_same_spikes_is_an_anomaly() -> None:
    """When a spike comes every five minutes instead of every five hours, their density is what is abnormal."""
    values = noise("density", 3_000)
    for at in range(60, 3_000, 60):
        values[at] = 10.0
    denser = values[:]
    for at in range(2_400, 2_460, 4):
        denser[at] = 10.0
    assert max(surprises(denser)[2_400:2_460]) > 1.9 > max(surprises(values)[2_400:2_460])


@pytest.mark.parametrize("level", [0, 80])
def test_a_rate_that_vanishes_or_surges_is_an_anomaly(level: int) -> None:
    """Twenty lines of a kind every five minutes that become none, or eighty, are news within a quarter of an hour."""
    counts = [float(15 + int(11 * one)) for one in noise("lines", 2_000)]
    changed = counts[:1_500] + [float(level)] * 500
    assert max(surprises(changed)[1_500:1_503]) > 2.0 > max(surprises(counts)[1_500:1_503])


def test_a_constant_series_says_nothing() -> None:
    """Nothing is abnormal of a series that never changes."""
    assert not any(surprises([45.0] * 1_000))


def test_a_constant_series_that_changes_says_so() -> None:
    """The first change of a series that never changed is as surprising as anything can be."""
    assert max(surprises([45.0] * 1_000 + [46.0])) == SURPRISE_MAX


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
def test_the_unit_does_not_matter(factor: float) -> None:
    """Bytes or gigabytes: the same series gets the same surprises."""
    values = working_days(4)
    assert surprises([value * factor for value in values]) == pytest.approx(surprises(values), abs=1e-6)


@given(VALUES, VALUES)
def test_nothing_is_known_ahead(before: list[float], after: list[float]) -> None:
    """What is said of a value does not depend on any that follow."""
    assert surprises(before + after)[: len(before)] == surprises(before)


@given(VALUES)
def test_the_score_is_a_share(values: list[float]) -> None:
    """Whatever comes, the score is in 0..1 and the surprise in its limits."""
    detector = Detector()
    for at, value in enumerate(values):
        found = detector.see(at * STEP_MS, value)
        assert 0.0 <= found.score <= 1.0
        assert 0.0 <= found.surprise <= SURPRISE_MAX


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_what_is_not_measured_says_nothing(missing: float) -> None:
    """A value that is no number is never abnormal, and what follows is judged as if it had not been."""
    values = noise("missing", 300)
    detector, beside = Detector(), Detector()
    for at, value in enumerate(values):
        assert detector.see(at * STEP_MS, missing).surprise == 0.0
        assert detector.see(at * STEP_MS, value) == beside.see(at * STEP_MS, value)


def test_a_detector_that_is_stored_goes_on_as_if_it_was_not() -> None:
    """A detector read back from its bytes says the same of what follows."""
    values = working_days(3)
    detector = Detector()
    for at, value in enumerate(values[:500]):
        detector.see(at * STEP_MS, value)
    again = msgspec.json.decode(msgspec.json.encode(detector), type=Detector)
    rest = list(enumerate(values))[500:]
    assert [again.see(at * STEP_MS, value) for at, value in rest] == [
        detector.see(at * STEP_MS, value) for at, value in rest
    ]


def test_the_state_is_bounded() -> None:
    """However long a series is, what is remembered of it fits in two kilobytes."""
    detector = Detector()
    for at, value in enumerate(noise("long", 30_000)):
        detector.see(at * STEP_MS, value)
    assert len(msgspec.msgpack.encode(detector)) <= STATE_BYTES_MAX


@pytest.mark.parametrize("heavy", [False, True])
def test_a_threshold_is_a_rate_of_episodes(heavy: bool) -> None:  # noqa: FBT001 - a parameter
    """Exponential values or Pareto's: a surprise of 1 is reached in one block of ten, within a factor of two."""
    tail, reached = Tail(), 0
    exponential = [-log(1.0 - one) for one in noise("tail", 1_000 * BLOCK)]
    numbers = exponential if heavy else [log(one + 1e-9) for one in exponential]
    for at in range(0, len(numbers), BLOCK):
        block = numbers[at : at + BLOCK]
        reached += max(map(tail.surprise, block)) >= 1.0
        for number in block:
            tail.learn(number)
    assert 50 <= reached <= 200


def test_a_tail_ranks() -> None:
    """Of two numbers the larger is never the less surprising."""
    tail = Tail()
    for number in noise("ranks", 100 * BLOCK):
        tail.learn(number)
    said = [tail.surprise(at / 50) for at in range(100)]
    assert said == sorted(said)
    assert said[0] == 0.0 < said[-1]


def test_a_tail_forgets_by_halves() -> None:
    """After long, old episodes count half: as many remain as are kept, and the count of blocks stays bounded."""
    tail = Tail()
    for number in noise("forgets", 5_000 * BLOCK):
        tail.learn(number)
        assert len(tail.largest) <= KEPT
        assert tail.blocks < 2_000


@pytest.mark.parametrize(("surprise", "share"), [(0.0, 0.0), (1.0, 0.9), (3.0, 0.999)])
def test_the_score_says_how_rare(surprise: float, share: float) -> None:
    """A surprise of three is a score of 0.999."""
    assert score(surprise) == pytest.approx(share)


@given(VALUES)
def test_standard_scores_are_limited(values: list[float]) -> None:
    """One broken metric can't weigh more than its limit."""
    track = Track()
    for value in values:
        departure = track.see(value)
        assert abs(departure.level_score) <= LIMIT
        assert abs(departure.volatility_score) <= LIMIT


def test_a_value_of_no_weight_is_not_learnt() -> None:
    """A track that learns a value as nothing keeps its long run."""
    track = Track()
    for value in noise("weight", 100):
        track.see(value)
    level = track.level.mean
    track.look(1e6)
    track.learn(1e6, 0.0)
    assert track.level.mean == level


def test_a_series_without_rhythm_has_no_season() -> None:
    """Noise gets no profile to be compared with, however many days it lasts."""
    season = Season()
    said = [season.see(at * STEP_MS, value, 0.5) for at, value in enumerate(noise("no rhythm", 6 * DAY))]
    assert not any(one is not None for one in said[3 * DAY :])
