"""What is seen in the sources: lines that matched, counts, figures, what could not be read; and the words for it."""

from __future__ import annotations

from typing import Final

from streams.core.base import Event

SEVERITIES: Final = ("info", "warning", "error", "critical", "fatal")
CATEGORIES: Final = (
    "network",
    "database",
    "security",
    "memory",
    "disk",
    "process",
    "configuration",
    "dependency",
    "service",
    "container",
    "performance",
    "resource",
)
STRATEGIES: Final = (
    "retry",
    "fallback",
    "rollback",
    "isolate",
    "restart",
    "scale_down",
    "scale_up",
    "graceful_degradation",
    "escalate",
)
HEALTH_METRICS: Final = (
    "cpu",
    "memory",
    "disk",
    "network",
    "error_rate",
    "response_time",
    "throughput",
    "availability",
    "temperature",
    "power",
    "cache_hit_rate",
    "queue_depth",
)
SAMPLE_KINDS: Final = ("gauge", "total", "delta")
"""A value at a moment; a counter that grows until its producer starts anew; how much one grew since the last time."""
MODES: Final = ("observe", "approve", "auto")

CAUSES_MAX: Final = 3
"""A detection, an incident and a decision name at most this many lines; the count says how many there were."""


class LineAt(Event, frozen=True):
    """Where a line stands inside its slice's source partition: record ``offset`` and the line's ``index`` in it."""

    offset: int
    index: int


class Coordinate(Event, frozen=True):
    """A line's identity everywhere: (topic, partition, offset, index)."""

    topic: str
    partition: int
    offset: int
    index: int


class Detection(Event, frozen=True):
    """Equal matches of one slice: same service, host, pattern, severity and template, ``count`` times.

    ``lines`` are the first ``CAUSES_MAX`` of them. ``template`` is ``""`` for a pattern; ``pattern`` is ``""`` for a
    line that looks like an error and matches none. ``confidence`` is in 0..1.
    """

    service: str
    service_rule: str
    host: str
    pattern: str
    category: str
    severity: str
    template: str
    confidence: float
    count: int
    at_first_ms: int
    at_last_ms: int
    lines: tuple[LineAt, ...]
    trace: str = ""
    """W3C traceparent of the first of them that came with one."""


class Tally(Event, frozen=True):
    """How many lines of a service, severity, pattern and template fell into the second that begins at ``at_ms``."""

    at_ms: int
    service: str
    severity: str
    pattern: str
    template: str
    count: int


class Sample(Event, frozen=True):
    """Values of one service, host, ``metric``, ``kind`` and ``series`` in the second that begins at ``at_ms``.

    ``metric`` is one of ``HEALTH_METRICS``, in the unit that ``catalogue/metrics.toml`` gives it; all numbers are
    finite and rounded to 1e-9. ``series`` is the id of the rule that mapped the source's name, and for totals a hash
    of the source series behind a ``#``, so that each can be differenced by itself. ``last`` is the latest value; of a
    total, only ``last`` says something.
    """

    at_ms: int
    service: str
    host: str
    metric: str
    kind: str
    series: str
    count: int
    sum: float
    min: float
    max: float
    last: float


class Reject(Event, frozen=True):
    """A record, or line ``index`` of it, that no decoder took. The record itself is in the dead-letter topic."""

    offset: int
    index: int
    reason: str
