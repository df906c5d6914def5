"""Engines run to failure: at each cycle, does the engine fail within (t+15, t+30]? ``logmend score run-to-failure``.

The data are turbofan engines (C-MAPSS, A. Saxena et al., 2008): ``train_*.txt``, a row per cycle of unit, cycle, three
settings and 21 sensors; the last cycle of a unit is its failure. Cycles with at most 15 left are not scored. Every
engine is scored by what was learnt from engines of other folds alone: normalisation, weights, calibration, threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from sklearn.metrics import average_precision_score

from analytics.evaluation.data import Flags, Floats, Times, named
from streams.core.errors import InputError

SENSORS: Final = 21
COLUMNS: Final = 5 + SENSORS
GAP_CYCLES: Final = 15
HORIZON_CYCLES: Final = 30
FOLDS: Final = 10
ENGINES_MIN: Final = 2
FALSE_POSITIVES: Final = 0.007
"""The share of training engines' negative cycles above the threshold: a quarter of the 0.032 that is allowed, because
another fleet's engines differ from these, and so that the first alarm comes within the horizon and not before it."""


class Engine(NamedTuple):
    """One engine: its cycles (ascending) and a row of ``SENSORS`` values for each."""

    name: str
    cycles: Times
    sensors: Floats

    @property
    def left(self) -> Times:
        """Cycles that are left at each cycle, 0 at the last."""
        last: np.int64 = self.cycles[-1]
        return last - self.cycles

    @property
    def scored(self) -> Flags:
        """Whether each cycle counts."""
        return self.left > GAP_CYCLES

    @property
    def fails(self) -> Flags:
        """Whether the engine fails within the horizon, and not before the gap."""
        return self.scored & (self.left <= HORIZON_CYCLES)


class Judged(NamedTuple):
    """What a method says of each cycle of one engine: a probability or score, and whether that is an alarm."""

    score: Floats
    alarm: Flags


Method = Callable[[Sequence[Engine], Sequence[Engine]], list[Judged]]
"""Learns from the first engines and judges each of the second, cycle by cycle, from nothing later than the cycle."""


class Measures(Struct, frozen=True, kw_only=True):
    """Shares over scored cycles; ``lead_cycles_median`` is of each engine's first alarm, right or wrong (none: 0)."""

    recall: float
    precision: float
    false_positive_rate: float
    pr_auc: float
    base_rate: float
    brier: float
    brier_base: float
    lead_cycles_median: float


def read(directory: Path) -> list[Engine]:
    """Read the engines of every ``train_*.txt`` or ``.txt.gz`` of a directory; ``InputError`` for other rows."""
    engines = []
    for path in named(directory, "train_*.txt*"):
        try:
            values = np.loadtxt(path, ndmin=2)
        except (ValueError, OSError) as error:
            raise InputError(f"{path}: {error}") from error
        if values.shape[1] != COLUMNS or not np.isfinite(values).all():
            raise InputError(f"{path}: expected {COLUMNS} numbers a row: unit, cycle, 3 settings, {SENSORS} sensors")
        for unit in dict.fromkeys(values[:, 0].tolist()):
            own = values[values[:, 0] == unit]
            own = own[np.argsort(own[:, 1], kind="stable")]
            engines.append(Engine(f"{path.name.partition('.')[0]}/{unit:.0f}", own[:, 1].astype(np.int64), own[:, 5:]))
    if len(engines) < ENGINES_MIN:
        raise InputError(f"{directory}: {len(engines)} engines; two at least are needed to score one by the other")
    return engines


def cross_validated(engines: Sequence[Engine], method: Method, folds: int = FOLDS) -> list[Judged]:
    """Return what a method says of each engine, having learnt from all other folds.

    Fold k holds the engines k, k + ``folds``, … in their order.
    """
    judged: dict[int, Judged] = {}
    for fold in range(min(folds, len(engines))):
        train = [engine for at, engine in enumerate(engines) if at % folds != fold]
        judged.update(zip(range(fold, len(engines), folds), method(train, engines[fold::folds]), strict=True))
    return [judged[at] for at in range(len(engines))]


def measure(engines: Sequence[Engine], judged: Sequence[Judged]) -> Measures:
    """Compare what was said of engines with how they ended."""
    fails = np.concatenate([engine.fails[engine.scored] for engine in engines])
    score = np.concatenate([one.score[engine.scored] for engine, one in zip(engines, judged, strict=True)])
    alarm = np.concatenate([one.alarm[engine.scored] for engine, one in zip(engines, judged, strict=True)])
    base_rate = share(fails)
    return Measures(
        recall=share(alarm[fails]),
        precision=share(fails[alarm]),
        false_positive_rate=share(alarm[~fails]),
        pr_auc=float(average_precision_score(fails, score)) if fails.any() else math.nan,
        base_rate=base_rate,
        brier=float(np.mean((score - fails) ** 2)),
        brier_base=base_rate * (1 - base_rate),
        lead_cycles_median=float(np.median([lead(engine, one) for engine, one in zip(engines, judged, strict=True)])),
    )


def lead(engine: Engine, judged: Judged) -> int:
    """Return how many cycles before its failure an engine's first alarm came; 0 when there was none in time."""
    at = np.flatnonzero(judged.alarm & engine.scored)
    return int(engine.left[at[0]]) if len(at) else 0


def share(flags: Flags) -> float:
    """Return the share of true flags, 0 of none."""
    return float(flags.mean()) if len(flags) else 0.0


def threshold(scores: Floats, fails: Flags, false_positives: float = FALSE_POSITIVES) -> float:
    """Return the lowest score above which at most this share of the cycles that don't fail are; of training cycles."""
    return float(np.quantile(scores[~fails], 1 - false_positives, method="higher"))


def single_sensor(train: Sequence[Engine], test: Sequence[Engine]) -> list[Judged]:
    """Judge by the sensor, upwards or downwards, whose value alone ranks the training engines' cycles best.

    The score is the share of training cycles that it exceeds, so that folds with other sensors compare.
    """
    values = np.concatenate([engine.sensors[engine.scored] for engine in train])
    fails = np.concatenate([engine.fails[engine.scored] for engine in train])
    areas = {
        (sensor, sign): average_precision_score(fails, sign * values[:, sensor])
        for sensor in range(SENSORS)
        for sign in (1, -1)
    }
    sensor, sign = max(areas, key=lambda key: areas[key])
    ranked = np.sort(sign * values[:, sensor])
    limit = threshold(sign * values[:, sensor], fails)
    judged = []
    for engine in test:
        own = sign * engine.sensors[:, sensor]
        judged.append(Judged(np.searchsorted(ranked, own) / len(ranked), own > limit))
    return judged


def smoothed(engine: Engine, cycles: int) -> Engine:
    """Return an engine whose values are means of the last cycles, as many as this at most."""
    sums = np.cumsum(engine.sensors, axis=0)
    sums[cycles:] -= sums[:-cycles].copy()
    counts = np.minimum(np.arange(1, len(sums) + 1), cycles)
    return engine._replace(sensors=sums / counts[:, None])
