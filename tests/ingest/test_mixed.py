"""All formats in one topic, whole, damaged and put into each other: everything is accounted for."""

from __future__ import annotations

import gzip

import cramjam
import msgpack
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.ingest.formats import reasons
from tests.ingest.given import Given, cut_values, detected, json, slicer, tallied
from tests.ingest.otlp import Described, as_json, as_proto
from tests.ingest.test_fuzz import TEXTS, VALUES, portions

REFUSED = "connect() failed (111: Connection refused)"
LINE = {"ts": "2024-02-01T10:00:00.250Z", "service": "web", "message": REFUSED}
CART: Described = (
    {"service.name": "cart"},
    [{"body": REFUSED, "number": 17}, {"body": {"msg": "x", "n": [1, {"y": "z"}]}}],
)
# value -> lines
WHOLE = {
    as_proto(CART, CART): 4,
    as_json(CART): 2,
    msgpack.packb(LINE) + msgpack.packb([1706781600.25, LINE]): 2,
    json(schema=None, payload=LINE): 1,
    json(version="1.1", host="h1", short_message=REFUSED): 1,
    json(logGroup="/aws/lambda/x", logStream="y", logEvents=[{"timestamp": 1706781600250, "message": "a"}] * 3): 3,
    json(records=[LINE, LINE]): 2,
    json(**LINE): 1,
    json(**LINE) + b"\n" + json(**LINE) + b"\ntext": 3,
    b"[" + json(**LINE) + b"]": 1,
    gzip.compress(as_proto(CART), mtime=0): 2,
    bytes(cramjam.zstd.compress(json(**LINE))): 1,
    b"\xff\xfe" + REFUSED.encode("utf-16-le"): 1,
    msgspec.json.encode(REFUSED): 1,
    f"Feb  1 10:00:00 h1 nginx[3]: {REFUSED}".encode(): 1,
    b"Traceback (most recent call last):\n  File x\nValueError: y": 3,
}
VALID = st.sampled_from(sorted(WHOLE))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a value that was cut, of which bytes were changed, or into which text was put."""
    value = bytearray(draw(VALID))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(value)))
        match draw(st.integers(0, 2)):
            case 0:
                del value[place:]
            case 1:
                value[place : place + 1] = draw(st.binary(min_size=1, max_size=2))
            case _:
                value[place:place] = draw(TEXTS)
    return bytes(value)


ENVELOPED = st.recursive(
    st.fixed_dictionaries({"message": st.text(max_size=5)})
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=5)
    | st.none(),
    lambda inner: (
        st.builds(lambda payload: {"schema": None, "payload": payload}, inner)
        | st.builds(lambda key, items: {key: items}, st.sampled_from(["records", "logs", "logEvents"]), st.lists(inner))
        | st.builds(lambda text, full: {"version": 1, "host": 2, "short_message": text, "x": full}, inner, inner)
        | st.builds(lambda logs: {"resourceLogs": [{"resource": logs, "scopeLogs": [{"logRecords": logs}]}]}, inner)
    ),
    max_leaves=6,
)
MIXED = st.lists(
    VALID | damaged() | VALUES | ENVELOPED.map(msgspec.json.encode) | ENVELOPED.map(msgpack.packb), max_size=8
)


@given(st.lists(VALID, min_size=1, max_size=12))
def test_formats_may_be_mixed(values: list[bytes]) -> None:
    """In a topic with every format in any order each line is counted once, and nothing is rejected."""
    result = cut_values(*values)
    assert not result.dead
    assert result.lines == sum(WHOLE[value] for value in values)


@given(MIXED)
def test_everything_is_accounted_for(values: list[bytes | None]) -> None:
    """Each record is in a slice: its lines are tallied, or it is a dead letter with a reason, or both."""
    if not values:
        return
    result = cut_values(*values)
    assert [piece.from_offset for piece in result.slices] == [0, *(piece.to_offset for piece in result.slices[:-1])]
    assert result.slices[-1].to_offset == len(values)
    assert sum(tallied(result.slices).values()) == result.lines
    assert [r.offset for piece in result.slices for r in piece.rejects] == [record.offset for record, _ in result.dead]
    assert {reasons.family(reason) for _, reason in result.dead} <= set(reasons.FAMILIES)
    assert all(codec.decode_fact(codec.encode(piece)) == piece for piece in result.slices)


@given(MIXED)
def test_no_record_vanishes(values: list[bytes | None]) -> None:
    """A record by itself has a line or a reason."""
    for value in values:
        result = cut_values(value)
        assert result.lines or result.dead


@given(MIXED, st.lists(st.booleans(), min_size=8, max_size=8))
def test_splits_do_not_matter(values: list[bytes | None], ends: list[bool]) -> None:
    """Cut in other portions by the same slicer, the same records give the same detections and tallies."""
    given_ = [Given(value, offset=10 + place) for place, value in enumerate(values)]
    whole = slicer().cut("logs", 0, 1, given_, 10).slices
    parts = portions(slicer(), given_, ends)
    assert tallied(parts) == tallied(whole)
    assert detected(parts) == detected(whole)
