"""Records as producers send them, by format; each function makes one value (or key, headers and value)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from tests.fuzz import protobuf
from tests.fuzz.words import NAMES, a_number, a_stamp, a_stamp_ns, a_text, a_word
from tests.ingest.given import APPEND_MS

Headers = tuple[tuple[str, bytes], ...]
KEYS: Final = (
    "ts", "time", "@timestamp", "timestamp", "message", "msg", "log", "event", "level", "severity", "severity_number",
    "levelname",
    "service", "app", "logger", "kubernetes", "resource", "host", "hostname", "error", "file", "$date", "name",
    "labels", "x",
    "stream", "exc_info", "version", "short_message", "full_message", "_container_name", "schema", "payload", "data",
    "tags", "",
    "resourceLogs", "resourceMetrics", "scopeLogs", "body", "attributes", "metric", "value",
)  # fmt: skip
LEVELS: Final = ("INFO", "error", "WARNING", "fatal", "CRIT", "debug", "nonsense", "", "3", 17, None)


def text(random: Random) -> str:
    """Return text as JSON takes it."""
    return a_text(random).decode("utf-8", "replace")


def stamp(random: Random) -> Any:
    """Return a time field's value."""
    ms = APPEND_MS + random.randrange(-(10**6), 10**6)
    return random.choice([a_stamp(random).decode(), ms, ms / 1000, str(ms), {"$date": ms}, a_number(random), None])


def tree(random: Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = random.randrange(9 if depth < 5 else 6)
    if kind == 6:
        return {random.choice(KEYS): tree(random, depth + 1) for _ in range(random.randrange(5))}
    if kind == 7:
        return [tree(random, depth + 1) for _ in range(random.randrange(4))]
    return random.choice([text(random), a_number(random), None, True, stamp(random), a_word(random).decode("latin1")])


def encode(value: Any) -> bytes:
    """Encode JSON; what msgspec refuses (integers beyond 64 bits) as text."""
    try:
        return msgspec.json.encode(value)
    except (OverflowError, msgspec.MsgspecError):
        return msgspec.json.encode(str(value))


def json_any(random: Random) -> bytes:
    """Return an object of keys that mean something somewhere, with any values."""
    return encode({random.choice(KEYS): tree(random) for _ in range(random.randrange(1, 9))})


def json_known(random: Random) -> bytes:
    """Return what a known shipper or logging library writes."""
    name, said, level = a_word(random).decode("latin1"), text(random), random.choice(LEVELS)
    shapes: tuple[dict[str, Any], ...] = (
        {"@timestamp": stamp(random), "log": said, "kubernetes": {"labels": {"app": name}, "pod_name": f"{name}-0"}},
        {"file": f"/x/{name}.log", "host": name, "message": said, "source_type": "file", "timestamp": stamp(random)},
        {"@timestamp": stamp(random), "message": said, "log": {"file": {"path": f"/x/{name}"}, "level": level},
         "service": {"name": name}, "host": {"name": name}, "@metadata": {"beat": "filebeat"}},
        {"log": said + "\n", "stream": "stderr", "time": stamp(random)},
        {"levelname": level, "name": name, "msg": said, "args": tree(random), "exc_info": text(random)},
        {"level": level, "event": said, "timestamp": stamp(random), "logger": name},
        {"ts": stamp(random), "service": name, "message": said},
        {"version": "1.1", "host": name, "short_message": said, "full_message": text(random), "level": level,
         "timestamp": stamp(random), "_app": name},
        {"schema": tree(random), "payload": {"message": said, "service": name}},
        {"schema": {"type": "string", "optional": False}, "payload": said},
    )  # fmt: skip
    return encode(random.choice(shapes))


def json_array(random: Random) -> bytes:
    """Return an array of objects, or of other things among them."""
    return b"[" + b",".join(random.choice([json_known, json_any])(random) for _ in range(random.randrange(6))) + b"]"


def json_lines(random: Random) -> bytes:
    """Return several objects and lines of text by the line."""
    return b"\n".join(random.choice([json_known, syslog, plain])(random) for _ in range(random.randrange(1, 8)))


def syslog(random: Random) -> bytes:
    """Return a line by RFC 3164 or 5424, or as a file has it."""
    host, app, said = a_word(random), a_word(random), a_text(random)
    pri = b"<%d>" % random.choice([0, 13, 34, 191, 192, 999])
    return random.choice(
        [
            pri + b"Mar  1 12:00:00 " + host + b" " + app + b"[123]: " + said,
            pri + b"1 " + a_stamp(random) + b" " + host + b" " + app + b' 7 ID [a@1 b="c"] ' + said,
            a_stamp(random) + b" " + host + b" " + app + b": " + said,
        ]
    )


def plain(random: Random) -> bytes:
    """Return text, sometimes a trace of several lines."""
    if random.random() < 0.7:
        return a_stamp(random) + b" " + random.choice([b"ERROR ", b"INFO ", b""]) + a_text(random)
    frames = b"".join(b'\n  File "x.py", line %d, in f\n    g()' % number for number in range(random.randrange(20)))
    return b"Traceback (most recent call last):" + frames + b"\nValueError: " + a_text(random)


def otlp_json(random: Random) -> bytes:
    """Return ``ExportLogsServiceRequest`` as JSON."""
    record = {
        "timeUnixNano": random.choice([str(a_stamp_ns(random)), a_stamp_ns(random)]),
        "severityNumber": random.choice([0, 9, 17, 21, 99, "SEVERITY_NUMBER_ERROR", None]),
        "severityText": random.choice(LEVELS),
        "body": random.choice([{"stringValue": text(random)}, {"kvlistValue": {"values": []}}, tree(random)]),
        "attributes": [
            {"key": random.choice(KEYS), "value": random.choice([{"stringValue": text(random)}, tree(random)])}
        ],
        "traceId": "5b8efff798038103d269b633813fc60c",
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": a_word(random).decode("latin1")}}]}
    records = [record] * random.randrange(4)
    return encode({"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {}, "logRecords": records}]}]})


def otlp_protobuf(random: Random) -> bytes:
    """Return ``ExportLogsServiceRequest`` as protobuf."""
    return protobuf.log_request(random)


def message_pack(random: Random) -> bytes:
    """Return Fluent Bit's msgpack: an object, or (time, object) pairs one after the other."""

    def body() -> dict[str, Any]:
        return {random.choice(KEYS): tree(random) for _ in range(random.randrange(5))} | {"log": text(random)}

    stamps = (a_stamp_ns(random) / 1e9, [msgspec.msgpack.Ext(0, b"\0" * 8), {}])
    rows = [random.choice([body(), *([at, body()] for at in stamps)]) for _ in range(random.randrange(1, 4))]
    try:
        return b"".join(map(msgspec.msgpack.encode, rows))
    except (OverflowError, msgspec.MsgspecError):
        return msgspec.msgpack.encode({"log": text(random)})


def confluent(random: Random) -> bytes:
    """Return Confluent's prefix and something behind it."""
    body = random.choice([random.randbytes(30), json_known(random), a_text(random), otlp_protobuf(random)])
    return b"\x00" + random.choice([1, 7, 2**20, 2**31]).to_bytes(4, "big") + body


def prometheus(random: Random) -> bytes:
    """Return Prometheus' text format."""
    rows = [b"# HELP x " + a_text(random).replace(b"\n", b" "), b"# TYPE x gauge"]
    for _ in range(random.randrange(1, 8)):
        label = a_text(random).replace(b"\n", b"\\n").replace(b'"', b'\\"')
        value = random.choice([b"1", b"NaN", b"+Inf", b"-1e400", b"0x1p3", b"1_0", b"", str(a_number(random)).encode()])
        rows.append(
            b'cpu_usage{service="' + random.choice(NAMES) + b'",le="' + label + b'"} ' + value + b" 1709294400000"
        )
    return b"\n".join(rows)


def metric_json(random: Random) -> bytes:
    """Return JSON {ts, service, metric, value}, one or several."""
    row = {
        "ts": stamp(random),
        "service": random.choice(["api", "", None, 7]),
        "metric": random.choice(["cpu_usage", "memory_usage", "", 5]),
        "value": random.choice([tree(random), 1.5]),
    }
    return random.choice([encode(row), encode([row, row]), encode(row) + b"\n" + encode(row)])


def otlp_metrics(random: Random) -> bytes:
    """Return ``ExportMetricsServiceRequest`` as protobuf or JSON."""
    if random.random() < 0.5:
        return protobuf.metric_request(random)
    point = {"timeUnixNano": str(a_stamp_ns(random)), "asDouble": a_number(random), "attributes": tree(random)}
    kind = random.choice(["gauge", "sum", "histogram", "nonsense"])
    metrics = [{"name": "system.cpu.utilization", "unit": "1", kind: {"dataPoints": [point]}}]
    return encode({"resourceMetrics": [{"resource": tree(random), "scopeMetrics": [{"metrics": metrics}]}]})


LOG_SHAPES: Final[tuple[Callable[[Random], bytes], ...]] = (
    json_any, json_known, json_known, json_known, json_array, json_lines, syslog, syslog, plain, plain, otlp_json,
    otlp_protobuf,
    message_pack, confluent,
)  # fmt: skip
METRIC_SHAPES: Final = (prometheus, metric_json, otlp_metrics)


def headers(random: Random) -> Headers:
    """Return a record's headers: seldom any."""
    if random.random() < 0.9:
        return ()
    return (
        random.choice(
            [
                ("__value_schema_id", b"\x00" * 16),
                ("service", a_word(random)),
                (
                    "content-type",
                    random.choice([b"application/x-protobuf", b"application/json", b"application/msgpack"]),
                ),
                ("file", b"/var/log/" + a_word(random)),
                ("\ud800".encode("utf-8", "replace").decode(), b""),
            ]
        ),
    )
