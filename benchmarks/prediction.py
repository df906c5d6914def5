"""What a prediction costs: ``python -m benchmarks.prediction``, beside 187 µs on average and 342 µs at most (SPEC P4).

A prediction is all from a service's tracks to the answer: the 64 features and what is expected of them. Learning from
one example and a forecast are timed beside it. Times are of this thread's processor: what other processes take from a
busy machine is not counted, what the garbage collector takes is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from streams.catalogue.metrics import reliefs
from streams.core.events import HEALTH_METRICS
from streams.core.features import SPANS, Situation, of_service
from streams.core.forecast import Trend, forecast
from streams.core.num import draw
from streams.core.prediction import FailurePredictor, Foresight
from streams.core.tracks import Track

ROUNDS: Final = 20_000
WARMING: Final = 500
EVERY_MS: Final = 10_000
STEPS: Final = 180
MEAN_BAR_US: Final = 187.0
MOST_BAR_US: Final = 342.0
FORESIGHT: Final = Foresight()


def main() -> None:
    """Print the table."""
    tracks, predictor, relief = heard(), taught(), reliefs()
    situation, now_ms = Situation(health_score=90.0), (STEPS - 1) * EVERY_MS
    vector = of_service(tracks, situation, now_ms)
    series = Trend()
    for minute in range(120):
        series.add(minute * 60_000, 40.0 + minute * 0.2 + draw(f"f{minute}"))

    def whole() -> None:
        predictor.predict(of_service(tracks, situation, now_ms), FORESIGHT, relief)

    print(f"{'':34}{'mean µs':>9}{'p99 µs':>9}{'most µs':>9}   of {ROUNDS}")
    tell("prediction, features included", whole, f"   bar {MEAN_BAR_US:.0f} mean, {MOST_BAR_US:.0f} most")
    tell("  features of twelve metrics", lambda: of_service(tracks, situation, now_ms))
    tell("  prediction from a vector", lambda: predictor.predict(vector, FORESIGHT, relief))
    tell("learning an example", lambda: predictor.regression.learn(vector, true=True))
    tell("forecast of a series", lambda: forecast(series, 7_200_000, 1_800_000))


def tell(name: str, work: Callable[[], object], beside: str = "") -> None:
    """Time single calls and print mean, 99th percentile and the longest."""
    for _ in range(WARMING):
        work()
    taken = []
    for _ in range(ROUNDS):
        begin = time.thread_time_ns()
        work()
        taken.append(time.thread_time_ns() - begin)
    taken.sort()
    mean, p99, most = sum(taken) / len(taken), taken[len(taken) * 99 // 100], taken[-1]
    print(f"{name:34}{mean / 1000:9.1f}{p99 / 1000:9.1f}{most / 1000:9.1f}{beside}")


def heard() -> dict[str, Track]:
    """Return tracks of all twelve metrics after half an hour of values every ten seconds."""
    tracks = {metric: Track() for metric in HEALTH_METRICS}
    for step in range(STEPS):
        for metric, track in tracks.items():
            track.add(step * EVERY_MS, 50.0 + 10.0 * draw(f"{metric}{step}"), SPANS[metric])
    return tracks


def taught() -> FailurePredictor:
    """Return a predictor that saw enough to be valid."""
    predictor = FailurePredictor()
    for number in range(300):
        vector = tuple(draw(f"{number} {place}") - 0.5 for place in range(64))
        failed = vector[5] > 0.3
        predictor.calibration.learn(predictor.regression.log_odds(vector), true=failed)
        predictor.regression.learn(vector, true=failed)
    return predictor


if __name__ == "__main__":
    main()
