"""Builds the records of the corpus that are no text, from the layouts that are published for them.

    python -m tests.producers.binary        writes corpus/otlp-proto.jsonl, msgpack.jsonl and confluent-avro.jsonl

OTLP is encoded by the messages that OpenTelemetry generates from its own definitions, Avro by ``fastavro``, msgpack by
``msgspec``.
"""

from __future__ import annotations

import io
import struct
from base64 import b64encode
from collections.abc import Callable

import fastavro
import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.producers.corpus import DIRECTORY, SCHEMAS, Entry, Row

AT = "2024-02-01T10:00:00.250Z"
SECONDS, NANOS = 1_706_781_600, 250_000_000
AT_NANOS = SECONDS * 1_000_000_000 + NANOS
REFUSED = "connect() to 10.0.0.7:8443 failed (111: Connection refused)"
LOCKED = "database is locked"
FULL = "write failed: No space left on device"
KUBERNETES = {
    "pod_name": "orders-7d4b9c6f5d-x2x9k",
    "namespace_name": "shop",
    "labels": {"app.kubernetes.io/name": "orders"},
    "host": "node-1",
    "container_name": "app",
}
TRACE = f'Traceback (most recent call last):\n  File "/srv/orders/store.py", line 7, in store\nsqlite3.Error: {LOCKED}'


def entry(case: str, value: bytes, *rows: Row, key: str | None = None, headers: dict[str, str] | None = None) -> Entry:
    """Return an entry of the corpus."""
    return Entry(case=case, base64=b64encode(value).decode(), key=key, headers=headers or {}, lines=rows)


def quiet(rule: str, severity: str = "info", service: str = "orders", times: int = 1) -> Row:
    """Return what a line in which nothing is seen comes to."""
    return Row(at=AT, service=service, rule=rule, severity=severity, times=times)


def seen(rule: str, pattern: str, text: str, severity: str = "error", **more: object) -> Row:
    """Return what a detected line comes to."""
    known = {"at": AT, "service": "orders", "rule": rule, "severity": severity, "pattern": pattern, "text": text}
    return msgspec.convert({**known, **more}, Row)


# --------------------------------------------------------------------------------------------------- OTLP in protobuf


def attributes(**said: str) -> list[KeyValue]:
    """Return attributes; ``__`` stands for a dot."""
    return [KeyValue(key=k.replace("__", "."), value=AnyValue(string_value=v)) for k, v in said.items()]


def record(number: int, text: str, **said: str) -> LogRecord:
    """Return a log record of a severity."""
    return LogRecord(
        time_unix_nano=AT_NANOS,
        observed_time_unix_nano=AT_NANOS + 1_000_000_000,
        severity_number=number,  # type: ignore[arg-type] # the enumeration's values are its numbers
        body=AnyValue(string_value=text),
        attributes=attributes(**said),
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        flags=1,
    )


def resource(*records: LogRecord, **said: str) -> ResourceLogs:
    """Return a resource's records, in one scope."""
    scoped = ScopeLogs(scope=InstrumentationScope(name="shop", version="1"), log_records=records)
    return ResourceLogs(resource=Resource(attributes=attributes(**said)), scope_logs=[scoped])


def request(*resources: ResourceLogs) -> bytes:
    """Return an ExportLogs request, as the Collector's ``otlp_proto`` puts it into one Kafka record."""
    return ExportLogsServiceRequest(resource_logs=resources).SerializeToString(deterministic=True)


def otlp() -> list[Entry]:
    """Return requests of several shapes."""
    orders = {"service__name": "orders", "service__instance__id": "77", "host__name": "web-1"}
    four = [record(9, "order 17 stored"), record(17, REFUSED), record(13, "order 18 is late"), record(21, FULL)]
    rows = [
        quiet("otel"),
        seen("otel", "connection_refused", REFUSED, host="web-1", index=1),
        quiet("otel", "warning"),
        seen("otel", "disk_full", FULL, "fatal", host="web-1", index=3),
    ]
    failed = record(17, "order 19 not stored", exception__type="sqlite3.Error", exception__stacktrace=TRACE)
    parts = KeyValueList(values=attributes(message=REFUSED, order="17"))
    mapped = LogRecord(observed_time_unix_nano=AT_NANOS, severity_number=17, body=AnyValue(kvlist_value=parts))  # type: ignore[arg-type] # as above
    return [
        entry("one resource", request(resource(*four, **orders)), *rows),
        entry(
            "two resources, an exception",
            request(
                resource(*four, **orders),
                resource(record(1, "read"), record(5, "read"), failed, service__name="billing", k8s__node__name="n-1"),
            ),
            *rows,
            quiet("otel", service="billing", times=2),
            seen(
                "otel", "database_lock", failed.body.string_value, service="billing", host="n-1", more=[LOCKED], index=6
            ),
        ),
        entry(
            "observed time only, a body that is a map",
            request(resource(mapped, service__name="orders")),
            seen("otel", "connection_refused", REFUSED),
        ),
        entry(
            "no service",
            request(resource(record(17, REFUSED))),
            seen("key", "connection_refused", REFUSED, service="orders-otel"),
            key="orders-otel",
        ),
        entry(
            "100 records",
            request(resource(*(record(9, f"order {n} stored") for n in range(100)), service__name="orders")),
            quiet("otel", times=100),
        ),
    ]


# ------------------------------------------------------------------------------------------------------------ msgpack


def event_time() -> msgspec.msgpack.Ext:
    """Return Fluentd's EventTime: extension type 0, seconds and nanoseconds."""
    return msgspec.msgpack.Ext(0, struct.pack(">II", SECONDS, NANOS))


def odd_map() -> bytes:
    """Return a map of three whose text is no UTF-8."""
    stamp = b"\xaa@timestamp\xcb" + struct.pack(">d", SECONDS + 0.25)
    return b"\x83" + stamp + b"\xa7service\xa6orders\xa3log\xad" + "Gerät bereit!".encode("latin-1")


def packed() -> list[Entry]:
    """Return Fluent Bit's maps, and events of the forward protocol."""
    pack: Callable[[object], bytes] = msgspec.msgpack.encode
    stamp = {"@timestamp": SECONDS + 0.25}
    kubernetes = {**stamp, "stream": "stderr", "_p": "F", "log": REFUSED, "kubernetes": KUBERNETES}
    said = seen("kubernetes", "connection_refused", REFUSED, host="node-1")
    of_two = [{"service": "orders", "log": "order 17 stored"}, {"service": "orders", "log": LOCKED, "level": "error"}]
    return [
        entry("a map", pack({**stamp, "log": REFUSED}), seen("key", "connection_refused", REFUSED), key="orders"),
        entry("kubernetes filter", pack(kubernetes), said),
        entry("level", pack({**stamp, "service": "orders", "level": "warn", "log": "late"}), quiet("json", "warning")),
        entry("bad UTF-8 in a string", odd_map(), quiet("json")),
        entry(
            "events of the forward protocol",
            pack(["shop.orders", [[event_time(), one] for one in of_two]]),
            quiet("json"),
            seen("json", "database_lock", LOCKED, index=1),
        ),
        entry(
            "an event with metadata",
            pack([[event_time(), {}], of_two[1]]),
            seen("json", "database_lock", LOCKED),
        ),
    ]


# ------------------------------------------------------------------------------------------------------ Confluent Avro


def avro() -> list[Entry]:
    """Return Avro behind Confluent's five bytes, and with the id in a header instead."""
    schema = fastavro.parse_schema(msgspec.json.decode(SCHEMAS[1]))

    def written(**said: object) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, {"ts": AT_NANOS // 1_000_000, "service": "orders", **said})
        return out.getvalue()

    framed = b"\x00" + (1).to_bytes(4, "big")
    refused = written(level="ERROR", message=REFUSED)
    return [
        entry("id before the payload", framed + refused, seen("json", "connection_refused", REFUSED)),
        entry("quiet", framed + written(level=None, message="order 17 stored"), quiet("json")),
        entry("warning", framed + written(level="WARN", message="order 18 is late"), quiet("json", "warning")),
        entry(
            "id in a header",
            refused,
            seen("json", "connection_refused", REFUSED),
            headers={"__value_schema_id": framed.decode()},
        ),
        Entry(
            case="an id that the registry does not know",
            base64=b64encode(b"\x00\x00\x00\x00\x63" + refused).decode(),
            reject="confluent avro: unknown schema",
        ),
    ]


FILES = {"otlp-proto": otlp, "msgpack": packed, "confluent-avro": avro}


def built(name: str) -> bytes:
    """Return the bytes of a file of the corpus."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in FILES[name]())


if __name__ == "__main__":
    for name in FILES:
        (DIRECTORY / f"{name}.jsonl").write_bytes(built(name))
