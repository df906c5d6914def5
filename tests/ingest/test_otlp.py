from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from streams.ingest.formats import otlp_proto
from streams.ingest.json_lines import JsonReader
from tests.ingest.given import APPEND_MS, FIRST_LEFT_OUT, at, cut_values, json, only
from tests.ingest.otlp import Described, as_json, as_proto

REFUSED = "connect() failed (111: Connection refused)"
AT = at("2024-02-01T10:00:00.250")
NANOS = AT * 1_000_000 + 111_111
CART = {"service.name": "cart", "host.name": "h3"}
ENCODINGS: dict[str, Callable[..., bytes]] = {
    "protobuf": as_proto,
    "JSON": as_json,
    "JSON in snake_case": lambda *described: as_json(*described, snake=True),
    "JSON with instrumentationLibraryLogs": lambda *described: as_json(*described, old=True),
}

# described -> (service, rule, host, severity, time in ms)
SAID: dict[str, tuple[Described, tuple[str, str, str, str, int]]] = {
    "resource, number and time": (
        (CART, [{"body": REFUSED, "number": 17, "time": NANOS, "observed": 1}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "warn lowers": ((CART, [{"body": REFUSED, "number": 13, "time": NANOS}]), ("cart", "otel", "h3", "warning", AT)),
    "fatal": ((CART, [{"body": REFUSED, "number": 21, "time": NANOS}]), ("cart", "otel", "h3", "fatal", AT)),
    "the number wins over the text": (
        (CART, [{"body": REFUSED, "number": 13, "text": "FATAL", "time": NANOS}]),
        ("cart", "otel", "h3", "warning", AT),
    ),
    "the text without a number": (
        (CART, [{"body": REFUSED, "text": "Critical", "time": NANOS}]),
        ("cart", "otel", "h3", "critical", AT),
    ),
    "observed, when there is no time": (
        (CART, [{"body": REFUSED, "number": 17, "observed": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "no time at all": ((CART, [{"body": REFUSED, "number": 17}]), ("cart", "otel", "h3", "error", APPEND_MS)),
    "a clock that was never set": (
        (CART, [{"body": REFUSED, "number": 17, "time": 64_000_000_000_000_000}]),
        ("cart", "otel", "h3", "error", APPEND_MS),
    ),
    "a deployment": (
        ({"k8s.deployment.name": "shop", "k8s.container.name": "c", "k8s.node.name": "n1"}, [{"body": REFUSED}]),
        ("shop", "kubernetes", "n1", "error", APPEND_MS),
    ),
    "a container, beside a service that nobody named": (
        ({"service.name": "unknown_service:java", "k8s.container.name": "pay"}, [{"body": REFUSED}]),
        ("pay", "kubernetes", "", "error", APPEND_MS),
    ),
    "a pod's file": (
        ({}, [{"body": REFUSED, "attributes": {"log.file.path": "/var/log/pods/shop_web-1_9f8e/web/0.log"}}]),
        ("web", "kubernetes", "", "error", APPEND_MS),
    ),
    "a file": (
        ({}, [{"body": REFUSED, "attributes": {"log.file.path": "/var/log/nova/nova-api.log"}}]),
        ("nova-api", "file", "", "error", APPEND_MS),
    ),
    "attributes of the syslog receiver": (
        ({}, [{"body": REFUSED, "attributes": {"appname": "nginx", "hostname": "h7", "priority": 11}}]),
        ("nginx", "syslog", "h7", "error", APPEND_MS),
    ),
    "nothing, so that the topic says it": (({}, [{"body": REFUSED}]), ("logs", "topic", "", "error", APPEND_MS)),
    "a syslog line in the body": (
        ({}, [{"body": f"Feb  1 10:00:00 h5 nginx[12]: {REFUSED}"}]),
        ("nginx", "syslog", "h5", "error", at("2024-02-01T10:00:00")),
    ),
    "an object in the body": (
        (CART, [{"body": {"message": REFUSED, "level": "warning", "app": "x", "n": 1}, "time": NANOS}]),
        ("cart", "otel", "h3", "warning", AT),
    ),
    "bytes in the body": (
        (CART, [{"body": REFUSED.encode() + b" \xff", "time": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "JSON text in the body": (
        ({}, [{"body": json(msg=REFUSED, level="fatal", service="pay", ts="2024-02-01T10:00:00.250Z").decode()}]),
        ("pay", "json", "", "fatal", AT),
    ),
    "a list in the body": ((CART, [{"body": ["x", REFUSED, 7], "time": NANOS}]), ("cart", "otel", "h3", "error", AT)),
    "an object without a message": (
        (CART, [{"body": {"what": REFUSED}, "time": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "an exception beside the body": (
        (CART, [{"body": "request failed", "attributes": {"exception.message": REFUSED}, "time": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "an error beside the body": (
        (CART, [{"body": "request failed", "attributes": {"error": REFUSED}, "time": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
    "attributes alone": (
        (CART, [{"attributes": {"what": REFUSED}, "time": NANOS}]),
        ("cart", "otel", "h3", "error", AT),
    ),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", SAID)
def test_otlp_says(name: str, encoding: str) -> None:
    """Service, rule, host, severity and time are the same in every encoding of a request."""
    described, wanted = SAID[name]
    (found,) = only(cut_values(ENCODINGS[encoding](described))).detections
    assert found.pattern == "connection_refused"
    assert (found.service, found.service_rule, found.host, found.severity, found.at_first_ms) == wanted


TRACE = "ValueError: no such thing\n  at f(a.py:1)"
TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "a text": ({"body": "hello\n"}, "hello"),
    "an object's message": ({"body": {"msg": "hello", "n": 1}}, "hello"),
    "an object": ({"body": {"n": 1, "deep": {"x": [True, 1.5]}}}, '{"n":1,"deep":{"x":[true,1.5]}}'),
    "an exception": (
        {"body": "failed", "attributes": {"exception.type": "ValueError", "exception.message": "no"}},
        "failed\nValueError: no",
    ),
    "a trace that repeats type and message": (
        {
            "body": "failed",
            "attributes": {
                "exception.type": "ValueError",
                "exception.message": "no such thing",
                "exception.stacktrace": TRACE,
            },
        },
        f"failed\n{TRACE}",
    ),
    "nothing": ({}, "{}"),
    "attributes": ({"attributes": {"k": "v"}}, '{"k":"v"}'),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_of_a_log_record(name: str) -> None:
    """The text is the body's, with the exception below it; never empty."""
    record, wanted = TEXTS[name]
    assert texts(as_proto((CART, [record]))) == [wanted]


def texts(value: bytes) -> list[str]:
    """Return the texts that the decoder of protobuf reads."""
    found = otlp_proto.decode(value, JsonReader())
    assert found is not None
    return [item[0].decode() for item in found if isinstance(item, tuple)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_many_lines(encoding: str) -> None:
    """Each log record of each resource is one line, numbered through."""
    shop = ({"service.name": "shop"}, [{"body": f"line {n}"} for n in range(300)])
    cart = (CART, [{"body": "hello"}, {"body": REFUSED, "number": 17}])
    result = cut_values(ENCODINGS[encoding](shop, cart))
    assert not result.dead
    assert result.lines == 302
    assert {tally.service: tally.count for tally in only(result).tallies if not tally.pattern} == {
        "shop": 300,
        "cart": 1,
    }
    (found,) = only(result).detections
    assert [(line.offset, line.index) for line in found.lines] == [(0, 301)]


def test_bad_utf8_in_protobuf() -> None:
    """A body that is no UTF-8, which Go's exporters pass on, is read as far as it can be."""
    value = as_proto((CART, [{"body": "caf+ " + REFUSED}])).replace(b"caf+", b"caf\xe9")
    (found,) = only(cut_values(value)).detections
    assert (found.pattern, found.service) == ("connection_refused", "cart")


def test_cut_short_anywhere() -> None:
    """A request that ends anywhere is one record accounted for: read as text, or rejected with a reason."""
    whole = as_proto((CART, [{"body": REFUSED, "number": 17, "time": NANOS, "attributes": {"a": ["b", 1]}}]))
    for end in range(len(whole)):
        result = cut_values(whole[:end])
        assert only(result).to_offset == 1
        assert result.lines or [reason for _, reason in result.dead] in (["empty"], ["binary"])


def test_any_byte_changed() -> None:
    """Whatever byte of a request is damaged, the record is accounted for."""
    whole = as_proto((CART, [{"body": "hi", "attributes": {"a": {"b": [1, "c"]}}}]))
    for place in range(len(whole)):
        for byte in (0x00, 0x0A, 0x7F, 0x80, 0xFF):
            result = cut_values(whole[:place] + bytes([byte]) + whole[place + 1 :])
            assert only(result).to_offset == 1
            assert result.lines or result.dead


TEXT_LIKE = {
    "an empty line first": b"\n" + REFUSED.encode(),
    "a frame of a trace that has the shape of a resource": b"\n\tat foo.ba",
    "empty lines only between": b"\n\n\n\n" + REFUSED.encode() + b"\n\n",
    "an indented line": b"\n  " + REFUSED.encode(),
    "JSON after an empty line": b"\n" + json(message=REFUSED, service="web"),
}


@pytest.mark.parametrize("name", TEXT_LIKE)
def test_text_that_begins_with_a_line_feed(name: str) -> None:
    """A line feed is also the first byte of every request; text stays text."""
    result = cut_values(TEXT_LIKE[name])
    assert not result.dead
    assert result.lines == 1


SIGNALS = {
    "metrics": ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[Metric(name="cpu", unit="1")])])]
    ),
    "traces": ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(trace_id=bytes(16), span_id=bytes(8), name="GET /")])])
        ]
    ),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_other_signals(name: str) -> None:
    """Metrics and traces look alike on the wire; they are rejected by their name."""
    result = cut_values(SIGNALS[name].SerializeToString())
    assert [reason for _, reason in result.dead] == ["otlp: metrics or traces, not logs"]


def test_too_many_records() -> None:
    """Of a request with more lines than a record may have, the first are taken and the rest named."""
    result = cut_values(as_proto((CART, [{}] * 60_000)))
    assert [reason for _, reason in result.dead] == [f"too many lines: from index {FIRST_LEFT_OUT} on"]
    assert result.lines == FIRST_LEFT_OUT


def test_small_request_that_unfolds() -> None:
    """A few megabytes of empty messages come to no more lines than any other record."""
    scope = b"\x12\x00" * 1_000_000
    result = cut_values(_framed(1, _framed(2, scope)))
    assert result.lines == FIRST_LEFT_OUT


def _framed(field: int, data: bytes) -> bytes:
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + data


MONSTERS = {
    "two million empty attributes": _framed(1, _framed(2, _framed(2, b"\x32\x00" * 2_000_000))),
    "a resource with as many": _framed(1, _framed(1, b"\x0a\x00" * 2_000_000) + _framed(2, b"\x12\x00")),
    "a list of nothing": _framed(1, _framed(2, _framed(2, _framed(5, _framed(5, b"\x0a\x00" * 500_000))))),
}


@pytest.mark.parametrize("name", MONSTERS)
def test_one_record_that_unfolds(name: str) -> None:
    """A record of OTLP that alone holds more values than any line is rejected."""
    result = cut_values(MONSTERS[name])
    assert [reason for _, reason in result.dead] == ["otlp: too many values"]


ODD_JSON = {
    "no list": b'{"resourceLogs":7}',
    "an empty list": b'{"resourceLogs":[]}',
    "odd members": b'{"resourceLogs":[1,{"resource":[],"scopeLogs":[{"logRecords":{}}]},null]}',
}


@pytest.mark.parametrize("name", ODD_JSON)
def test_odd_json(name: str) -> None:
    """An object that only looks like a request is a line like any other."""
    result = cut_values(ODD_JSON[name])
    assert not result.dead
    assert result.lines == 1


ODD_FIELDS = {
    "numbers as numbers": (f'"timeUnixNano":{NANOS},"severityNumber":17', ("error", AT)),
    "a severity's name": (f'"timeUnixNano":"{NANOS}","severityNumber":"SEVERITY_NUMBER_FATAL"', ("fatal", AT)),
    "a third step of a severity": ('"severityNumber":"SEVERITY_NUMBER_WARN3"', ("warning", APPEND_MS)),
    "a time that is none": ('"timeUnixNano":"soon","severityNumber":99', ("error", APPEND_MS)),
    "odd types": ('"timeUnixNano":{},"severityNumber":[],"attributes":{"a":1},"severityText":3', ("error", APPEND_MS)),
}


@pytest.mark.parametrize("name", ODD_FIELDS)
def test_fields_of_json(name: str) -> None:
    """Times and severities are read in every form that is met; what is none counts as not said."""
    fields, wanted = ODD_FIELDS[name]
    value = (
        f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{REFUSED}"}},{fields}}}]}}]}}]}}'
    )
    (found,) = only(cut_values(value.encode())).detections
    assert (found.severity, found.at_first_ms) == wanted


@pytest.mark.parametrize("scopes", [1, 200])
def test_a_resource_may_stand_anywhere_and_in_parts(scopes: int) -> None:
    """Its parts are merged as protobuf merges them, for the lines of every scope before, between and after them."""
    named, placed = (
        ResourceLogs(resource=Resource(attributes=[KeyValue(key=key, value=AnyValue(string_value=key))]))
        for key in ("service.name", "host.name")
    )
    line = LogRecord(body=AnyValue(string_value="No space left on device"))
    logs = ResourceLogs(scope_logs=[ScopeLogs(log_records=[line])] * scopes).SerializeToString()
    parts = logs + placed.SerializeToString() + logs + named.SerializeToString()
    piece = only(cut_values(_framed(1, parts) + as_proto(({}, [{"body": "calm"}]))))
    assert {(one.service, one.host, one.count) for one in piece.detections} == {
        ("service.name", "host.name", 2 * scopes)
    }
    assert piece.lines == 2 * scopes + 1


def test_resources_are_not_mixed_up() -> None:
    """Lines of more resources than are remembered, each of which comes twice, keep their own."""
    resources = [({"service.name": f"app{n}"}, [{"body": "m"}]) for n in range(otlp_proto.OWNERS_MAX + 50)]
    piece = only(cut_values(as_proto(*resources, *resources)))
    assert {one.service: one.count for one in piece.tallies} == {f"app{n}": 2 for n in range(len(resources))}
