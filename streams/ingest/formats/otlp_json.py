"""OTLP logs as JSON: ``{"resourceLogs": [{"resource": …, "scopeLogs": [{"logRecords": […]}]}]}``.

By https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding names are camelCase and 64-bit numbers are texts;
snake_case names, numbers as numbers and the older ``instrumentationLibraryLogs`` with ``logs`` are met as well. Unknown
fields are passed over.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any, Final

from streams.ingest.formats import otlp_lines
from streams.ingest.formats.otlp_lines import DEPTH_MAX, Said
from streams.ingest.formats.reading import LINES_MAX, Item
from streams.ingest.json_lines import JsonReader

RESOURCE_KEYS: Final = ("resourceLogs", "resource_logs")
_SCOPE_KEYS: Final = (*("scopeLogs", "scope_logs", "instrumentationLibraryLogs", "instrumentation_library_logs"),)
_RECORD_KEYS: Final = ("logRecords", "log_records", "logs")
_NANOSECONDS_DIGITS_MAX: Final = 20


def unfold(found: dict[str, Any], reader: JsonReader) -> list[Item] | None:
    """Return the lines of a request; None when it holds none."""
    items: list[Item] = []
    for resource_logs in _dicts(found, RESOURCE_KEYS):
        resource = resource_logs.get("resource")
        owner = otlp_lines.owner_of(_attributes(resource) if type(resource) is dict else {})
        for record in _records(resource_logs):
            if len(items) >= LINES_MAX:
                return items
            items.append(otlp_lines.read_of(_said(record), owner, reader))
    return items or None


def _records(resource_logs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for scope_logs in _dicts(resource_logs, _SCOPE_KEYS):
        yield from _dicts(scope_logs, _RECORD_KEYS)


def _said(record: dict[str, Any]) -> Said:
    number = _either(record, "severityNumber", "severity_number")
    time = _number(_either(record, "timeUnixNano", "time_unix_nano"))
    observed = _number(_either(record, "observedTimeUnixNano", "observed_time_unix_nano"))
    return Said(
        body=_plain(record.get("body"), 0),
        attributes=_attributes(record),
        level=otlp_lines.level_of(
            _OF_NAME.get(number, 0) if type(number) is str else number,
            _either(record, "severityText", "severity_text"),
        ),
        at_ms=otlp_lines.stamp_of(time or observed),
    )


_OF_NAME: Final = {
    f"SEVERITY_NUMBER_{name}{step or ''}": first + max(step - 1, 0)
    for name, first in (("TRACE", 1), ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21))
    for step in (0, 2, 3, 4)
}
"""Severities by name, as protobuf's own printer of JSON writes them."""


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    pairs = _dicts(holder, ("attributes",))
    return {key: _plain(pair.get("value"), 0) for pair in pairs if type(key := pair.get("key")) is str}


def _plain(value: Any, depth: int) -> Any:
    """Return an ``AnyValue`` as text, number, list, dict or None; a value that is not wrapped stands for itself."""
    if type(value) is not dict:
        return value
    if depth >= DEPTH_MAX:
        return None
    for key, held in value.items():
        unwrap = _KINDS.get(key)
        if unwrap:
            return unwrap(held, depth + 1)
    return value or None


def _same(held: Any, _depth: int) -> Any:
    return held


def _decoded(held: Any, _depth: int) -> Any:
    """Return the text of bytes in base64; what is none stands for itself."""
    try:
        return b64decode(held, validate=True).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return held


def _listed(held: Any, depth: int) -> list[Any]:
    items = held.get("values") if type(held) is dict else None
    return [_plain(item, depth) for item in items] if type(items) is list else []


def _mapped(held: Any, depth: int) -> dict[str, Any]:
    rows = _dicts(held, ("values",)) if type(held) is dict else []
    return {name: _plain(row.get("value"), depth) for row in rows if type(name := row.get("key")) is str}


_KINDS: Final[dict[str, Callable[[Any, int], Any]]] = {
    **dict.fromkeys(("stringValue", "string_value", "intValue", "int_value"), _same),
    **dict.fromkeys(("doubleValue", "double_value", "boolValue", "bool_value"), _same),
    **dict.fromkeys(("bytesValue", "bytes_value"), _decoded),
    **dict.fromkeys(("arrayValue", "array_value"), _listed),
    **dict.fromkeys(("kvlistValue", "kvlist_value"), _mapped),
}
"""What an ``AnyValue`` holds, by the name of its one field."""


def _dicts(holder: dict[str, Any], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the objects in the list under the first key that is there."""
    found = next((holder[key] for key in keys if key in holder), None)
    return [item for item in found if type(item) is dict] if type(found) is list else []


def _either(record: dict[str, Any], camel: str, snake: str) -> Any:
    value = record.get(camel)
    return record.get(snake) if value is None else value


def _number(value: object) -> int:
    if type(value) is str and value.isdecimal() and len(value) <= _NANOSECONDS_DIGITS_MAX:
        return int(value)
    return max(int(value), 0) if type(value) is int or (type(value) is float and abs(value) < 1e20) else 0
