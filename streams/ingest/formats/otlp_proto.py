"""OTLP logs as protobuf: one Kafka record is one ``ExportLogsServiceRequest`` with many lines.

``LogsData`` looks the same on the wire. The messages are those of the package ``opentelemetry-proto`` with every text
read as bytes: the Collector is written in Go and passes texts on that are no UTF-8, at which protobuf would refuse the
whole message.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from streams.core.errors import InputError
from streams.ingest.formats import otlp_lines, reasons, wire
from streams.ingest.formats.otlp_lines import DEPTH_MAX, Owner, Said
from streams.ingest.formats.reading import LINES_MAX, Item
from streams.ingest.json_lines import JsonReader

_RESOURCE_LOGS: Final = 1
_RESOURCE: Final = 1
_SCOPE_LOGS: Final = 2
_LOG_RECORDS: Final = 2
VALUES_MAX: Final = 20_000
"""How many attributes a log record may have, and how many values its body."""
_COUNTED_BYTES: Final = 65_536
_NAME_IN_FIELD_1: Final = 0x0A
"""A log record's field 1 is a fixed number (its time). A metric's and a span's is a text, and comes first."""


def _with_bytes_for_texts() -> tuple[Any, Any]:
    """Return the classes of log records and resources in a copy of OpenTelemetry's schema."""
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
        pool.Add(file)
    names = ("opentelemetry.proto.logs.v1.LogRecord", "opentelemetry.proto.resource.v1.Resource")
    record, resource = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return record, resource


_LogRecord, _Resource = _with_bytes_for_texts()


def decode(value: bytes, reader: JsonReader) -> list[Item] | None:
    """Return the lines of a request; None when the bytes are none. ``InputError`` for metrics, traces and monsters."""
    items: list[Item] = []
    values = _Values()
    try:
        for field, begin, end in wire.parts(value, 0, len(value)):
            if field != _RESOURCE_LOGS:
                return None
            owner = _owner(value, begin, end, values)
            for record in _log_records(value, begin, end):
                if len(items) >= LINES_MAX:
                    return items
                items.append(otlp_lines.read_of(_said(record, values), owner, reader))
    except InputError:
        raise
    except (ValueError, DecodeError):
        return None
    return items or None


def _owner(value: bytes, begin: int, end: int, values: _Values) -> Owner:
    """Return whose the lines of one ``ResourceLogs`` are; its resource may stand anywhere in it."""
    attributes: dict[str, Any] = {}
    for field, at, to in wire.parts(value, begin, end):
        if field == _RESOURCE:
            attributes |= values.attributes(_parsed(_Resource, value, at, to).attributes)
    return otlp_lines.owner_of(attributes)


def _log_records(value: bytes, begin: int, end: int) -> Iterator[Any]:
    """Yield the log records of one ``ResourceLogs``, one at a time."""
    for scope_field, scope_begin, scope_end in wire.parts(value, begin, end):
        if scope_field != _SCOPE_LOGS:
            continue
        for field, at, to in wire.parts(value, scope_begin, scope_end):
            if field != _LOG_RECORDS:
                continue
            if at < to and value[at] == _NAME_IN_FIELD_1:
                raise InputError(reasons.OTHER_SIGNAL)
            yield _parsed(_LogRecord, value, at, to)


def _parsed(kind: Any, value: bytes, at: int, to: int) -> Any:
    """Return a parsed message; a large one is counted before, because each empty field takes fifty times its size."""
    if to - at > _COUNTED_BYTES and sum(1 for _ in islice(wire.parts(value, at, to), VALUES_MAX + 1)) > VALUES_MAX:
        raise InputError(reasons.OTLP_TOO_MANY_VALUES)
    return kind.FromString(value[at:to])


def _said(record: Any, values: _Values) -> Said:
    return Said(
        body=values.body(record.body),
        attributes=values.attributes(record.attributes),
        level=otlp_lines.level_of(record.severity_number, _text(record.severity_text)),
        at_ms=otlp_lines.stamp_of(record.time_unix_nano or record.observed_time_unix_nano),
    )


class _Values:
    """Makes plain values of ``AnyValue``, at most ``VALUES_MAX`` for one body or one set of attributes."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def body(self, value: Any) -> Any:
        """Return text, number, list, dict or None."""
        self._left = VALUES_MAX
        return self._plain(value, 0)

    def attributes(self, pairs: Any) -> dict[str, Any]:
        """Return the attributes of a record or resource."""
        self._left = VALUES_MAX
        return {_text(pair.key): self._plain(pair.value, 0) for pair in pairs}

    def _plain(self, value: Any, depth: int) -> Any:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            return value.string_value.decode("utf-8", "replace")
        if kind is None or depth >= DEPTH_MAX:
            return None
        found = getattr(value, kind)
        if kind == "array_value":
            self._count(len(found.values))
            return [self._plain(item, depth + 1) for item in found.values]
        if kind == "kvlist_value":
            self._count(len(found.values))
            return {_text(pair.key): self._plain(pair.value, depth + 1) for pair in found.values}
        return _text(found) if kind == "bytes_value" else found

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise InputError(reasons.OTLP_TOO_MANY_VALUES)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
