"""OTLP requests as exporters make them, from a plain description; protobuf by OpenTelemetry's own classes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Described = tuple[Mapping[str, Any], list[dict[str, Any]]]
"""Attributes of a resource, and its log records: body, attributes, number, text, time, observed."""


def as_proto(*resources: Described) -> bytes:
    """Encode a request as the Collector's ``otlp_proto`` does."""
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=_pairs(attributes)),
                scope_logs=[ScopeLogs(log_records=[_record(record) for record in records])],
            )
            for attributes, records in resources
        ]
    ).SerializeToString()


def as_json(*resources: Described, snake: bool = False, old: bool = False) -> bytes:
    """Encode a request as the Collector's ``otlp_json`` does: camelCase, 64-bit numbers as text; or as others do."""
    scopes, records_key = ("instrumentationLibraryLogs", "logs") if old else ("scopeLogs", "logRecords")
    request = {
        "resourceLogs": [
            {
                "resource": {"attributes": _json_pairs(attributes)},
                scopes: [{records_key: [_json_record(record) for record in records], "later": {"x": [1]}}],
                "schemaUrl": "https://opentelemetry.io/schemas/1.6.1",
            }
            for attributes, records in resources
        ]
    }
    return msgspec.json.encode(_in_snake_case(request) if snake else request)


def _record(record: dict[str, Any]) -> LogRecord:
    return LogRecord(
        time_unix_nano=record.get("time", 0),
        observed_time_unix_nano=record.get("observed", 0),
        severity_number=record.get("number", 0),
        severity_text=record.get("text", ""),
        body=_any(record["body"]) if "body" in record else None,
        attributes=_pairs(record.get("attributes", {})),
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
    )


def _pairs(attributes: Mapping[str, Any]) -> Iterable[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


_FIELD_OF: Final = {bool: "bool", str: "string", bytes: "bytes", int: "int", float: "double"}


def _any(value: Any) -> AnyValue:
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(**{f"{_FIELD_OF[type(value)]}_value": value})


def _json_record(record: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "timeUnixNano": str(record["time"]) if "time" in record else None,
        "observedTimeUnixNano": str(record["observed"]) if "observed" in record else None,
        "severityNumber": record.get("number"),
        "severityText": record.get("text"),
        "body": _json_any(record["body"]) if "body" in record else None,
        "attributes": _json_pairs(record.get("attributes", {})),
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
    }
    return {key: value for key, value in fields.items() if value is not None}


def _json_pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_any(value)} for key, value in attributes.items()]


def _json_any(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _json_pairs(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_any(item) for item in value]}}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    return {f"{_FIELD_OF[type(value)]}Value": str(value) if type(value) is int else value}


def _in_snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in k): _in_snake_case(v) for k, v in value.items()}
    return [_in_snake_case(item) for item in value] if isinstance(value, list) else value
