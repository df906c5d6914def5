from __future__ import annotations

import pytest

from streams.ingest import matcher
from tests.ingest.given import APPEND_MS, Given, at, cut, cut_values, json, only

REFUSED = "connect() failed (111: Connection refused)"

JSON_FORMATS = {
    "plain": (
        json(ts="2024-02-01T10:00:00.250Z", service="web", message=REFUSED),
        ("web", "json", "", "error", at("2024-02-01T10:00:00.250")),
    ),
    "fluent bit": (
        b'{"@timestamp":1706781600.25,"log":"%s","kubernetes":{"pod_name":"web-7d4b9c6f5d-x2x9k",'
        b'"container_name":"web","labels":{"app":"shop"},"host":"node1"}}' % REFUSED.encode(),
        ("shop", "kubernetes", "node1", "error", at("2024-02-01T10:00:00.250")),
    ),
    "fluent bit without labels": (
        b'{"@timestamp":1706781600.0,"log":"%s","kubernetes":{"pod_name":"web-7d4b9c6f5d-x2x9k"}}' % REFUSED.encode(),
        ("web", "kubernetes", "", "error", at("2024-02-01T10:00:00")),
    ),
    "vector": (
        json(
            file="/var/log/nova/nova-api.log.1",
            host="h1",
            message=REFUSED,
            source_type="file",
            timestamp="2024-02-01T10:00:00.250111Z",
        ),
        ("nova-api", "file", "h1", "error", at("2024-02-01T10:00:00.250")),
    ),
    "filebeat": (
        b'{"@timestamp":"2024-02-01T10:00:00.250Z","@metadata":{"beat":"filebeat"},"message":"%s",'
        b'"log":{"file":{"path":"/srv/pay/pay.log"},"level":"WARN"},"host":{"name":"h2"}}' % REFUSED.encode(),
        ("pay", "file", "h2", "warning", at("2024-02-01T10:00:00.250")),
    ),
    "ecs": (
        b'{"@timestamp":"2024-02-01T10:00:00.250Z","service":{"name":"pay"},"message":"%s","log.level":"error"}'
        % REFUSED.encode(),
        ("pay", "ecs", "", "error", at("2024-02-01T10:00:00.250")),
    ),
    "docker": (
        json(log=REFUSED + "\n", stream="stderr", time="2024-02-01T10:00:00.250999999Z"),
        ("logs", "topic", "", "error", at("2024-02-01T10:00:00.250")),
    ),
    "docker around an application's own JSON": (
        json(log=json(level="fatal", service="pay", msg=REFUSED).decode(), time="2024-02-01T10:00:00Z"),
        ("pay", "json", "", "fatal", at("2024-02-01T10:00:00")),
    ),
    "python logging": (
        json(asctime="2024-02-01 10:00:00,250", levelname="CRITICAL", logger="shop.db", msg=REFUSED),
        ("shop.db", "json", "", "critical", at("2024-02-01T10:00:00.250")),
    ),
    "structlog": (
        json(event=REFUSED, level="warning", timestamp="2024-02-01T10:00:00+02:00", app="pay"),
        ("pay", "json", "", "warning", at("2024-02-01T08:00:00")),
    ),
    "opentelemetry resource": (
        b'{"resource":{"attributes":{"service.name":"cart","host.name":"h3"}},"body":"%s","severity_number":17,'
        b'"timestamp":1706781600250000000}' % REFUSED.encode(),
        ("cart", "otel", "h3", "error", at("2024-02-01T10:00:00.250")),
    ),
    "pino in milliseconds, with the error apart": (
        json(level=50, time=1706781600250, name="x", hostname="h4", msg="request failed", err={"message": REFUSED}),
        ("logs", "topic", "h4", "error", at("2024-02-01T10:00:00.250")),
    ),
    "journald": (
        json(__REALTIME_TIMESTAMP="1706781600250000", MESSAGE=REFUSED, PRIORITY="4", SYSLOG_IDENTIFIER="nginx[7]"),
        ("nginx", "syslog", "", "warning", at("2024-02-01T10:00:00.250")),
    ),
    "a raw syslog line in message": (
        json(message=f"Feb  1 10:00:00 h5 nginx[12]: {REFUSED}"),
        ("nginx", "syslog", "h5", "error", at("2024-02-01T10:00:00")),
    ),
}


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_json_says(name: str) -> None:
    """Service, the rule that named it, host, severity and time are read from what a producer of JSON sends."""
    value, wanted = JSON_FORMATS[name]
    (found,) = only(cut_values(value)).detections
    assert found.pattern == "connection_refused"
    assert (found.service, found.service_rule, found.host, found.severity, found.at_first_ms) == wanted


TEXT_FORMATS = {
    "syslog 3164": (f"<11>Feb  1 10:00:00 h1 nginx[33]: {REFUSED}", ("nginx", "syslog", "h1", "error", "10:00:00")),
    "syslog 3164 without a priority": (
        f"Feb 01 10:00:00 h1 nginx: {REFUSED}",
        ("nginx", "syslog", "h1", "error", "10:00:00"),
    ),
    "syslog 5424": (
        f"<12>1 2024-02-01T10:00:00.25Z h1 web-7d4b9c6f5d-x2x9k 77 - - {REFUSED}",
        ("web", "syslog", "h1", "warning", "10:00:00.250"),
    ),
    "rsyslog with ISO stamps": (
        f"2024-02-01T11:00:00.250000+01:00 h1 systemd[1]: {REFUSED}",
        ("systemd", "syslog", "h1", "error", "10:00:00.250"),
    ),
    "python logging": (
        f"2024-02-01 10:00:00,250 - shop.db - WARNING - {REFUSED}",
        ("logs", "topic", "", "warning", "10:00:00.250"),
    ),
    "pacemaker": (
        f"Feb 01 10:00:00 h1 pacemakerd          [477] (connect) \tinfo: {REFUSED}",
        ("pacemakerd", "syslog", "h1", "error", "10:00:00"),
    ),
    "juju": (
        f"2024-02-01 10:00:00 WARNING unit.nova/0.juju-log server.go:327 {REFUSED}",
        ("logs", "topic", "", "warning", "10:00:00"),
    ),
    "ceph": (f"2024-02-01T10:00:00.250+0000 7f6fa1d2ad80  0 {REFUSED}", ("logs", "topic", "", "error", "10:00:00.250")),
    "rabbitmq": (
        f"2024-02-01 10:00:00.250 [warning] <0.8.0> {REFUSED}",
        ("logs", "topic", "", "warning", "10:00:00.250"),
    ),
    "ovs": (f"2024-02-01T10:00:00.250Z|00017|main|ERR|{REFUSED}", ("logs", "topic", "", "error", "10:00:00.250")),
    "nginx": (f"2024/02/01 10:00:00 [crit] 12#12: *1 {REFUSED}", ("logs", "topic", "", "critical", "10:00:00")),
    "apache": (
        f"[Thu Feb 01 10:00:00.250 2024] [core:error] [pid 1] {REFUSED}",
        ("logs", "topic", "", "error", "10:00:00.250"),
    ),
    "access log": (
        f'10.0.0.1 - - [01/Feb/2024:12:00:00 +0200] "GET /" {REFUSED}',
        ("logs", "topic", "", "error", "10:00:00"),
    ),
    "cassandra": (
        f"WARN  [Gossip:1] 2024-02-01 10:00:00,250 A.java:1 - {REFUSED}",
        ("logs", "topic", "", "warning", "10:00:00.250"),
    ),
    "spark": (f"24/02/01 10:00:00 ERROR executor: {REFUSED}", ("logs", "topic", "", "error", "10:00:00")),
    "postgres, whose FATAL ends a session": (
        f"2024-02-01 10:00:00.250 UTC [7] FATAL:  {REFUSED}",
        ("logs", "topic", "", "error", "10:00:00.250"),
    ),
    "squid, in epoch seconds": (f"1706781600.250 {REFUSED}", ("logs", "topic", "", "error", "10:00:00.250")),
}


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_text_says(name: str) -> None:
    """Service, host, severity and time are read from the beginning of a text line."""
    line, (service, rule, host, severity, clock) = TEXT_FORMATS[name]
    (found,) = only(cut_values(line.encode())).detections
    assert found.pattern == "connection_refused"
    assert (found.service, found.service_rule, found.host, found.severity) == (service, rule, host, severity)
    assert found.at_first_ms == at(f"2024-02-01T{clock}")


SENTENCES = (
    "2024-02-01T10:00:00Z Connection lost: connection refused",
    "Feb  1 10:00:00 Connection lost: connection refused",
    "Feb  1 10:00:00 Request failed (3 times): connection refused",
)


@pytest.mark.parametrize("line", SENTENCES)
def test_a_sentence_is_no_host(line: str) -> None:
    """A stamp that a sentence follows, which begins with a capital letter, names neither a host nor a program."""
    (found,) = only(cut_values(line.encode())).detections
    assert (found.service, found.host) == ("logs", "")
    (named,) = only(cut_values(line.replace("lost", "lost[7]").replace("failed", "failed[7]").encode())).detections
    assert named.host in {"Connection", "Request"}


FALLBACKS = {
    "header": (Given(b"x", key=b"k", headers=(("file", b"/a/b.log"), ("service", b"shop"))), ("shop", "header")),
    "file": (Given(b"x", key=b"k", headers=(("file", b"/var/log/pay-2.log.1"),)), ("pay", "file")),
    "key": (Given(b"x", key=b"shop-api"), ("shop-api", "key")),
    "topic, when the key is an id": (Given(b"x", key=b"9f8e7d6c-1111-2222-3333-444455556666"), ("logs", "topic")),
    "topic, when the key is no text": (Given(b"x", key=b"\xff\x00"), ("logs", "topic")),
    "topic": (Given(b"x"), ("logs", "topic")),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_fallback(name: str) -> None:
    """A line that names no service takes it from header, file, key or topic, in this order."""
    given, (service, rule) = FALLBACKS[name]
    error = Given(REFUSED.encode(), key=given.key, headers=given.headers)
    (found,) = only(cut(error)).detections
    assert (found.service, found.service_rule) == (service, rule)


TIMES = {
    "before 2000": ("1970-01-01T00:00:10Z", APPEND_MS, 1),
    "more than a day ahead": ("2099-01-01T00:00:00Z", APPEND_MS, 1),
    "an hour ahead": ("2024-03-01T13:00:00Z", at("2024-03-01T13:00:00"), 0),
    "no time at all": ("soon", APPEND_MS, 0),
    "a day that does not exist": ("2024-02-30T10:00:00Z", APPEND_MS, 1),
}


@pytest.mark.parametrize("name", TIMES)
def test_time(name: str) -> None:
    """An event time that can't be true gives way to the append time, and is counted."""
    stamp, wanted, replaced = TIMES[name]
    result = cut_values(json(ts=stamp, message="hello"))
    assert only(result).tallies[0].at_ms == wanted
    assert result.stamps_replaced == replaced


@pytest.mark.parametrize(
    ("append", "year"), [("2024-03-01T12:00:00", 2024), ("2024-01-01T00:00:05", 2023), ("2023-12-30T00:00:00", 2022)]
)
def test_year(append: str, year: int) -> None:
    """A stamp without a year is in the last year in which it does not lie ahead of the append time."""
    given = Given(b"Dec 31 23:59:58 h1 cron[1]: ok", timestamp=at(append))
    assert only(cut(given)).tallies[0].at_ms == at(f"{2023 if year == 2024 else year}-12-31T23:59:58")


def test_levels_move_severity() -> None:
    """A pattern's severity is lowered where the line says that it was handled, and raised where all ended."""
    lines = [f"2024-02-01 10:00:00 {level} {REFUSED}".encode() for level in ("WARN", "ERROR", "FATAL")]
    assert [d.severity for d in only(cut_values(*lines)).detections] == ["warning", "error", "fatal"]


def test_matcher_is_told_by_its_rules() -> None:
    """A slice names the rule set it was cut with."""
    assert only(cut_values(b"x")).rules_sha256 == matcher.shipped().rules_sha256
