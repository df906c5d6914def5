"""Puts a line into records as producers send it: each way escapes the text in its own manner."""

from __future__ import annotations

import json
from collections.abc import Callable

Embed = Callable[[str], bytes]


def text(line: str) -> bytes:
    """Write a line as a file appender writes it."""
    return f"2026-11-21 10:00:00,123 ERROR [main] shop.Worker - {line}".encode()


def syslog(line: str) -> bytes:
    """Write RFC 3164 as rsyslog forwards it; a line break is `#012` there."""
    return f"<11>Nov 21 10:00:00 web-1 shopd[4711]: error: {line}".replace("\n", "#012").encode()


def json_field(line: str) -> bytes:
    """Write a structured logger's object."""
    return _json(ts="2026-11-21T10:00:00Z", service="shop", level="error", message=line)


def docker(line: str) -> bytes:
    """Write Docker's json-file, whose text ends with a line break."""
    return _json(log=f"ERROR {line}\n", stream="stderr", time="2026-11-21T10:00:00.123456789Z")


def nested(line: str) -> bytes:
    """Write an object that was written as text into another one: every quote is escaped twice on the wire."""
    return _json(log=json.dumps({"level": "error", "msg": line, "logger": "shop"}) + "\n", stream="stdout")


def twice_nested(line: str) -> bytes:
    """Write an object as text in an object as text, such as a proxied request's body."""
    inner = json.dumps({"msg": line, "code": 7})
    return _json(level="error", service="shop", message="upstream error " + json.dumps({"body": inner}))


def trace(line: str) -> bytes:
    """Write the message of an exception with its frames, in one record."""
    frames = "\n\tat shop.Pay.charge(Pay.java:41)\n\tat shop.Main.main(Main.java:7)"
    message = f"request failed\njava.lang.IllegalStateException: {line}{frames}"
    return _json(ts="2026-11-21T10:00:00Z", level="error", service="shop", message=message)


def logfmt(line: str) -> bytes:
    """Write a line as the quoted message of logfmt."""
    return f"time=2026-11-21T10:00:00Z level=error msg={json.dumps(line)} svc=shop".encode()


def represented(line: str) -> bytes:
    """Write Python's `repr` of a dictionary that holds the line."""
    return f"2026-11-21 10:00:00 ERROR shop: task failed with { ({'detail': line, 'n': 3})!r}".encode()


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


WAYS: tuple[Embed, ...] = (text, syslog, json_field, docker, nested, twice_nested, trace, logfmt, represented)


def shown_of(way: Embed, line: str) -> str:
    """Return the text of the line as a reader takes it out of the record, without its producer's envelope."""
    value = way(line)
    if value[:1] != b"{":
        return value.decode()
    outer = json.loads(value)
    text: str = outer.get("message") or outer["log"]
    return json.loads(text)["msg"] if way is nested else text
