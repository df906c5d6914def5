"""OTLP metrics as JSON: ``{"resourceMetrics": [{"resource": …, "scopeMetrics": [{"metrics": […]}]}]}``.

By https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding names are camelCase, 64-bit numbers are texts, and
unknown fields are passed over.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from msgspec import Struct

from streams.ingest.metrics.otlp import Labels, of_metric
from streams.ingest.metrics.points import NoMetricsError, Point, check_count, check_labels, check_lines, label, text

KEY: Final = "resourceMetrics"
_KINDS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


class _Message(Struct, rename="camel"):
    """Base of what is read of a request; unknown fields are passed over."""


class _Value(_Message):
    string_value: str | None = None
    int_value: int | None = None
    double_value: float | None = None
    bool_value: bool | None = None


class _Attribute(_Message):
    key: str = ""
    value: _Value | None = None


class _Point(_Message):
    attributes: tuple[_Attribute, ...] = ()
    time_unix_nano: int = 0
    flags: int = 0
    as_double: float | None = None
    as_int: int | None = None
    count: int = 0
    sum: float | None = None


class _Data(_Message):
    data_points: tuple[_Point, ...] = ()
    aggregation_temporality: int | str = 0


class _Metric(_Message):
    name: str = ""
    unit: str = ""
    gauge: _Data | None = None
    sum: _Data | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    summary: _Data | None = None

    @property
    def kind(self) -> str:
        """Return the field that holds data; ``""`` when none does."""
        return next((name for name in self.__struct_fields__[2:] if getattr(self, name) is not None), "")


class _Scope(_Message):
    metrics: tuple[_Metric, ...] = ()


class _Resource(_Message):
    attributes: tuple[_Attribute, ...] = ()


class _Resources(_Message):
    resource: _Resource | None = None
    scope_metrics: tuple[_Scope, ...] = ()


class _Request(_Message):
    resource_metrics: tuple[_Resources, ...] = ()


def decode(found: dict[str, Any]) -> list[Point]:
    """Return the points of a request; ``NoMetricsError`` when it is malformed."""
    _check_size(found)
    try:
        request = msgspec.convert(found, _Request, strict=False)
    except msgspec.ValidationError as error:
        raise NoMetricsError("no metrics: malformed OTLP in JSON") from error
    points: list[Point] = []
    for resources in request.resource_metrics:
        labels = _JSON.labels(resources.resource.attributes) if resources.resource else {}
        for scope in resources.scope_metrics:
            for metric in scope.metrics:
                if metric.name and metric.kind:
                    points += of_metric(metric, metric.kind, labels, _JSON)
    return points


def _check_size(found: dict[str, Any]) -> None:
    """Refuse a request of too many messages before structs are made of them."""
    messages = 0
    level: list[Any] = [found]
    for key in (KEY, "scopeMetrics", "metrics"):
        level = [inner for one in level for inner in _list(one, key)]
        check_lines(messages := messages + len(level))
    data = (one[kind] for one in level if isinstance(one, dict) for kind in _KINDS if kind in one)
    check_count(sum(len(_list(one, "dataPoints")) for one in data))


def _list(holder: Any, key: str) -> list[Any]:
    inner = holder.get(key) if isinstance(holder, dict) else None
    return inner if isinstance(inner, list) else []


class _Json:
    """Structs of JSON."""

    def text(self, field: Any) -> str:
        return str(field)

    def labels(self, attributes: Any) -> Labels:
        check_labels(len(attributes))
        labels = {}
        for pair in attributes:
            value = pair.value and next(
                (given for name in _Value.__struct_fields__ if (given := getattr(pair.value, name)) is not None), None
            )
            if value is not None:
                labels[label(pair.key)] = text(value)
        return labels

    def number(self, point: Any) -> float:
        if point.as_double is not None:
            return float(point.as_double)
        return math.nan if point.as_int is None else float(point.as_int)

    def sum(self, point: Any) -> float | None:
        return None if point.sum is None else float(point.sum)


_JSON: Final = _Json()
