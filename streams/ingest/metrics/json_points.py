"""Metrics as JSON objects: one point or several in each.

* ``{"ts": …, "service": …, "metric": "cpu", "value": 73.2}``, also with ``unit``, ``host``, ``labels`` or ``tags``
* prometheus-kafka-adapter: ``{"labels": {"__name__": …}, "value": "1.5", "timestamp": …}``
* Telegraf: ``{"name": "mem", "fields": {"used_percent": 41.5}, "tags": {…}, "timestamp": …}``, a point for each field
* Vector: ``{"name": …, "namespace": "host", "tags": {…}, "kind": "absolute", "gauge": {"value": 1.5}}``
"""

from __future__ import annotations

import math
from typing import Any, Final

from streams.ingest import stamps
from streams.ingest.metrics.points import NoMetricsError, Point, check_count, check_labels, label, normal, text

_TIME_KEYS: Final = ("ts", "timestamp", "time", "@timestamp", "at", "datetime")
_NAME_KEYS: Final = ("metric", "metric_name", "name", "__name__")
_LABEL_KEYS: Final = ("labels", "tags", "attributes", "dimensions")
_VECTOR_KEYS: Final = ("gauge", "counter")
_VECTOR_DISTRIBUTIONS: Final = ("aggregated_histogram", "aggregated_summary")
_VECTOR_OTHERS: Final = ("distribution", "set", "sketch")
_OWN_KEYS: Final = frozenset({*_TIME_KEYS, *_NAME_KEYS, "value", "unit", "kind", "type", "namespace"})


def decode(found: dict[str, Any]) -> list[Point]:
    """Return the points of an object; ``NoMetricsError`` when it has no name of a metric with a value, or too much."""
    check_labels(len(found))
    labels = _labels(found)
    at_ms = next((at for key in _TIME_KEYS if key in found and (at := stamps.of_value(found[key]))), 0)
    name = next((found[key] for key in _NAME_KEYS if isinstance(found.get(key), str)), labels.pop("__name__", ""))
    fields = found.get("fields")
    if name and isinstance(fields, dict):
        check_count(len(fields))
        return [
            Point(values=((normal(f"{name}_{field}"), _number(value)),), labels=labels, at_ms=at_ms)
            for field, value in fields.items()
        ]
    values = _values(found, name) if name else None
    if values is None:
        raise NoMetricsError("no metrics: JSON without a metric's name and value")
    unit = found.get("unit")
    delta = found.get("kind") == "incremental"
    return [Point(values=values, labels=labels, at_ms=at_ms, delta=delta, unit=unit if isinstance(unit, str) else "")]


def _values(found: dict[str, Any], name: str) -> tuple[tuple[str, float], ...] | None:
    """Return (name, number) of an object; None when it holds no value at all."""
    if "value" in found:
        return ((normal(name), _number(found["value"])),)
    namespace = found.get("namespace")
    name = normal(f"{namespace}_{name}" if isinstance(namespace, str) else name)
    for key in _VECTOR_KEYS:
        if isinstance(inner := found.get(key), dict):
            return ((name, _number(inner.get("value"))),)
    for key in _VECTOR_DISTRIBUTIONS:
        if isinstance(inner := found.get(key), dict):
            return ((f"{name}_count", _number(inner.get("count"))), (f"{name}_sum", _number(inner.get("sum"))))
    return () if any(key in found for key in _VECTOR_OTHERS) else None


def _labels(found: dict[str, Any]) -> dict[str, str]:
    """Return an object's labels: those under a key of their own, and the texts beside its name and value."""
    labels = {
        label(key): text(value) for key, value in found.items() if isinstance(value, str) and key not in _OWN_KEYS
    }
    for key in _LABEL_KEYS:
        inner = found.get(key)
        if isinstance(inner, dict):
            check_labels(len(inner))
            labels |= {label(name): text(value) for name, value in inner.items() if not isinstance(value, dict | list)}
    return labels


def _number(value: object) -> float:
    """Return a JSON value as a number, NaN when it is none; producers write numbers as texts too."""
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if isinstance(value, str) and "_" not in value:
        try:
            return float(value)
        except ValueError:
            return math.nan
    return math.nan
