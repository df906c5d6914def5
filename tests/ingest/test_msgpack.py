from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import msgpack
import pytest

from tests.ingest.given import APPEND_MS, FIRST_LEFT_OUT, at, cut_values, only

REFUSED = "connect() failed (111: Connection refused)"
AT = at("2024-02-01T10:00:00.250")
SECONDS = AT / 1000
EVENT_TIME = msgpack.ExtType(0, (AT // 1000).to_bytes(4, "big") + (250_000_000).to_bytes(4, "big"))
POD = {
    "log": REFUSED,
    "kubernetes": {"container_name": "web", "labels": {"app": "shop"}, "host": "node1"},
}


def packed(*values: Any) -> bytes:
    """Encode values one after the other."""
    return b"".join(msgpack.packb(value) for value in values)


# value -> (service, rule, host, severity, time in ms)
SAID: dict[str, tuple[bytes, tuple[str, str, str, str, int]]] = {
    "Fluent Bit's map": (packed({"@timestamp": SECONDS, **POD}), ("shop", "kubernetes", "node1", "error", AT)),
    "time and map": (packed([SECONDS, POD]), ("shop", "kubernetes", "node1", "error", AT)),
    "event time and map": (packed([EVENT_TIME, POD]), ("shop", "kubernetes", "node1", "error", AT)),
    "event time, metadata and map": (packed([[EVENT_TIME, {}], POD]), ("shop", "kubernetes", "node1", "error", AT)),
    "msgpack's own time": (
        packed([msgpack.Timestamp(AT // 1000, 250_000_000), POD]),
        ("shop", "kubernetes", "node1", "error", AT),
    ),
    "the map's own time wins": (
        packed([SECONDS + 5, {"time": "2024-02-01T10:00:00.250Z", "message": REFUSED, "service": "web"}]),
        ("web", "json", "", "error", AT),
    ),
    "forward protocol, one message": (
        packed(["app.web", SECONDS, POD, {}]),
        ("shop", "kubernetes", "node1", "error", AT),
    ),
    "forward protocol, entries": (
        packed(["app.web", [[SECONDS, POD]], {"size": 1}]),
        ("shop", "kubernetes", "node1", "error", AT),
    ),
    "forward protocol, packed entries": (
        packed(["app.web", packed([SECONDS, POD])]),
        ("shop", "kubernetes", "node1", "error", AT),
    ),
    "forward protocol, compressed entries": (
        packed(["app.web", gzip.compress(packed([SECONDS, POD])), {"compressed": "gzip"}]),
        ("shop", "kubernetes", "node1", "error", AT),
    ),
    "bytes for texts and keys": (
        packed({b"log": REFUSED.encode(), b"service": b"web", b"level": b"warn"}),
        ("web", "json", "", "warning", APPEND_MS),
    ),
    "keys that are numbers": (
        packed({1: 2, "log": REFUSED, "service": "web"}),
        ("web", "json", "", "error", APPEND_MS),
    ),
    "an unknown extension": (
        packed({"x": msgpack.ExtType(7, b"ab"), "log": REFUSED, "service": "web"}),
        ("web", "json", "", "error", APPEND_MS),
    ),
    "a map with many keys": (
        packed({**{f"k{n}": n for n in range(300)}, "log": REFUSED, "service": "web"}),
        ("web", "json", "", "error", APPEND_MS),
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_msgpack_says(name: str) -> None:
    """A map reads like a JSON object, in whatever way it comes with its time."""
    value, wanted = SAID[name]
    (found,) = only(cut_values(value)).detections
    assert found.pattern == "connection_refused"
    assert (found.service, found.service_rule, found.host, found.severity, found.at_first_ms) == wanted


def test_bad_utf8() -> None:
    """A text that is no UTF-8 is read as far as it can be."""
    value = packed({"log": "caf+ " + REFUSED}).replace(b"caf+", b"caf\xe9")
    assert [found.pattern for found in only(cut_values(value)).detections] == ["connection_refused"]


COUNTS = {
    "maps one after the other": (packed(*({"log": f"line {n}", "service": "web"} for n in range(700))), 700),
    "events one after the other": (packed(*([SECONDS, {"log": "x"}] for _ in range(3))), 3),
    "entries": (packed(["tag", [[SECONDS, {"log": "x"}]] * 400]), 400),
    "an empty map": (packed({}), 1),
}


@pytest.mark.parametrize("name", COUNTS)
def test_many_lines(name: str) -> None:
    """Each map is one line."""
    value, lines = COUNTS[name]
    result = cut_values(value)
    assert not result.dead
    assert result.lines == lines


def nested(levels: int) -> dict[str, Any]:
    """Return a map in a map in a map."""
    value: dict[str, Any] = {"log": REFUSED}
    for _ in range(levels):
        value = {"x": value}
    return value


REFUSALS = {
    "too deep": (packed(nested(70)), "msgpack: nested too deeply"),
    "too many values": (
        packed({"a": [{}] * 10_000, **{f"k{n}": [[]] * 10_000 for n in range(30)}}),
        "msgpack: too many values",
    ),
    "no maps": (packed([1, 2, 3]) + bytes(range(32)), "binary"),
    "bytes left over": (packed({"log": REFUSED}) + b"\xc1" + b"\x01" * 20, "binary"),
    "a damaged time": (packed([msgpack.ExtType(5, b"\x01"), {}]).replace(b"\xd4\x05", b"\xd4\xff"), "binary"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name: str) -> None:
    """What is beyond the limits or not whole is rejected with a reason."""
    value, reason = REFUSALS[name]
    result = cut_values(value)
    assert [found for _, found in result.dead] == [reason]
    assert result.lines == 0


HOSTILE = {
    "far too deep": b"\x81\xa1x" * 5000 + b"\xc0",
    "lengths that are not there": b"\x92" + b"\xdd\xff\xff\xff\xff" * 500,
    "arrays of claimed lengths in each other": b"\x92" + b"\xdc\x3f\xff" * 1000,
    "a text of a claimed length": b"\x81\xa1x\xdb\x7f\xff\xff\xff",
    "a map as a key": packed({"x": 1}).replace(b"\xa1x", b"\x80"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """Nothing that a length claims is believed; the record is read as text or rejected, without memory."""
    tracemalloc.start()
    try:
        result = cut_values(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()
    assert result.lines or result.dead


def test_too_many_lines() -> None:
    """Of a record with too many lines the first are taken."""
    result = cut_values(packed(*[{"a": 1}] * 52_000))
    assert [reason for _, reason in result.dead] == [f"too many lines: from index {FIRST_LEFT_OUT} on"]


def test_cut_short_anywhere() -> None:
    """A record that ends anywhere is accounted for."""
    whole = packed([[EVENT_TIME, {}], POD], {"log": REFUSED, "n": [1, 2.5, None, True]})
    for end in range(len(whole)):
        result = cut_values(whole[:end])
        assert only(result).to_offset == 1
        assert result.lines or result.dead


TEXTS = {
    "quotes of Windows": "“quoted” and refused".encode("cp1252"),
    "a line that begins with a bad byte": b"\x81 " + REFUSED.encode(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_that_begins_like_msgpack(name: str) -> None:
    """Text in an old encoding stays text."""
    result = cut_values(TEXTS[name])
    assert not result.dead
    assert result.lines == 1
