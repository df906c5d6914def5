"""Adds values up: those of equal second, service, host, metric, kind and series are one sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from streams.core.events import Sample

SAMPLE_BYTES: Final = 60
"""About what a sample takes encoded, besides its texts."""

SampleKey = tuple[int, str, str, str, str, str]
"""(second in ms, service, host, metric, kind, series)."""


class _Sum(Struct):
    """A sample under way; ``last_at_ms`` is the time of ``last``."""

    count: int
    sum: float
    min: float
    max: float
    last: float
    last_at_ms: int


class SampleSums:
    """The samples of one slice under way, and how many data points they came from."""

    def __init__(self) -> None:
        self.points = 0
        self.unmapped = 0
        self.size_bytes = 0
        """About how many bytes the samples take encoded."""
        self._sums: Final[dict[SampleKey, _Sum]] = {}

    def add(self, key: SampleKey, number: float, at_ms: int) -> None:
        """Add a value of ``at_ms``; of values of the same time the one added later counts as the last."""
        found = self._sums.get(key)
        if found is None:
            self.size_bytes += size_of(key)
            self._sums[key] = _Sum(1, number, number, number, number, at_ms)
            return
        found.count += 1
        found.sum += number
        found.min, found.max = min(found.min, number), max(found.max, number)
        if at_ms >= found.last_at_ms:
            found.last, found.last_at_ms = number, at_ms

    def samples(self, named: Callable[[str], str]) -> tuple[Sample, ...]:
        """Return the samples, in the order of their first values; ``named`` redacts the names of services and hosts."""
        return tuple(_sample(key, found, named) for key, found in self._sums.items())


def size_of(key: SampleKey) -> int:
    """Return about how many bytes a sample takes encoded."""
    return SAMPLE_BYTES + len(key[5]) + sum(len(name if name.isascii() else name.encode()) for name in key[1:3])


def _sample(key: SampleKey, found: _Sum, named: Callable[[str], str]) -> Sample:
    at_ms, service, host, metric, kind, series = key
    return Sample(
        at_ms=at_ms,
        service=named(service),
        host=named(host),
        metric=metric,
        kind=kind,
        series=series,
        count=found.count,
        sum=round(found.sum, 9),
        min=found.min,
        max=found.max,
        last=found.last,
    )
