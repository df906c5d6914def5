"""Which format a record of metrics has: sniffed for each record, by its headers' and first bytes."""

from __future__ import annotations

from typing import Any, Final

from streams.ingest.confluent import Book, Decoded
from streams.ingest.json_lines import JsonReader
from streams.ingest.metrics import json_points, otlp, otlp_json, prometheus
from streams.ingest.metrics.points import NoMetricsError, Point, check_count, check_lines, lines_of
from streams.ingest.sniffing import unreadable
from streams.ports import Record

_RESOURCE_METRICS: Final = 0x0A
"""First byte of a request in protobuf: field 1 with a length. As text it is a line break."""
_BLANK: Final = b" \t\r\n\x00"
_BATCH: Final = "metrics"
"""Under which Telegraf puts several metrics with ``use_batch_format``."""
_OTHER_SIGNALS: Final = ("resourceLogs", "resourceSpans", "resourceProfiles")


def read(record: Record, json: JsonReader, book: Book) -> list[Point]:
    """Return the points of a record; ``NoMetricsError`` with the reason when no decoder takes it.

    A record is taken whole or not at all, so that it can be sent again once its producer is put right.
    """
    value = record.value
    if not value or not value.strip(_BLANK):
        raise NoMetricsError("empty")
    framed = book.read(record, value)
    if framed is not None:
        return _framed(framed, json)
    if value[0] == _RESOURCE_METRICS and (points := _of_protobuf(value, json)) is not None:
        return points
    if said := unreadable(value):
        raise NoMetricsError("no metrics: malformed OTLP" if value[0] == _RESOURCE_METRICS else said)
    return _text(value, json)


def _of_protobuf(value: bytes, json: JsonReader) -> list[Point] | None:
    """Return the points of a request; None when the bytes are none. Text that begins with a line break may look so."""
    try:
        return otlp.decode(value)
    except NoMetricsError:
        if unreadable(value):
            raise
        try:
            return _text(value, json)
        except NoMetricsError:
            pass
        raise


def _framed(found: Decoded, json: JsonReader) -> list[Point]:
    """Return the points of what stood in Confluent's framing."""
    if isinstance(found, str):
        raise NoMetricsError(found)
    if isinstance(found, bytes):
        return _text(found, json)
    return _of_json(found if isinstance(found, list) else [found])


def _text(value: bytes, json: JsonReader) -> list[Point]:
    """Return the points of text: JSON, JSON by the line, or Prometheus' own format."""
    body = value.strip(_BLANK)
    if body[:1] not in {b"{", b"["}:
        return prometheus.decode(value)
    found = json.decode(body)
    if isinstance(found, dict | list):
        return _of_json(found if isinstance(found, list) else [found])
    first = json.decode(body[: body.find(b"\n") + 1])
    return _of_json_lines(body, json) if isinstance(first, dict) else prometheus.decode(value)


def _of_json_lines(value: bytes, json: JsonReader) -> list[Point]:
    points: list[Point] = []
    for number, line in enumerate(lines_of(value)):
        check_lines(number)
        if line := line.strip(_BLANK):
            points += _of_json([json.decode(line)])
            check_count(len(points))
    return points


def _of_json(found: list[Any]) -> list[Point]:
    points: list[Point] = []
    for one in found:
        batch = one.get(_BATCH) if isinstance(one, dict) else None
        for item in batch if isinstance(batch, list) else (one,):
            points += _of_object(item)
            check_count(len(points))
    return points


def _of_object(found: object) -> list[Point]:
    if not isinstance(found, dict):
        raise NoMetricsError("no metrics: JSON of other things than objects")
    if otlp_json.KEY in found:
        return otlp_json.decode(found)
    if any(key in found for key in _OTHER_SIGNALS):
        raise NoMetricsError("no metrics: OTLP of another signal")
    return json_points.decode(found)
