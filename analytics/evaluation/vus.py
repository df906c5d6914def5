"""VUS-PR: the area under a range-based precision-recall curve, averaged over widths of a buffer around each segment.

Source: J. Paparrizos et al., "Volume under the surface", PVLDB 15(11), 2022, as the benchmark TSB-AD computes it: a
buffer of half a width on both sides of a segment counts with the weight sqrt(1 - distance / width), recall is
multiplied by the share of segments that have any alarm, thresholds are 250 ranks of the score.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from analytics.evaluation.data import Flags, Floats

WIDTH: Final = 100
"""The widest buffer in steps, TSB-AD's default."""
RANKS: Final = 250


def segments(label: Flags) -> list[tuple[int, int]]:
    """Return each run of labelled rows as (first, end), end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], label, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def vus_pr(label: Flags, score: Floats, width: int = WIDTH) -> float:
    """Return the volume, 0..1, of scores (higher is more abnormal) against as many labels; NaN when none is set."""
    spans = segments(label)
    if not spans:
        return float("nan")
    rank, predicted = _ranks(score)
    areas = [_area(label, spans, rank, predicted, buffer) for buffer in range(width + 1)]
    return float(np.mean(areas))


def _ranks(score: Floats) -> tuple[np.ndarray, Floats]:
    """Return for each row the first threshold that it reaches, and for each threshold how many rows do."""
    descending = -np.sort(-score)
    thresholds = descending[np.linspace(0, len(score) - 1, RANKS).astype(int)]
    rank = np.searchsorted(-thresholds, -score, side="left")
    return rank, np.cumsum(np.bincount(rank, minlength=RANKS)).astype(float)


def _area(label: Flags, spans: list[tuple[int, int]], rank: np.ndarray, predicted: Floats, buffer: int) -> float:
    """Return the area under the curve for one width of the buffer."""
    weight = _weights(label, spans, buffer)
    hits = np.cumsum(np.bincount(rank, weights=weight, minlength=RANKS))
    outside = np.cumsum(np.bincount(rank, weights=np.where(label, 0.0, weight), minlength=RANKS))
    positives = float(label.sum()) + outside / 2
    merged = _merged(spans, buffer // 2, len(label))
    first = np.bincount([int(rank[begin:end].min()) for begin, end in merged], minlength=RANKS)
    recall = np.minimum(hits / positives, 1.0) * np.cumsum(first) / len(merged)
    return float(np.dot(np.diff(recall, prepend=0.0), hits / predicted))


def _weights(label: Flags, spans: list[tuple[int, int]], buffer: int) -> Floats:
    weight = label.astype(float)
    for first, end in spans:
        distances = np.arange(1, buffer // 2 + 1)
        fading = np.sqrt(1 - distances / max(buffer, 1))
        for rows in (first - distances, end - 1 + distances):
            inside = (rows >= 0) & (rows < len(label))
            weight[rows[inside]] += fading[inside]
    return np.asarray(np.minimum(weight, 1.0))


def _merged(spans: list[tuple[int, int]], reach: int, rows: int) -> list[tuple[int, int]]:
    """Return the segments with their buffers, those that touch as one."""
    merged = [(max(spans[0][0] - reach, 0), spans[0][1] + reach)]
    for first, end in spans[1:]:
        if merged[-1][1] - 1 < first - reach:
            merged.append((first - reach, end + reach))
        else:
            merged[-1] = (merged[-1][0], end + reach)
    return [(first, min(end, rows)) for first, end in merged]
