"""How healthy a service is, by its metrics: a score of 0..100 and one of six statuses (SPEC P2, P8).

The figures are ``catalogue/health.toml``, whose head says how badness and score are made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from streams.core.num import stored
from streams.core.tracks import Span, Track

STATUSES: Final = ("excellent", "good", "fair", "poor", "critical", "failed")
FAILED: Final = "failed"
DEVIATIONS: Final = 3.0
"""What differs from the usual by up to so many deviations is usual ..."""
ALLOWED: Final = 0.1
"""... and by this part of the way from fine to worst: a metric that never moved is not to be taken at its word ..."""
SETTLED: Final = Span().settle
"""... once the history has so many minutes. To move a limit takes more of them ..."""
LEARNT: Final = 360
"""... six hours, so that a fault which is there from the first minute on is not usual before somebody looked at it."""
ONE_CORE: Final = 100.0


class StatusRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A status: the least score of it, the level at which a person is told, and the one that a lasting one gets.

    ``beyond``: the least score itself is not of it.
    """

    id: str
    least: float
    beyond: bool = False
    alert: str = ""
    lasting: str = ""

    def holds(self, score: float) -> bool:
        """Tell whether a score suffices."""
        return score > self.least if self.beyond else score >= self.least


class MetricRow(Struct, frozen=True, forbid_unknown_fields=True):
    """How one metric is judged: see ``health.toml``. ``per`` and ``most`` are those of ``metrics.toml``."""

    weight: float
    hint: str
    of: str = "mean"
    adds: bool = True
    cores: bool = False
    fine: float | None = None
    worst: float = 0.0
    never: float | None = None
    times_fine: float = 0.0
    times_worst: float = 0.0
    matters: float = 0.0
    limit: float | None = None
    per: str = ""
    most: float = math.inf


class HealthTable(Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``health.toml``; ``calm_ms`` without a fault resolve an alert."""

    margin: float
    calm_ms: int
    statuses: tuple[StatusRow, ...]
    metrics: Mapping[str, MetricRow]

    def status(self, score: float) -> StatusRow:
        """Return the status that a score has by itself."""
        return next(row for row in self.statuses if row.holds(score))

    def row(self, status: str) -> StatusRow:
        """Return the row of a status."""
        return self.statuses[STATUSES.index(status)]

    def settled(self, score: float, before: str) -> StatusRow:
        """Return the status after ``before``, which holds while the score is within ``margin`` of its band."""
        if before in {"", FAILED}:
            return self.status(score)
        low, high = self.status(max(score - self.margin, 0.0)), self.status(score + self.margin)
        within = STATUSES.index(high.id) <= STATUSES.index(before) <= STATUSES.index(low.id)
        return self.row(before) if within else self.status(score)


class Measured(NamedTuple):
    """A metric as it is judged: its row, this minute's value, and the track that knows what is usual."""

    row: MetricRow
    value: float
    track: Track


class Health(NamedTuple):
    """A score, and the points that each metric which is at fault takes alone."""

    score: float
    losses: dict[str, float]

    @property
    def leading(self) -> str:
        """The metric that takes most; ``""`` when none does."""
        return max(self.losses, key=lambda metric: self.losses[metric], default="")


def assess(measured: Mapping[str, Measured]) -> Health:
    """Return the health that metrics make."""
    left = 1.0
    losses: dict[str, float] = {}
    for metric, (row, value, track) in measured.items():
        loss = row.weight * badness(row, value, track)
        if loss > 0.0:
            losses[metric] = loss
            left *= 1.0 - loss / 100.0
    return Health(stored(100.0 * left), losses)


def badness(row: MetricRow, value: float, track: Track) -> float:
    """Return how bad a value is, 0..1: by the row's limits, and by what is usual for the track."""
    reach, bad = DEVIATIONS * math.sqrt(track.square), 0.0
    if row.fine is not None and not (row.cores and value > ONE_CORE):
        moved = _moved(row, row.fine, track.usual, reach) if track.known >= LEARNT else row.fine
        bad = _between(value, moved, row.worst, row.worst - row.fine)
    if track.known >= SETTLED and row.times_fine:
        sign = 1.0 if row.times_worst > row.times_fine else -1.0
        slack = max(abs(row.times_fine - 1.0) * track.usual, reach, row.matters)
        bad = max(bad, _between(value, track.usual + sign * slack, track.usual * row.times_worst, sign * slack))
    return bad


def _moved(row: MetricRow, fine: float, usual: float, reach: float) -> float:
    """Return up to where a value is no fault, given what is usual."""
    width = row.worst - fine
    sign = math.copysign(1.0, width)
    most = math.inf if row.never is None else sign * (row.never - fine)
    return fine + sign * min(max(sign * (usual - fine) + max(reach, ALLOWED * abs(width)), 0.0), most)


def _between(value: float, fine: float, worst: float, width: float) -> float:
    """Return where a value stands between fine (0) and worst (1); worst moves along when fine reaches it."""
    if (worst - fine) * width <= 0.0:
        worst = fine + width
    return min(max((value - fine) / (worst - fine), 0.0), 1.0)
