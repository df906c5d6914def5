"""The negative control: from what is measured of a pod nobody can foresee when a fault will be injected into it.

A forecast above chance would mean that the protocol leaks. The same features and learner as everywhere are asked "is a
fault injected into this pod within five minutes?", each pod judged by what was learnt from the others. Minutes after an
injection are left out: the next one follows by schedule, and the last one is still to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from sklearn.metrics import average_precision_score, roc_auc_score

from analytics.evaluation.data import POD_METRICS, Flags, Floats, Times, days
from streams.core.errors import InputError
from streams.core.learner import Regression
from streams.core.prediction import FailurePredictor, Foresight
from streams.core.tracks import PARTS, Span, Track

FORESIGHT: Final = Foresight(horizon_ms=300_000, every_ms=60_000)
QUIET_MS: Final = 1_200_000
CHANCE_DRAWS: Final = 1_000
SPAN: Final = Span()


class Control(Struct, frozen=True, kw_only=True):
    """How well injections are foreseen; ``chance_low`` and ``chance_high`` hold 95 % of the AUC of moved injections."""

    injections: int
    minutes: int
    auc: float
    chance_low: float
    chance_high: float
    pr_auc: float
    base_rate: float

    @property
    def at_chance(self) -> bool:
        """Whether the AUC is not above what injections at other minutes get."""
        return self.auc <= self.chance_high


class Watched(NamedTuple):
    """One pod while faults were injected somewhere: features by minute, which minutes count, when it was injected."""

    name: str
    at_ms: Times
    vectors: list[tuple[float, ...]]
    quiet: Flags
    injected_ms: list[int]

    @property
    def soon(self) -> Flags:
        """Whether a fault is injected within the horizon after each minute."""
        ahead = np.subtract.outer(np.array(self.injected_ms, dtype=np.int64), self.at_ms)
        within: Flags = np.any((ahead > 0) & (ahead <= FORESIGHT.horizon_ms), axis=0)
        return within


def control(directory: Path) -> Control:
    """Return the negative control on every day of pods in a directory; ``InputError`` when nothing can be scored."""
    pods = watched(directory)
    scores = [_judged([one for one in pods if one is not pod], pod)[pod.quiet] for pod in pods]
    labels = [pod.soon[pod.quiet] for pod in pods]
    score, label = np.concatenate(scores), np.concatenate(labels)
    if not label.any() or label.all():
        raise InputError(f"{directory}: no quiet minutes before an injection")
    low, high = _chance(scores, labels)
    return Control(
        injections=sum(bool(own.any()) for own in labels),
        minutes=len(label),
        auc=float(roc_auc_score(label, score)),
        chance_low=low,
        chance_high=high,
        pr_auc=float(average_precision_score(label, score)),
        base_rate=float(label.mean()),
    )


def watched(directory: Path) -> list[Watched]:
    """Return the pods of all days, from the horizon before a day's first injection to its last one."""
    found = []
    for day in days(directory):
        first, last = min(fault.at_ms for fault in day.faults), max(fault.at_ms for fault in day.faults)
        for pod in day.pods:
            injected = sorted(fault.at_ms for fault in day.faults if fault.pod == pod.name)
            quiet = (pod.at_ms >= first - FORESIGHT.horizon_ms) & (pod.at_ms <= last)
            for at_ms in injected:
                quiet &= (pod.at_ms < at_ms) | (pod.at_ms > at_ms + QUIET_MS)
            found.append(Watched(f"{day.name}/{pod.name}", pod.at_ms, _vectors(pod.at_ms, pod.values), quiet, injected))
    return found


def _vectors(at_ms: Times, values: Floats) -> list[tuple[float, ...]]:
    tracks = [Track() for _ in POD_METRICS]
    vectors = []
    for now_ms, row in zip(at_ms.tolist(), values.tolist(), strict=True):
        vector: list[float] = []
        for track, value in zip(tracks, row, strict=True):
            if value == value:  # noqa: PLR0124 - not a number is what was not measured
                track.add(now_ms, value, SPAN)
            vector += track.features(now_ms, SPAN)
        vectors.append(tuple(vector))
    return vectors


def _judged(train: Sequence[Watched], test: Watched) -> Floats:
    predictor = FailurePredictor(regression=Regression(len(POD_METRICS) * len(PARTS)))
    for pod in train:
        injected = list(pod.injected_ms)
        for at_ms, vector, quiet in zip(pod.at_ms.tolist(), pod.vectors, pod.quiet.tolist(), strict=True):
            if injected and injected[0] <= at_ms:
                predictor.failed(pod.name, injected.pop(0), FORESIGHT)
            predictor.pass_to(pod.name, at_ms, FORESIGHT)
            if quiet:
                predictor.watch(pod.name, at_ms, vector, FORESIGHT)
        predictor.forget(pod.name)
    return np.array([predictor.regression.log_odds(vector) for vector in test.vectors])


def _chance(scores: Sequence[Floats], labels: Sequence[Flags]) -> tuple[float, float]:
    """Return the middle 95 % of the AUC when each pod's labels are turned by a random number of minutes."""
    draws = np.random.default_rng(0)
    ranks = np.argsort(np.argsort(np.concatenate(scores), kind="stable")) + 1.0
    areas = []
    for _ in range(CHANCE_DRAWS):
        label = np.concatenate([np.roll(own, draws.integers(len(own))) for own in labels])
        positives = int(label.sum())
        above = ranks[label].sum() - positives * (positives + 1) / 2
        areas.append(above / (positives * (len(label) - positives)))
    low, high = np.quantile(areas, (0.025, 0.975))
    return float(low), float(high)
