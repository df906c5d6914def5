"""OTLP logs as protobuf: one Kafka record is one ``ExportLogsServiceRequest`` with many lines.

``LogsData`` looks the same on the wire. The messages are those of the package ``opentelemetry-proto`` with every text
read as bytes: the Collector is written in Go and passes texts on that are no UTF-8, at which protobuf would refuse the
whole message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1 import logs_pb2

from streams.core.errors import InputError
from streams.ingest.formats import otlp_lines, reasons, wire
from streams.ingest.formats.otlp_lines import DEPTH_MAX, Owner, Said
from streams.ingest.formats.otlp_schema import message_classes
from streams.ingest.formats.reading import LINES_MAX, Item
from streams.ingest.json_lines import JsonReader

Part = tuple[int, int, int]
"""Field number, begin and end of a message in bytes (``wire.parts``)."""
_RESOURCE_LOGS: Final = 1
_RESOURCE: Final = 1
_SCOPE_LOGS: Final = 2
_LOG_RECORDS: Final = 2
VALUES_MAX: Final = 20_000
"""How many fields a log record or a resource may have, with all that is in its values."""
LEVELS_MAX: Final = 100
"""How deep protobuf itself reads messages in messages."""
OWNERS_MAX: Final = 256
"""Resources of a request that are remembered: those of one machine are a few, and come again and again."""
SCOPES_KEPT_MAX: Final = 64
"""A resource with more scopes is walked over twice: millions of empty ones would be a list of as many places."""
_WALKED_BYTES: Final = 65_536
"""A message of this size or less can't hold more than twice ``VALUES_MAX``."""
_NAME_IN_FIELD_1: Final = 0x0A
"""A log record's field 1 is a fixed number (its time). A metric's and a span's is a text, and comes first."""


_LogRecord, _Resource = message_classes(logs_pb2, "logs.v1.LogRecord", "resource.v1.Resource")
_NESTED: Final = {
    _LogRecord: {5: "value", 6: "pair"},
    _Resource: {1: "pair"},
    "pair": {2: "value"},
    "value": {5: "list", 6: "map"},
    "list": {1: "value"},
    "map": {1: "pair"},
}
"""Which fields of a message are messages that hold values, and of what kind these are."""


def decode(value: bytes, reader: JsonReader) -> list[Item] | None:
    """Return the lines of a request; None when the bytes are none. ``InputError`` for metrics, traces and monsters."""
    items: list[Item] = []
    owners: dict[bytes, Owner] = {}
    try:
        for field, begin, end in wire.parts(value, 0, len(value)):
            if field != _RESOURCE_LOGS:
                return None
            owner, scopes = _opened(value, begin, end, owners)
            for _, scope_begin, scope_end in scopes:
                for record in _log_records(value, scope_begin, scope_end):
                    if len(items) >= LINES_MAX:
                        return items
                    items.append(otlp_lines.read_of(_said(record), owner, reader))
    except InputError:
        raise
    except (ValueError, DecodeError):
        return None
    return items or None


def _opened(value: bytes, begin: int, end: int, owners: dict[bytes, Owner]) -> tuple[Owner, Iterable[Part]]:
    """Return whose the lines of one ``ResourceLogs`` are, and its scopes; its resource may stand anywhere in it.

    ``owners`` remembers those of the request by their bytes. A resource in several parts is that of their bytes one
    after the other, as protobuf merges messages.
    """
    said = bytearray()
    scopes: list[Part] = []
    for part in wire.parts(value, begin, end):
        if part[0] == _SCOPE_LOGS:
            if len(scopes) <= SCOPES_KEPT_MAX:
                scopes.append(part)
        elif part[0] == _RESOURCE:
            said += value[part[1] : part[2]]
    resource = bytes(said)
    owner = owners.get(resource)
    if owner is None:
        owner = otlp_lines.owner_of(_attributes(_parsed(_Resource, resource, 0, len(resource)).attributes))
        if len(owners) < OWNERS_MAX:
            owners[resource] = owner
    if len(scopes) > SCOPES_KEPT_MAX:
        return owner, (part for part in wire.parts(value, begin, end) if part[0] == _SCOPE_LOGS)
    return owner, scopes


def _log_records(value: bytes, begin: int, end: int) -> Iterator[Any]:
    """Yield the log records of one scope, one at a time."""
    for field, at, to in wire.parts(value, begin, end):
        if field == _LOG_RECORDS:
            if at < to and value[at] == _NAME_IN_FIELD_1:
                raise InputError(reasons.OTHER_SIGNAL)
            yield _parsed(_LogRecord, value, at, to)


def _parsed(kind: Any, value: bytes, at: int, to: int) -> Any:
    """Return a parsed message; a large one is walked before, because an empty value takes fifty times its size."""
    if to - at > _WALKED_BYTES:
        _count(kind, value, at, to, VALUES_MAX, LEVELS_MAX)
    return kind.FromString(value[at:to])


def _count(kind: Any, value: bytes, begin: int, end: int, left: int, levels: int) -> int:
    """Return how many values may follow those of a message; ``InputError`` when it holds more than were ``left``."""
    if not levels:
        raise ValueError("nested too deeply")
    nested = _NESTED[kind]
    for field, at, to in wire.parts(value, begin, end):
        left -= 1
        if left < 0:
            raise InputError(reasons.OTLP_TOO_MANY_VALUES)
        inner = nested.get(field)
        if inner:
            left = _count(inner, value, at, to, left, levels - 1)
    return left


def _said(record: Any) -> Said:
    pairs, body = record.attributes, record.body
    text = body.string_value
    return Said(
        body=text.decode("utf-8", "replace") if text else _plain(body, 0),
        attributes=_attributes(pairs) if pairs else {},
        level=otlp_lines.level_of(record.severity_number, record.severity_text),
        at_ms=otlp_lines.stamp_of(record.time_unix_nano or record.observed_time_unix_nano),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        value = pair.value
        text = value.string_value
        found[pair.key.decode("utf-8", "replace")] = text.decode("utf-8", "replace") if text else _plain(value, 0)
    return found


def _plain(value: Any, depth: int) -> Any:
    """Return an ``AnyValue`` as text, number, list, dict or None."""
    text = value.string_value
    if text:
        return text.decode("utf-8", "replace")
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return ""
    if kind is None or depth >= DEPTH_MAX:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_plain(item, depth + 1) for item in found.values]
    if kind == "kvlist_value":
        return {_text(pair.key): _plain(pair.value, depth + 1) for pair in found.values}
    return _text(found) if kind == "bytes_value" else found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
