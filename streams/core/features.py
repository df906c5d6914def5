"""The two vectors that predictions are made from: 64 values of a service, 32 of an error (SPEC P4).

Layout: SEED_TABLES section 6; ``SERVICE_FEATURES`` and ``ERROR_FEATURES`` name the values in their order. What is not
known is 0 and adds nothing to a prediction; a metric that is not reported, or not for five minutes, is five zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from streams.core.events import CATEGORIES, HEALTH_METRICS, SEVERITIES
from streams.core.inventory import SERVICE_TYPES
from streams.core.tracks import ABSENT, PARTS, Span, Track

SITUATION: Final = ("health_score", "minutes_since_failure", "open_incidents", "correlated_in_trouble")
SERVICE_FEATURES: Final = (*(f"{metric}.{part}" for metric in HEALTH_METRICS for part in PARTS), *SITUATION)
"""Of each metric: ``value`` (normalised), ``mean_1m``, ``slope`` (per minute), ``anomaly`` (-1..1), ``range_5m``."""
STANDING: Final = (
    "memory_gib",
    "cpu_share",
    "errors_per_minute",
    "health_score",
    "error_rate_slope",
    "consecutive_failures",
    "attempts",
    "minutes_since_success",
    "queue_share",
)
ERROR_FEATURES: Final = (
    *(f"component.{name}" for name in SERVICE_TYPES),
    *(f"severity.{name}" for name in SEVERITIES),
    *(f"category.{name}" for name in CATEGORIES),
    *STANDING,
)
"""One-hot 0-5, 6-10 and 11-22; a component is a service's type, and one that is not in the inventory has none."""

_PERCENT: Final = Span(least=0.0, most=100.0)
SPANS: Final[dict[str, Span]] = {
    metric: _PERCENT if metric in {"cpu", "memory", "disk", "error_rate", "availability", "cache_hit_rate"} else Span()
    for metric in HEALTH_METRICS
}
"""Percentages become -1..1 for 0..100 (a cpu of several cores more); others are compared with their own history."""
MINUTES_MAX: Final = 1_440.0
COUNT_MAX: Final = 100.0


class Situation(Struct, frozen=True, kw_only=True):
    """What else is known of a service. ``health_score`` is 0..100; a negative one and negative minutes: not known."""

    health_score: float = -1.0
    minutes_since_failure: float = -1.0
    open_incidents: int = 0
    correlated_in_trouble: int = 0


class Trouble(Struct, frozen=True, kw_only=True):
    """An error, and how the service stood when it came.

    ``component`` is the service's type, ``cpu_share`` 0..1 (more with several cores), ``health_score`` 0..100,
    ``error_rate_slope`` in errors per minute and minute, ``queue_share`` the queue's depth / its limit. 0: not known.
    """

    component: str
    severity: str
    category: str
    memory_gib: float = 0.0
    cpu_share: float = 0.0
    errors_per_minute: float = 0.0
    health_score: float = 0.0
    error_rate_slope: float = 0.0
    consecutive_failures: int = 0
    attempts: int = 0
    minutes_since_success: float = 0.0
    queue_share: float = 0.0


def of_service(
    tracks: Mapping[str, Track], situation: Situation, now_ms: int, spans: Mapping[str, Span] = SPANS
) -> tuple[float, ...]:
    """Return ``SERVICE_FEATURES`` at event time ``now_ms``, from tracks by metric that hold nothing later."""
    values: list[float] = []
    for metric, span in spans.items():
        track = tracks.get(metric)
        values += track.features(now_ms, span) if track is not None else ABSENT
    values += (
        max(situation.health_score, 0.0) / 100.0,
        min(max(situation.minutes_since_failure, 0.0), MINUTES_MAX),
        min(float(situation.open_incidents), COUNT_MAX),
        min(float(situation.correlated_in_trouble), COUNT_MAX),
    )
    return tuple(values)


def spans_of(queue_limit: int) -> Mapping[str, Span]:
    """Return ``SPANS`` of a service whose queue may become so deep; 0: it is compared with its own history."""
    return {**SPANS, "queue_depth": Span(least=0.0, most=float(queue_limit))} if queue_limit else SPANS


def of_error(trouble: Trouble) -> tuple[float, ...]:
    """Return ``ERROR_FEATURES``; a component, severity or category that there is not sets none."""
    return (
        *_one_hot(trouble.component, SERVICE_TYPES),
        *_one_hot(trouble.severity, SEVERITIES),
        *_one_hot(trouble.category, CATEGORIES),
        trouble.memory_gib,
        trouble.cpu_share,
        trouble.errors_per_minute,
        trouble.health_score / 100.0,
        trouble.error_rate_slope,
        min(float(trouble.consecutive_failures), COUNT_MAX),
        min(float(trouble.attempts), COUNT_MAX),
        min(trouble.minutes_since_success, MINUTES_MAX),
        trouble.queue_share,
    )


def _one_hot(name: str, names: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(1.0 if name == one else 0.0 for one in names)
