"""What the core's features and learner say of engines: a cycle is the unit of time, a sensor a metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from analytics.evaluation.data import Floats
from analytics.evaluation.lives import HORIZON_CYCLES, SENSORS, Engine, Judged, threshold
from streams.core.learner import Regression
from streams.core.prediction import FailurePredictor, Foresight
from streams.core.tracks import PARTS, Span, Track

MINUTE_CYCLES: Final = 8
"""Cycles that are a minute to the features: a mean of 8, a range and slope of 40. 5 and 12 do within 0.02 as well."""
RIPE_PART: Final = 1 / 3
"""The part of the training engines that is learnt before what is said of the others sets the threshold."""
FORESIGHT: Final = Foresight(horizon_ms=HORIZON_CYCLES, every_ms=1)
NAMES: Final = tuple(f"sensor_{sensor + 1}.{part}" for sensor in range(SENSORS) for part in PARTS)


def foreseen(train: Sequence[Engine], test: Sequence[Engine]) -> list[Judged]:
    """Judge by the core's learner, after one pass over the training engines one after the other.

    Alarms are above the probability that few negative cycles of training engines reach; each of those was predicted
    before it was learnt.
    """
    spans = spans_of(train)
    predictor = FailurePredictor(regression=Regression(len(NAMES)))
    said: list[float] = []
    fails: list[bool] = []
    for number, engine in enumerate(train):
        log_odds = learn(predictor, engine, spans)
        if number >= RIPE_PART * len(train):
            said += log_odds[engine.scored].tolist()
            fails += engine.fails[engine.scored].tolist()
    limit = predictor.calibration.probability(threshold(np.array(said), np.array(fails)))
    judged = []
    for engine in test:
        probabilities = np.array(
            [predictor.predict(row, FORESIGHT, {}, NAMES).probability for row in rows(engine, spans)]
        )
        judged.append(Judged(probabilities, probabilities > limit))
    return judged


def learn(predictor: FailurePredictor, engine: Engine, spans: Sequence[Span]) -> Floats:
    """Live through an engine's life as the product would; return the log-odds said at each cycle."""
    said = []
    for cycle, vector in zip(engine.cycles.tolist(), rows(engine, spans), strict=True):
        predictor.pass_to(engine.name, cycle, FORESIGHT)
        said.append(predictor.regression.log_odds(vector))
        predictor.watch(engine.name, cycle, vector, FORESIGHT)
    predictor.failed(engine.name, int(engine.cycles[-1]), FORESIGHT)
    return np.array(said)


def rows(engine: Engine, spans: Sequence[Span]) -> Iterator[tuple[float, ...]]:
    """Yield the features at each cycle, from that cycle and those before it."""
    tracks = [Track() for _ in spans]
    for cycle, values in zip(engine.cycles.tolist(), engine.sensors.tolist(), strict=True):
        vector: list[float] = []
        for track, span, value in zip(tracks, spans, values, strict=True):
            track.add(cycle, value, span)
            vector += track.features(cycle, span)
        yield tuple(vector)


def spans_of(engines: Sequence[Engine]) -> list[Span]:
    """Return between what each sensor lies on these engines; a constant one lies around its value."""
    least = np.min([engine.sensors.min(axis=0) for engine in engines], axis=0)
    most = np.max([engine.sensors.max(axis=0) for engine in engines], axis=0)
    return [
        Span(least=low, most=high if high > low else low + 1.0, minute_ms=MINUTE_CYCLES)
        for low, high in zip(least.tolist(), most.tolist(), strict=True)
    ]
