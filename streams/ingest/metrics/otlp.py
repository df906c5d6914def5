"""OTLP metrics as protobuf: one record is one ``ExportMetricsServiceRequest``; ``MetricsData`` looks the same.

The outer messages are walked over before anything is built, so a small record that unfolds into millions of empty
points costs no memory. Of a histogram or summary, sum and count are taken, as ``name_sum`` and ``name_count``. What of
a text is no UTF-8 is replaced: an application's odd label must not cost the other metrics of the request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1 import metrics_pb2

from streams.ingest.formats import wire
from streams.ingest.formats.otlp_schema import message_classes
from streams.ingest.metrics.points import (
    NoMetricsError,
    Point,
    check_count,
    check_labels,
    check_lines,
    label,
    normal,
    text,
)

MESSAGE_BYTES_MAX: Final = 1 << 21
"""A resource, or all points of one metric, in one record."""
NO_RECORDED_VALUE: Final = 1
"""A bit of a point's flags."""
DISTRIBUTIONS: Final = ("histogram", "exponential_histogram", "summary")
_RESOURCE_METRICS: Final = 1
_RESOURCE: Final = 1
_POINTS: Final = 1
_SCOPE_METRICS: Final = 2
_METRICS: Final = 2
_OTHER_SIGNAL: Final = "no metrics: OTLP of another signal, or a damaged one"
_DELTA: Final = frozenset({1, "AGGREGATION_TEMPORALITY_DELTA"})
_SCALARS: Final = frozenset({"string_value", "int_value", "bool_value", "double_value"})
_DATA: Final = frozenset({5, 7, 9, 10, 11})

_Metric, _SummaryPoint, _Resource = message_classes(
    metrics_pb2, "metrics.v1.Metric", "metrics.v1.SummaryDataPoint", "resource.v1.Resource"
)

Labels = dict[str, str]


class Form(Protocol):
    """How messages hold what differs between protobuf and JSON."""

    def text(self, field: Any) -> str:
        """Return a text field, such as a metric's name."""
        ...

    def labels(self, attributes: Any) -> Labels:
        """Return the attributes of a point or resource that are no lists."""
        ...

    def number(self, point: Any) -> float:
        """Return the value of a number's point, NaN when it has none."""
        ...

    def sum(self, point: Any) -> float | None:
        """Return the sum of a distribution; None when there is none, as for values that may be negative."""
        ...


def decode(value: bytes) -> list[Point] | None:
    """Return the points of a request; None when the bytes are none.

    Raises ``NoMetricsError`` when it is of another signal, or too large.
    """
    try:
        _check_size(value)
    except ValueError:
        return None
    try:
        return list(_points(value))
    except DecodeError as error:
        raise NoMetricsError(_OTHER_SIGNAL) from error


def _points(value: bytes) -> Iterator[Point]:
    """Yield the points of a request that was walked over."""
    for begin, end in _within(value, 0, len(value), _RESOURCE_METRICS):
        resource = _resource(value, begin, end)
        for at, to in _metric_spans(value, begin, end):
            metric = _Metric.FromString(value[at:to])
            kind = metric.WhichOneof("data")
            if kind is None or not metric.name:
                raise NoMetricsError(_OTHER_SIGNAL)
            yield from of_metric(metric, kind, resource, _PROTOBUF)


def of_metric(metric: Any, kind: str, resource: Labels, form: Form) -> Iterator[Point]:
    """Yield the points of a metric whose data is in the field ``kind``; ``resource`` are its resource's labels."""
    data = getattr(metric, kind)
    name = normal(form.text(metric.name))
    unit = form.text(metric.unit)
    delta = getattr(data, "aggregation_temporality", 0) in _DELTA
    for point in data.data_points:
        if point.flags & NO_RECORDED_VALUE:
            values: tuple[tuple[str, float], ...] = ()
        elif kind in DISTRIBUTIONS:
            total = form.sum(point)
            count = (f"{name}_count", float(point.count))
            values = (count,) if total is None else (count, (f"{name}_sum", total))
        else:
            values = ((name, form.number(point)),)
        labels = form.labels(point.attributes)
        at_ms = point.time_unix_nano // 1_000_000
        yield Point(values=values, labels={**resource, **labels}, at_ms=at_ms, delta=delta, unit=unit)


class _Protobuf:
    """Messages of protobuf, whose texts are bytes."""

    def text(self, field: Any) -> str:
        return str(field, "utf-8", "replace")

    def labels(self, attributes: Any) -> Labels:
        check_labels(len(attributes))
        labels = {}
        for pair in attributes:
            kind = pair.value.WhichOneof("value")
            if kind in _SCALARS:
                value = getattr(pair.value, kind)
                labels[label(self.text(pair.key))] = text(self.text(value) if kind == "string_value" else value)
        return labels

    def number(self, point: Any) -> float:
        kind = point.WhichOneof("value")
        return float(getattr(point, kind)) if kind else math.nan

    def sum(self, point: Any) -> float | None:
        if isinstance(point, _SummaryPoint) or point.HasField("sum"):
            return float(point.sum)
        return None


_PROTOBUF: Final = _Protobuf()


def _check_size(value: bytes) -> None:
    """Walk over the messages and refuse too many of them, and those that could unfold into too much.

    ``ValueError`` when the outer ones are none; damage further in is that of another signal's messages.
    """
    points = messages = 0
    for count, _ in enumerate(wire.parts(value, 0, len(value))):
        check_lines(count)
    for begin, end in _within(value, 0, len(value), _RESOURCE_METRICS):
        try:
            for size, is_point in _sizes(value, begin, end):
                points += is_point
                messages += 1
                check_count(points)
                check_lines(messages)
                _check_message(size)
        except ValueError as error:
            raise NoMetricsError(_OTHER_SIGNAL) from error


def _sizes(value: bytes, begin: int, end: int) -> Iterator[tuple[int, bool]]:
    """Yield the size of each message in a ``ResourceMetrics``, and whether it is a data point."""
    for field, at, to in wire.parts(value, begin, end):
        yield (to - at if field == _RESOURCE else 0), False
        for metric_at, metric_to in _within(value, at, to, _METRICS) if field == _SCOPE_METRICS else ():
            yield metric_to - metric_at, False
            for point_at, point_to in _point_spans(value, metric_at, metric_to):
                yield point_to - point_at, True


def _check_message(size: int) -> None:
    if size > MESSAGE_BYTES_MAX:
        raise NoMetricsError(f"too large: a message of {size} bytes in OTLP, at most {MESSAGE_BYTES_MAX}")


def _within(value: bytes, begin: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    for field, at, to in wire.parts(value, begin, end):
        if field == wanted:
            yield at, to


def _metric_spans(value: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for scope_at, scope_to in _within(value, begin, end, _SCOPE_METRICS):
        yield from _within(value, scope_at, scope_to, _METRICS)


def _point_spans(value: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for field, at, to in wire.parts(value, begin, end):
        if field in _DATA:
            yield from _within(value, at, to, _POINTS)


def _resource(value: bytes, begin: int, end: int) -> Labels:
    labels: Labels = {}
    for at, to in _within(value, begin, end, _RESOURCE):
        labels |= _PROTOBUF.labels(_Resource.FromString(value[at:to]).attributes)
    return labels
