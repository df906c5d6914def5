from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.ingest.given import APPEND_MS, FIRST_LEFT_OUT, at, cut_values, json, only
from tests.ingest.otlp import as_json

REFUSED = "connect() failed (111: Connection refused)"
AT = at("2024-02-01T10:00:00.250")
LINE = {"ts": "2024-02-01T10:00:00.250Z", "service": "web", "message": REFUSED}
GELF = {"version": "1.1", "host": "h1", "short_message": REFUSED, "timestamp": AT / 1000, "level": 4}
CLOUDWATCH: dict[str, Any] = {
    "messageType": "DATA_MESSAGE",
    "owner": "123456789012",
    "logGroup": "/aws/lambda/checkout",
    "logStream": "2024/02/01/[$LATEST]4a",
    "subscriptionFilters": ["all"],
    "logEvents": [{"id": "1", "timestamp": AT, "message": REFUSED}],
}
OTLP = msgspec.json.decode(as_json(({"service.name": "cart"}, [{"body": REFUSED, "time": AT * 1_000_000}])))

# value -> (service, rule, host, severity, time in ms)
SAID: dict[str, tuple[bytes, tuple[str, str, str, str, int]]] = {
    "Connect around an object": (json(schema=None, payload=LINE), ("web", "json", "", "error", AT)),
    "Connect around an object with a schema": (
        json(schema={"type": "struct", "fields": [{"field": "message", "type": "string"}]}, payload=LINE),
        ("web", "json", "", "error", AT),
    ),
    "Connect around a line": (
        json(schema={"type": "string", "optional": False}, payload=f"Feb  1 10:00:00 h1 nginx[3]: {REFUSED}"),
        ("nginx", "syslog", "h1", "error", at("2024-02-01T10:00:00")),
    ),
    "Connect around an object in a text": (
        json(schema={"type": "string"}, payload=json(**LINE).decode()),
        ("web", "json", "", "error", AT),
    ),
    "Connect around a list": (json(schema=None, payload=[LINE]), ("web", "json", "", "error", AT)),
    "Connect around OTLP": (json(schema=None, payload=OTLP), ("cart", "otel", "", "error", AT)),
    "GELF": (json(**GELF), ("logs", "topic", "h1", "warning", AT)),
    "GELF that names a service": (json(**GELF, _service="web", _pid=7), ("web", "json", "h1", "warning", AT)),
    "GELF of Docker": (
        json(**GELF | {"level": 3}, _container_name="shop-2", _image_name="x", _tag="a"),
        ("shop", "kubernetes", "h1", "error", AT),
    ),
    "GELF of a logger": (json(**GELF, _logger_name="shop.db"), ("shop.db", "json", "h1", "warning", AT)),
    "GELF with the cause in the full message": (
        json(**GELF | {"short_message": "failed", "full_message": f"failed\n{REFUSED}"}),
        ("logs", "topic", "h1", "warning", AT),
    ),
    "GELF with an emergency, without a time": (
        json(version="1.1", host="h1", short_message=REFUSED, level=0),
        ("logs", "topic", "h1", "fatal", APPEND_MS),
    ),
    "CloudWatch": (json(**CLOUDWATCH), ("checkout", "json", "", "error", AT)),
    "CloudWatch around JSON": (
        json(**CLOUDWATCH | {"logEvents": [{"id": "1", "timestamp": 1, "message": json(**LINE).decode()}]}),
        ("web", "json", "", "error", AT),
    ),
    "records": (json(records=[LINE]), ("web", "json", "", "error", AT)),
    "logs of one host": (
        json(host="h2", logs=[{"message": REFUSED, "level": "warn"}]),
        ("logs", "topic", "h2", "warning", APPEND_MS),
    ),
    "a batch in a batch": (json(records=[{"logs": [LINE]}]), ("web", "json", "", "error", AT)),
}


@pytest.mark.parametrize("name", SAID)
def test_envelope_says(name: str) -> None:
    """What is wrapped in an object is read as if it had come by itself."""
    value, wanted = SAID[name]
    (found,) = only(cut_values(value)).detections
    assert found.pattern == "connection_refused"
    assert (found.service, found.service_rule, found.host, found.severity, found.at_first_ms) == wanted


# value -> (lines, reasons)
COUNTS: dict[str, tuple[bytes, int, list[str]]] = {
    "Connect around nothing": (json(schema=None, payload=None), 0, ["empty"]),
    "Connect around an empty text": (json(schema=None, payload=""), 0, ["empty"]),
    "Connect around a number": (json(schema=None, payload=7), 1, []),
    "Connect around nothing, in a list": (b'[{"schema":null,"payload":null}]', 0, ["empty"]),
    "Connect around nothing, line by line": (b'{"schema":1,"payload":null}\n' * 2, 0, ["empty"]),
    "Connect around lines": (json(schema=None, payload="one\ntwo\n\nthree"), 3, []),
    "records": (json(records=[LINE] * 600), 600, []),
    "too many records": (
        json(records=[{}] * 60_000),
        FIRST_LEFT_OUT,
        [f"too many lines: from index {FIRST_LEFT_OUT} on"],
    ),
    "no records": (json(records=[]), 1, []),
    "records that are numbers": (json(records=[1, 2], service="web"), 1, []),
    "a line that has a field of that name": (json(message="read 3", records=[LINE], service="web"), 1, []),
    "CloudWatch": (json(**CLOUDWATCH | {"logEvents": CLOUDWATCH["logEvents"] * 5}), 5, []),
    "CloudWatch without events": (json(**CLOUDWATCH | {"logEvents": []}), 1, []),
    "GELF whose message is no text": (json(**GELF | {"short_message": 7}), 1, []),
    "an envelope by the line": (
        b"\n".join([json(records=[LINE] * 3), json(**LINE), json(schema=None, payload=None), b"text"]),
        5,
        [],
    ),
    "a batch in a batch, again and again": (
        json(records=[{"records": [{"records": [{"records": [{"records": [{"records": [LINE]}]}]}]}]}]),
        1,
        [],
    ),
    "a line that Docker cut in two": (json(log="one half, ", stream="stdout"), 1, []),
}


@pytest.mark.parametrize("name", COUNTS)
def test_lines_of_an_envelope(name: str) -> None:
    """Every line in an envelope is counted once; an object that wraps nothing is a line itself."""
    value, lines, reasons = COUNTS[name]
    result = cut_values(value)
    assert result.lines == lines
    assert [reason for _, reason in result.dead] == reasons


def test_lines_are_numbered_through() -> None:
    """No two lines of a record have the same index, whatever wraps them."""
    value = b"\n".join(
        [json(records=[LINE, LINE]), json(**LINE | {"service": "a"}), json(logs=[LINE | {"service": "b"}])]
    )
    found = only(cut_values(value)).detections
    assert sorted(line.index for detection in found for line in detection.lines) == [0, 1, 2, 3]


ORDINARY = {
    "journald with a unit": (
        json(__REALTIME_TIMESTAMP=str(AT * 1000), _SYSTEMD_UNIT="nginx.service", MESSAGE=REFUSED, PRIORITY="3"),
        ("nginx", "syslog", "", "error", AT),
    ),
    "Logstash": (
        json(**{"@timestamp": "2024-02-01T10:00:00.250Z", "@version": "1", "message": REFUSED, "host": {"name": "h1"}}),
        ("logs", "topic", "h1", "error", AT),
    ),
    "Winlogbeat": (
        json(
            **{"@timestamp": "2024-02-01T10:00:00.250Z", "message": REFUSED, "log": {"level": "error"}},
            event={"code": "7031", "provider": "Service Control Manager"},
            winlog={"provider_name": "Service Control Manager", "computer_name": "w1"},
            host={"name": "w1"},
        ),
        ("Service Control Manager", "json", "w1", "error", AT),
    ),
    "NXLog": (
        json(
            EventTime="2024-02-01T10:00:00.250Z", Hostname="w1", Severity="WARNING", SourceName="DNS", Message=REFUSED
        ),
        ("DNS", "json", "w1", "warning", AT),
    ),
    "Kubernetes audit": (
        json(
            kind="Event",
            apiVersion="audit.k8s.io/v1",
            level="Metadata",
            requestReceivedTimestamp="2024-02-01T10:00:00.250111Z",
            responseStatus={"message": REFUSED},
        ),
        ("logs", "topic", "", "error", AT),
    ),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_objects(name: str) -> None:
    """Objects that wrap nothing are read by their keys."""
    value, wanted = ORDINARY[name]
    (found,) = only(cut_values(value)).detections
    assert (found.service, found.service_rule, found.host, found.severity, found.at_first_ms) == wanted
