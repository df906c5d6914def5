"""Samples of numbers that are at hand, for whoever plays a service's metrics: a recording, a benchmark, a test."""

from __future__ import annotations

from streams.core.events import Sample


def sample(
    at_ms: int, service: str, host: str, metric: str, *values: float, kind: str = "gauge", series: str | None = None
) -> Sample:
    """Return what the values of one second come to, the last one being the latest.

    ``at_ms`` is when that second begins; ``series`` is the metric's own name when it is not given.
    """
    return Sample(
        at_ms=at_ms,
        service=service,
        host=host,
        metric=metric,
        kind=kind,
        series=metric if series is None else series,
        count=len(values),
        sum=sum(values),
        min=min(values),
        max=max(values),
        last=values[-1],
    )
