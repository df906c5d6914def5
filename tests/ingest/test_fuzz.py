"""Whatever bytes come, in whatever portions, everything is accounted for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.core.events import Slice
from streams.ingest import masking, text_lines
from streams.ingest.slicer import Slicer
from tests.ingest.given import APPEND_MS, Given, detected, slicer, tallied

FRAGMENTS = (
    *(
        b"Feb  1 10:00:00 h1 app[3]: ",
        b"2024-02-01 10:00:00,250 ",
        b"2024-02-01T10:00:00Z ",
        b"<13>1 ",
        b"<999>",
        b"\n",
        b"\n  at ",
    ),
    *(
        b"\nCaused by: ",
        b"Traceback (most recent call last):",
        b"ERROR ",
        b"WARN ",
        b"INFO ",
        b"FATAL: ",
        b"connection refused",
    ),
    *(
        b"No space left on device",
        b"ValueError: x",
        b"\x00",
        b"\xff",
        b'{"message":"',
        b'","service":"s"}',
        b"{",
        b"[",
        b"}",
        b"\r\n",
    ),
    *(b"password=abc ", b"Feb 30 99:99:99 ", b"9" * 30, b"\t", b"\xf0\x9f\x92\xa5", b"0 errors"),
)
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=12).map(b"".join)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=12)
)
KEYS = st.sampled_from(
    [
        "ts",
        "time",
        "@timestamp",
        "message",
        "msg",
        "log",
        "event",
        "level",
        "severity_number",
        "service",
        "kubernetes",
        "resource",
        "host",
        "error",
        "file",
        "logger",
        "$date",
        "name",
        "labels",
        "app",
        "x",
    ]
)
OBJECTS = st.recursive(
    SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=5) | st.lists(inner, max_size=3), max_leaves=12
)
VALUES = (
    st.none()
    | TEXTS
    | st.dictionaries(KEYS, OBJECTS, max_size=6).map(msgspec.json.encode)
    | OBJECTS.map(msgspec.json.encode)
)
RECORDS = st.lists(
    st.tuples(
        VALUES, st.integers(1, 3), st.sampled_from([None, b"a", b"b"]), st.sampled_from([APPEND_MS, 0, -1, 2**62])
    ),
    max_size=8,
)


def numbered(rows: Sequence[tuple[bytes | None, int, bytes | None, int]]) -> list[Given]:
    """Return records with ascending offsets that may leave holes."""
    given, offset = [], 10
    for value, step, key, timestamp in rows:
        offset += step
        given.append(Given(value, offset=offset, key=key, timestamp=timestamp))
    return given


def lines_of(value: bytes | None) -> int:
    """Return how many lines text has, where blank ones are none."""
    return sum(bool(line.strip(b"\x00\r\n").strip()) for line in (value or b"").split(b"\n"))


@given(RECORDS)
def test_everything_is_accounted_for(rows: list[tuple[bytes | None, int, bytes | None, int]]) -> None:
    """Slices join, each offset is in one of them, every line is tallied once, and what was seen is tallied as such."""
    given = numbered(rows)
    result = slicer().cut("logs", 0, 1, given, 10)
    if not given:
        assert result.slices == ()
        return
    assert [piece.from_offset for piece in result.slices] == [10, *(piece.to_offset for piece in result.slices[:-1])]
    assert result.slices[-1].to_offset == given[-1].offset + 1
    assert sum(tallied(result.slices).values()) == result.lines
    seen = sum(t.count for piece in result.slices for t in piece.tallies if t.pattern or t.template)
    assert seen == sum(detected(result.slices).values())
    assert [r.offset for piece in result.slices for r in piece.rejects] == [record.offset for record, _ in result.dead]
    assert all(codec.decode_fact(codec.encode(piece)) == piece for piece in result.slices)


@given(TEXTS)
def test_text_lines_are_all_counted(value: bytes) -> None:
    """A record of plain text has as many lines as are not blank, or is a reject."""
    result = slicer().cut("logs", 0, 1, [Given(b"|" + value)], 0)
    assert result.dead or result.lines == lines_of(b"|" + value)


@given(RECORDS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_splits_do_not_matter(rows: list[tuple[bytes | None, int, bytes | None, int]], ends: list[bool]) -> None:
    """Cut in other portions by the same slicer, the same records give the same detections and tallies."""
    given = numbered(rows)
    whole = slicer().cut("logs", 0, 1, given, 10).slices
    parts = portions(slicer(), given, ends)
    assert tallied(parts) == tallied(whole)
    assert detected(parts) == detected(whole)


def portions(by: Slicer, given: Sequence[Given], ends: Sequence[bool]) -> list[Slice]:
    """Return the slices of records that come in several fetches; ``ends`` says after which record one ends."""
    slices: list[Slice] = []
    batch: list[Given] = []
    position = 10
    for index, record in enumerate(given):
        batch.append(record)
        if ends[index] or index == len(given) - 1:
            slices += by.cut("logs", 0, 1, batch, position).slices
            position, batch = record.offset + 1, []
    return slices


@given(st.binary(max_size=600), st.integers(-(2**40), 2**62))
def test_heads_and_masks_take_any_bytes(line: bytes, append_ms: int) -> None:
    """Reading a head and masking never fail, and a mask is the same again for the same line."""
    service, host, level, at_ms = text_lines.read_head(line, append_ms)
    assert isinstance(at_ms, int)
    assert len(service) <= 120
    assert len(host) <= 120
    assert level in {"", "info", "warning", "error", "critical", "fatal"}
    assert masking.template_id(line) == masking.template_id(line)
