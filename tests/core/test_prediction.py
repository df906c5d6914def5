"""What is predicted, from what, and when not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from streams.catalogue.metrics import reliefs
from streams.core.events import HEALTH_METRICS, STRATEGIES
from streams.core.features import ERROR_FEATURES, SERVICE_FEATURES, Trouble, of_error
from streams.core.learner import BINS, Calibration, Regression
from streams.core.num import draw, logistic
from streams.core.prediction import (
    HELD_BACK_PER_SERVICE_MAX,
    FailurePredictor,
    Foresight,
    StrategyPredictor,
)

FORESIGHT = Foresight()
MEMORY = SERVICE_FEATURES.index("memory.value")
SLOPE = SERVICE_FEATURES.index("memory.slope")
RELIEF = {**reliefs(), "memory": "isolate"}


def vector(memory: float, slope: float = 0.0, noise: str = "") -> tuple[float, ...]:
    """Return a service's vector: its memory, a slope, and noise in cpu."""
    values = [0.0] * len(SERVICE_FEATURES)
    values[MEMORY], values[SLOPE] = memory, slope
    values[0] = draw(noise) - 0.5 if noise else 0.0
    return tuple(values)


def lives(predictor: FailurePredictor, count: int, begin: int = 0) -> None:
    """Let services live for 20 samples each; every second one's memory rises over its last four, and it fails."""
    for number in range(begin, begin + count):
        name, fails = f"service-{number}", number % 2 == 0
        for step in range(20):
            at_ms = number * 1_000_000 + step * 10_000
            rises = max(step - 16, 0) / 4 if fails else 0.0
            predictor.pass_to(name, at_ms, FORESIGHT)
            predictor.watch(name, at_ms, vector(rises - 0.2, rises / 4, f"{number}/{step}"), FORESIGHT)
        if fails:
            predictor.failed(name, at_ms + 5_000, FORESIGHT)
        else:
            predictor.pass_to(name, at_ms + 100_000, FORESIGHT)


def taught(count: int = 40) -> FailurePredictor:
    """Return a predictor that saw lives."""
    predictor = FailurePredictor()
    lives(predictor, count)
    return predictor


def test_not_valid_before_it_is_trained() -> None:
    """Without enough failures nothing is predicted: not valid, and 0 throughout."""
    predictor = FailurePredictor()
    for step in range(200):
        predictor.watch("calm", step * 10_000, vector(0.1), FORESIGHT)
        predictor.pass_to("calm", step * 10_000, FORESIGHT)
    found = predictor.predict(vector(0.9), FORESIGHT, RELIEF)
    assert predictor.regression.negatives > FORESIGHT.negatives_min
    assert (found.valid, found.probability, found.confidence, found.strategy) == (False, 0.0, 0.0, "")


def test_it_learns_what_precedes_a_failure() -> None:
    """After forty lives a rising memory is likely a failure, a calm one is not, and the relief of memory is advised."""
    predictor = taught()
    bad, good = (predictor.predict(one, FORESIGHT, RELIEF) for one in (vector(0.6, 0.2), vector(-0.2)))
    assert bad.valid
    assert good.valid
    assert bad.probability > 0.8
    assert good.probability < 0.1
    assert (bad.strategy, bad.leading.partition(".")[0]) == ("isolate", "memory")
    assert bad.horizon_ms == FORESIGHT.horizon_ms


def test_the_relief_of_what_is_no_metric() -> None:
    """When something else than a metric speaks most for a failure, no strategy is recommended."""
    predictor = taught()
    incidents = SERVICE_FEATURES.index("open_incidents")
    predictor.regression.weights[incidents] = 50.0
    predictor.regression.squares[incidents] = 1.0
    busy = list(vector(0.0))
    busy[incidents] = 3.0
    found = predictor.predict(busy, FORESIGHT, RELIEF)
    assert (found.leading, found.strategy) == ("open_incidents", "")


def test_every_metric_has_a_relief() -> None:
    """The catalogue names one of the nine strategies for each of the twelve metrics."""
    assert tuple(reliefs()) == HEALTH_METRICS
    assert set(reliefs().values()) <= set(STRATEGIES)


def test_what_is_held_back_is_not_learnt() -> None:
    """A vector teaches nothing before its horizon has passed or its service has failed."""
    predictor = FailurePredictor()
    predictor.watch("api", 0, vector(0.5), FORESIGHT)
    predictor.pass_to("api", FORESIGHT.horizon_ms, FORESIGHT)
    assert predictor.regression.examples == 0
    predictor.pass_to("api", FORESIGHT.horizon_ms + 1, FORESIGHT)
    assert (predictor.regression.positives, predictor.regression.negatives) == (0, 1)


def test_only_the_horizon_before_a_failure_is_a_warning() -> None:
    """Vectors within the horizon before a failure are warnings; older ones were none; other services' still wait."""
    predictor = FailurePredictor()
    for at_ms in range(0, 60_000, 10_000):
        predictor.watch("api", at_ms, vector(0.5), FORESIGHT)
        predictor.watch("mail", at_ms, vector(0.5), FORESIGHT)
    predictor.failed("api", 55_000, FORESIGHT)
    assert (predictor.regression.positives, predictor.regression.negatives) == (3, 3)
    assert predictor.waiting_count == len(predictor.waiting["mail"]) == 6


def test_a_prediction_does_not_depend_on_what_comes_later() -> None:
    """What is predicted of a vector is the same before and after other vectors are watched."""
    predictor = taught()
    before = predictor.predict(vector(0.3), FORESIGHT, RELIEF)
    predictor.watch("api", 10**9, vector(0.9), FORESIGHT)
    assert predictor.predict(vector(0.3), FORESIGHT, RELIEF) == before


def test_equal_order_gives_equal_bytes() -> None:
    """Two predictors that saw the same, one of them through a snapshot half way, are equal to the byte."""
    whole = taught(30)
    half = taught(15)
    half = msgspec.msgpack.decode(msgspec.msgpack.encode(half), type=FailurePredictor)
    lives(half, 15, begin=15)
    assert msgspec.msgpack.encode(half) == msgspec.msgpack.encode(whole)


def test_the_bytes_are_the_same_on_every_host() -> None:
    """What was learnt from twenty lives is, in its last bit, what was learnt when this was written."""
    found = taught(20).predict(vector(0.25, 0.1), FORESIGHT, RELIEF)
    assert (found.probability, found.confidence) == (0.961725556, 0.833333333)


def test_state_is_bounded() -> None:
    """However long it watches, a service holds back few vectors, and what is learnt takes no more room."""
    predictor = FailurePredictor()
    eager = Foresight(horizon_ms=10**9, every_ms=1)
    for at_ms in range(500):
        predictor.watch("api", at_ms, vector(0.5), eager)
    assert len(predictor.waiting["api"]) == predictor.waiting_count == HELD_BACK_PER_SERVICE_MAX
    predictor.forget("api")
    assert (predictor.waiting, predictor.waiting_count) == ({}, 0)
    regression = Regression(2)
    for number in range(1_000):
        regression.learn((1.0, draw(str(number))), true=number % 3 == 0)
    assert (len(regression.weights), [len(row) for row in regression.covariance]) == (3, [3, 3, 3])


@given(st.lists(st.tuples(st.floats(-50.0, 50.0), st.booleans()), max_size=200), st.floats(-100.0, 100.0))
def test_calibrated_probabilities(seen: list[tuple[float, bool]], log_odds: float) -> None:
    """Whatever came true, a probability is in 0..1, rises with the log-odds, and confidence is in 0.5..1."""
    calibration = Calibration()
    for said, true in seen:
        calibration.learn(said, true=true)
    lower, upper = (calibration.probability(log_odds + step) for step in (0.0, 0.1))
    assert 0.0 <= lower <= upper <= 1.0
    assert 0.5 <= calibration.confidence(log_odds) < 1.0
    assert len(calibration.true) == len(calibration.false) == BINS


def test_calibration_learns_that_it_was_said_too_loud() -> None:
    """When log-odds of 3 come true in every second case, the probability becomes a half."""
    calibration = Calibration()
    for number in range(400):
        calibration.learn(3.0, true=number % 2 == 0)
        calibration.learn(-3.0, true=False)
    assert calibration.probability(3.0) == pytest.approx(0.5, abs=0.03)
    assert calibration.probability(-3.0) < 0.02


@settings(max_examples=25)
@given(st.lists(st.tuples(st.lists(st.floats(-10, 10), min_size=3, max_size=3), st.booleans()), max_size=60))
def test_the_regression_stays_finite(examples: Sequence[tuple[list[float], bool]]) -> None:
    """From any bounded examples the weights stay finite."""
    regression = Regression(3)
    for values, true in examples:
        regression.learn(tuple(values), true=true)
    assert all(math.isfinite(weight) for weight in (*regression.weights, *itertools.chain(*regression.covariance)))


def test_the_regression_learns_as_fast_as_all_examples_at_once() -> None:
    """One pass over examples gives the weights that the whole of them has: their most likely ones, nearly."""
    regression = Regression(2)
    truth = (2.0, -1.0)
    for number in range(4_000):
        values = (draw(f"a{number}") * 2 - 1, draw(f"b{number}") * 2 - 1)
        log_odds = sum(weight * value for weight, value in zip(truth, values, strict=True)) - 0.5
        regression.learn(values, true=draw(f"c{number}") < logistic(log_odds))
    found = [regression.log_odds(values) for values in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0))]
    assert found == [pytest.approx(1.5, abs=0.25), pytest.approx(-1.5, abs=0.25), pytest.approx(-0.5, abs=0.15)]


def error(category: str, number: int = 0) -> tuple[float, ...]:
    """Return the vector of an error of a category."""
    trouble = Trouble(component="systemd", severity="error", category=category, errors_per_minute=draw(str(number)))
    return of_error(trouble)


def test_the_best_strategy_is_learnt() -> None:
    """Of two strategies of which each helps for another category, each is predicted where it helps."""
    predictor = StrategyPredictor()
    for number in range(80):
        category = ("memory", "network")[number % 2]
        predictor.learn("restart", error(category, number), success=category == "memory")
        predictor.learn("retry", error(category, number), success=category == "network")
    for category, best in (("memory", "restart"), ("network", "retry")):
        found = predictor.predict(error(category), ("retry", "restart", "rollback"), FORESIGHT)
        assert (found.valid, found.strategy) == (True, best)
        assert 0.8 < found.confidence < found.probability <= 1.0
        assert found.leading in ERROR_FEATURES


def test_no_strategy_without_outcomes() -> None:
    """A strategy with few outcomes is not predicted, nor one that is not allowed."""
    predictor = StrategyPredictor()
    for number in range(FORESIGHT.outcomes_min - 1):
        predictor.learn("retry", error("network", number), success=True)
    assert not predictor.predict(error("network"), ("retry",), FORESIGHT).valid
    predictor.learn("retry", error("network"), success=True)
    assert predictor.predict(error("network"), ("retry",), FORESIGHT).strategy == "retry"
    assert not predictor.predict(error("network"), ("restart",), FORESIGHT).valid
