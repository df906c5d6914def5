"""All that ``logmend score run-to-failure`` says: the learner's figures beside baselines, spread, control and plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from matplotlib.figure import Figure
from msgspec import Struct
from sklearn.metrics import precision_recall_curve

from analytics.evaluation import control as controlling
from analytics.evaluation.control import Control
from analytics.evaluation.engines import MINUTE_CYCLES, foreseen
from analytics.evaluation.figures import save
from analytics.evaluation.lives import (
    FOLDS,
    Engine,
    Judged,
    Measures,
    cross_validated,
    measure,
    read,
    single_sensor,
    smoothed,
)

BINS: Final = 10
CONTROL_DIRECTORY: Final = "nezha"
RANKING: Final = ("recall", "precision", "false_positive_rate", "pr_auc", "lead_cycles_median")
"""What a method that gives no probability is measured by."""


class Bin(Struct, frozen=True, kw_only=True):
    """Scored cycles with probabilities in one tenth of 0..1: their mean probability, and how many did fail."""

    cycles: int
    said: float
    happened: float


class Foreseen(Struct, frozen=True, kw_only=True):
    """The figures over all engines, each fold's, each bin's, and what simpler methods reach on the same cycles."""

    overall: Measures
    engines: int
    engines_unwarned: int
    cycles: int
    folds: tuple[Measures, ...]
    calibration: tuple[Bin, ...]
    always_no_accuracy: float
    single_sensor: Measures
    smoothed_sensor: Measures
    control: Control | None

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the contract, those of ``Measures``, and what stands beside them."""
        control = self.control
        return {
            **msgspec.to_builtins(self.overall),
            "engines": self.engines,
            "engines_unwarned": self.engines_unwarned,
            "cycles": self.cycles,
            "folds": msgspec.to_builtins(self.folds),
            "calibration": msgspec.to_builtins(self.calibration),
            "always_no": {"accuracy": self.always_no_accuracy, "recall": 0.0, "pr_auc": self.overall.base_rate},
            "single_sensor": _ranking(self.single_sensor),
            "smoothed_sensor": _ranking(self.smoothed_sensor),
            "control": {**msgspec.to_builtins(control), "at_chance": control.at_chance} if control else None,
        }


def score(directory: Path, control: Path | None = None, plot: Path | None = None) -> Foreseen:
    """Judge every engine of a directory by engines of other folds; ``plot`` names a file for calibration and PR.

    ``control`` is the directory of the negative control; without it, ``nezha`` beside ``directory`` when it exists.
    """
    engines = read(directory)
    judged = cross_validated(engines, foreseen)
    overall = measure(engines, judged)
    found = Foreseen(
        overall=overall,
        engines=len(engines),
        engines_unwarned=sum(
            not (one.alarm & engine.scored).any() for engine, one in zip(engines, judged, strict=True)
        ),
        cycles=int(sum(engine.scored.sum() for engine in engines)),
        folds=tuple(measure(engines[fold::FOLDS], judged[fold::FOLDS]) for fold in range(min(FOLDS, len(engines)))),
        calibration=_calibration(engines, judged),
        always_no_accuracy=1 - overall.base_rate,
        single_sensor=measure(engines, cross_validated(engines, single_sensor)),
        smoothed_sensor=_smoothed(engines),
        control=_control(directory, control),
    )
    if plot is not None:
        _plot(plot, engines, judged, found)
    return found


def _ranking(measures: Measures) -> dict[str, float]:
    return {name: getattr(measures, name) for name in RANKING}


def _smoothed(engines: Sequence[Engine]) -> Measures:
    means = [smoothed(engine, MINUTE_CYCLES) for engine in engines]
    return measure(means, cross_validated(means, single_sensor))


def _control(directory: Path, control: Path | None) -> Control | None:
    beside = directory.resolve().parent / CONTROL_DIRECTORY
    chosen = control or (beside if beside.is_dir() else None)
    return controlling.control(chosen) if chosen else None


def _calibration(engines: Sequence[Engine], judged: Sequence[Judged]) -> tuple[Bin, ...]:
    fails = np.concatenate([engine.fails[engine.scored] for engine in engines])
    said = np.concatenate([one.score[engine.scored] for engine, one in zip(engines, judged, strict=True)])
    places = np.minimum((said * BINS).astype(int), BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            means = float(said[inside].mean()), float(fails[inside].mean())
            bins.append(Bin(cycles=int(inside.sum()), said=means[0], happened=means[1]))
    return tuple(bins)


def _plot(path: Path, engines: Sequence[Engine], judged: Sequence[Judged], found: Foreseen) -> None:
    """Draw calibration to the left (size of a mark: cycles), precision over recall to the right."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    said, happened = [one.said for one in found.calibration], [one.happened for one in found.calibration]
    left.plot(said, happened, color="tab:blue", linewidth=0.8)
    left.scatter(said, happened, s=[8 + one.cycles / 20 for one in found.calibration], color="tab:blue")
    left.set(xlabel="probability said", ylabel="share that failed", title=f"Brier {found.overall.brier:.4f}")
    fails = np.concatenate([engine.fails[engine.scored] for engine in engines])
    score = np.concatenate([one.score[engine.scored] for engine, one in zip(engines, judged, strict=True)])
    precision, recall, _ = precision_recall_curve(fails, score)
    right.plot(recall, precision, color="tab:blue", linewidth=1)
    right.plot(found.overall.recall, found.overall.precision, "o", color="tab:red", label="alarms")
    right.axhline(found.overall.base_rate, color="0.7", linewidth=0.8, label="base rate")
    right.set(xlabel="recall", ylabel="precision", title=f"PR-AUC {found.overall.pr_auc:.3f}")
    right.legend(fontsize=8)
    save(path, figure)
