"""What our detector is compared with: chance, the robust z-score, PCA, KMeansAD and isolation forest.

The last three as the benchmark TSB-AD configures them for many metrics (Q. Liu and J. Paparrizos, NeurIPS 2024), fitted
on the training part. They see windows around a row, so half a window ahead; ours sees nothing ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from analytics.evaluation.data import Floats

PCA_WINDOW: Final = 10
PCA_VARIANCE: Final = 0.25
KMEANS_WINDOW: Final = 40
KMEANS_CLUSTERS: Final = 10
KMEANS_ROWS_MAX: Final = 4_000
FOREST_TREES: Final = 100
NORMAL: Final = 1.4826
"""A standard deviation of normal values in median absolute deviations."""
Z_FLOOR: Final = 0.2
"""Least scale of the robust z-score, as a part of the median: the value at which it did best of 0.001 to 0.2."""
Z_ROWS_LEAST: Final = 3

Scorer = Callable[[Floats, Floats], Floats]
"""A training part and rows to score give a score per row."""


def uniform(rows: int, seed: int) -> Floats:
    """Return chance: the detector that any other must beat."""
    return np.random.default_rng(seed).random(rows)


def robust_z(values: Floats) -> Floats:
    """Return for each row the largest distance of a metric from the median of the rows before it, in robust scales."""
    score = np.zeros(len(values))
    for row in range(Z_ROWS_LEAST, len(values)):
        before = values[:row]
        seen = np.isfinite(before).any(axis=0) & np.isfinite(values[row])
        middle = np.nanmedian(before[:, seen], axis=0)
        scale = NORMAL * np.nanmedian(np.abs(before[:, seen] - middle), axis=0) + Z_FLOOR * np.abs(middle) + 1e-9
        score[row] = np.max(np.abs(values[row, seen] - middle) / scale, initial=0.0)
    return score


def pca(train: Floats, rows: Floats) -> Floats:
    """Return the sum of distances to the main components of windows, each over the variance that it explains."""
    fitted, asked = _standard(*(_normal(_windows(part, PCA_WINDOW)) for part in (train, rows)))
    model = PCA(PCA_VARIANCE, svd_solver="covariance_eigh").fit(fitted)
    squares = (asked**2).sum(axis=1, keepdims=True) - 2 * asked @ model.components_.T + 1.0
    distances = np.sqrt(np.maximum(squares, 0.0)) / model.explained_variance_ratio_
    return _centred(distances.sum(axis=1), PCA_WINDOW)


def kmeans_ad(train: Floats, rows: Floats) -> Floats:
    """Return the distance of windows to the nearest of ten centres, a row's mean over the windows that it is in."""
    fitted, asked = (_normal(_windows(part, KMEANS_WINDOW)) for part in (train, rows))
    model: Any = KMeans(KMEANS_CLUSTERS, n_init=1, random_state=0)
    model.fit(fitted[:: max(1, len(fitted) // KMEANS_ROWS_MAX)])
    distances = model.transform(asked).min(axis=1)
    total = np.concatenate(([0.0], np.cumsum(distances)))
    row = np.arange(len(rows))
    first, end = np.maximum(row - KMEANS_WINDOW + 1, 0), np.minimum(row, len(distances) - 1) + 1
    return np.asarray((total[end] - total[first]) / (end - first))


def isolation_forest(train: Floats, rows: Floats) -> Floats:
    """Return how few random cuts separate a row from those of the training part."""
    model: Any = IsolationForest(n_estimators=FOREST_TREES, random_state=0).fit(train)
    return np.asarray(-model.score_samples(rows))


def _windows(values: Floats, width: int) -> Floats:
    return np.ascontiguousarray(sliding_window_view(values, width, axis=0).reshape(len(values) - width + 1, -1))


def _normal(windows: Floats) -> Floats:
    """Return each window with mean 0 and deviation 1."""
    deviation = windows.std(axis=1, ddof=1, keepdims=True)
    return np.asarray((windows - windows.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0))


def _standard(train: Floats, rows: Floats) -> tuple[Floats, Floats]:
    deviation = train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    middle = train.mean(axis=0)
    return (train - middle) / deviation, (rows - middle) / deviation


def _centred(scores: Floats, width: int) -> Floats:
    """Return scores of windows as scores of the rows in their middle."""
    return np.pad(scores, (width // 2, width - 1 - width // 2), mode="edge")


OF_SERVERS: Final[dict[str, Scorer]] = {"pca": pca, "kmeans_ad": kmeans_ad, "isolation_forest": isolation_forest}
