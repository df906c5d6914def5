"""Takes one record of metrics after the other: read, mapped to the twelve, added up, accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from streams.ingest import stamps
from streams.ingest.confluent import Book
from streams.ingest.gather import Gatherer
from streams.ingest.json_lines import JsonReader
from streams.ingest.metrics import reading
from streams.ingest.metrics.mapping import Value, values_of
from streams.ingest.metrics.owners import Owners
from streams.ingest.metrics.points import NoMetricsError
from streams.ingest.metrics.summing import SampleKey, size_of
from streams.ingest.zones import TopicZones
from streams.ports import Record

RECORD_BYTES_MAX: Final = 400_000
"""A record whose samples take more, on top of a slice that is nearly full, would not fit into a fact."""


class MetricTaker:
    """Reads the records of one cut."""

    def __init__(self, json: JsonReader, gatherer: Gatherer, book: Book, zones: TopicZones) -> None:
        self._json: Final = json
        self._book: Final = book
        self._gatherer: Final = gatherer
        self._owners: Final = Owners()
        self._zones: Final = zones
        self.stamps_replaced = 0

    def take(self, record: Record) -> str:
        """Take a record's points; return why no decoder took it, or ``""``."""
        gatherer = self._gatherer
        gatherer.append_max_ms = max(gatherer.append_max_ms, record.timestamp)
        try:
            points = reading.read(record, self._json, self._book)
            values, unmapped = values_of(points, partial(self._owners.of, record))
            added = self._keyed(record, values)
        except NoMetricsError as error:
            return str(error)
        sums = gatherer.sums
        for key, number, at_ms in added:
            sums.add(key, number, at_ms)
            gatherer.at_max_ms = max(gatherer.at_max_ms, at_ms)
        sums.points += len(points)
        sums.unmapped += unmapped
        return ""

    def _keyed(self, record: Record, values: Sequence[Value]) -> list[tuple[SampleKey, float, int]]:
        """Return each value with its sample's key and its time; ``NoMetricsError`` when they fit no slice."""
        added = []
        replaced = 0
        for (service, host), said_ms, metric, kind, series, number in values:
            at_ms = said_ms
            if not stamps.plausible(at_ms, record.timestamp):
                replaced += at_ms != 0
                at_ms = record.timestamp
            added.append(((at_ms - at_ms % 1000, service, host, metric, kind, series), number, at_ms))
        size = sum(map(size_of, {key for key, _, _ in added}))
        if size > RECORD_BYTES_MAX:
            raise NoMetricsError(f"too many series: samples of about {size} bytes, at most {RECORD_BYTES_MAX}")
        self.stamps_replaced += replaced
        return added
