"""Records as a broker would deliver them, and what a cut came to in a form that does not depend on how it was split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import msgspec

from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.lines import CHECK_EVERY_LINES, RECORD_LINES_MAX
from streams.ingest.redact import Redactor
from streams.ingest.slicer import Cut, Slicer
from streams.topics import Topics

TOPIC = "logs"
APPEND_MS = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
"""All records were appended at 2024-03-01 12:00 UTC unless a test says otherwise."""
FIRST_LEFT_OUT = RECORD_LINES_MAX + (CHECK_EVERY_LINES - 1 - RECORD_LINES_MAX) % CHECK_EVERY_LINES
"""The index of the first line that is not taken of a record with too many."""


@dataclass(frozen=True)
class Given:
    """A record of a topic."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = APPEND_MS
    topic: str = TOPIC
    partition: int = 0


def at(text: str) -> int:
    """Return the milliseconds of an ISO time; UTC when it names no zone."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def json(**fields: object) -> bytes:
    """Encode a JSON object as a producer would send it."""
    return msgspec.json.encode(fields)


def records(*values: bytes | None, key: bytes | None = None) -> list[Given]:
    """Return records of one partition from offset 0."""
    return [Given(value, offset=offset, key=key) for offset, value in enumerate(values)]


@cache
def redactor() -> Redactor:
    """Return the redactor of all these slicers: making one takes longer than most cuts."""
    return Redactor()


def slicer() -> Slicer:
    """Return a new slicer with the shipped rules."""
    return Slicer(matcher.shipped(), Topics(), redactor())


def cut(*given: Given, by: Slicer | None = None) -> Cut:
    """Return what a slicer makes of records of one partition."""
    return (by or slicer()).cut(given[0].topic, given[0].partition, 1, given, given[0].offset)


def cut_values(*values: bytes | None, key: bytes | None = None) -> Cut:
    """Return what a slicer makes of values from offset 0."""
    return cut(*records(*values, key=key))


def only(cut_: Cut) -> Slice:
    """Return the one slice of a cut."""
    assert len(cut_.slices) == 1
    return cut_.slices[0]


def tallied(slices: Sequence[Slice]) -> Counter[tuple[int, str, str, str, str]]:
    """Count lines by second, service, severity, pattern and template."""
    total: Counter[tuple[int, str, str, str, str]] = Counter()
    for piece in slices:
        for tally in piece.tallies:
            total[tally.at_ms, tally.service, tally.severity, tally.pattern, tally.template] += tally.count
    return total


def detected(slices: Sequence[Slice]) -> Counter[tuple[str, ...]]:
    """Count detections by service, rule, host, pattern, category, severity and template."""
    total: Counter[tuple[str, ...]] = Counter()
    for piece in slices:
        for d in piece.detections:
            total[d.service, d.service_rule, d.host, d.pattern, d.category, d.severity, d.template] += d.count
    return total
