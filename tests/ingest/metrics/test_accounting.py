"""Whatever comes on a topic of metrics, every point is in a sample, unmapped, or in a record that was rejected."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.core.events import HEALTH_METRICS, SAMPLE_KINDS, Sample, Slice
from streams.ingest.slicer import Slicer
from tests.ingest.given import APPEND_MS, Given, slicer
from tests.ingest.metrics.given import counter, gauge, histogram, number, request

NAMES = st.sampled_from(
    [
        *("cpu", "memory", "up", "http_requests_total", "redis_keyspace_hits_total", "node_memory_MemTotal_bytes"),
        *("node_memory_MemAvailable_bytes", "system.memory.usage", "node_cpu_seconds_total", "process.cpu.utilization"),
        *("http.server.request.duration", "node_load1", "anything", "é", ""),
    ]
)
FLOATS = st.floats() | st.sampled_from([0.0, 1.0, -1.0, 50.0, 1e308, 5e-324])
LABELS = st.dictionaries(
    st.sampled_from(["service", "job", "instance", "mode", "state", "code", "fstype"]),
    st.sampled_from(["a", "b:1", "used", "idle", "500", "tmpfs", "\ud7ff", 'q"\\\n']),
    max_size=3,
)
TIMES = st.sampled_from([0, APPEND_MS - 1, APPEND_MS - 900, APPEND_MS + 10 * 86_400_000, 7])


@st.composite
def exposition(draw: st.DrawFn) -> tuple[bytes, int]:
    """Return a scrape with how many points it holds."""
    lines = ["# TYPE x counter", ""]
    points = draw(st.lists(st.tuples(NAMES.filter(lambda name: name.isascii() and name), FLOATS, LABELS, TIMES)))
    for name, value, labels, at_ms in points:
        said = ",".join(f"{key}={msgspec.json.encode(text).decode()}" for key, text in labels.items())
        stamp = f" {at_ms}" if at_ms else ""
        lines.append(f"{name.replace('.', '_')}{{{said}}} {value!r}{stamp}")
    lines.append("up 1")
    return "\n".join(lines).encode("utf-8", "replace"), len(points) + 1


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, int]:
    """Return JSON lines with how many points they hold."""
    rows = draw(st.lists(st.tuples(NAMES.filter(bool), FLOATS | st.text(max_size=3), LABELS, TIMES), min_size=1))
    lines = [
        msgspec.json.encode({**labels, "metric": name, "value": value, "ts": at_ms})
        for name, value, labels, at_ms in rows
    ]
    return b"\n".join(lines), len(rows)


@st.composite
def exports(draw: st.DrawFn) -> tuple[bytes, int]:
    """Return an OTLP request with how many points it holds."""
    rows = draw(st.lists(st.tuples(NAMES.filter(bool), FLOATS, LABELS, st.integers(0, 3)), min_size=1, max_size=6))
    metrics = []
    for name, value, labels, shape in rows:
        point = number(value, **labels)
        if shape == 3:
            metrics.append(histogram(name, count=len(name), total=value, unit="s", **labels))
        else:
            metrics.append(gauge(name, point) if shape == 0 else counter(name, point, delta=shape == 2))
    return request(*metrics, service__name="shop").SerializeToString(), len(rows)


RECORDS = st.lists(exposition() | objects() | exports(), min_size=1, max_size=5)
RUBBISH = st.binary(max_size=40) | st.tuples(exposition() | objects() | exports(), st.integers(0, 200)).map(
    lambda found: found[0][0][: found[1]]
)


def cut_by(by: Slicer, values: Sequence[bytes], portion: int) -> tuple[list[Slice], list[tuple[int, str]]]:
    """Return slices, and offset and reason of dead letters, of values that come in portions."""
    records = [Given(value, offset=offset, topic="metrics") for offset, value in enumerate(values)]
    slices: list[Slice] = []
    dead: list[tuple[int, str]] = []
    for begin in range(0, len(records), portion):
        found = by.cut("metrics", 0, 1, records[begin : begin + portion], begin)
        slices += found.slices
        dead += [(record.offset, reason) for record, reason in found.dead]
    return slices, dead


def check(piece: Slice) -> None:
    """Check what holds of every slice of metrics: it can be recorded, and its numbers can be true."""
    assert codec.decode(codec.encode(piece)) == piece
    assert 0 <= piece.unmapped <= piece.points
    assert bool(piece.samples) == (piece.unmapped < piece.points)
    assert (piece.lines, piece.tallies, piece.detections) == (0, (), ())
    assert len({(s.at_ms, s.service, s.host, s.metric, s.kind, s.series) for s in piece.samples}) == len(piece.samples)
    for one in piece.samples:
        assert one.metric in HEALTH_METRICS
        assert one.kind in SAMPLE_KINDS
        assert one.at_ms % 1000 == 0
        assert one.count >= 1
        assert one.service
        assert all(map(math.isfinite, (one.sum, one.min, one.max, one.last)))
        assert one.min <= one.last <= one.max
        assert ("#" in one.series) == (one.kind == "total")


@given(records=RECORDS)
def test_every_point_is_counted(records: list[tuple[bytes, int]]) -> None:
    """All points of records that a decoder takes are counted, and no such record is a dead letter."""
    slices, dead = cut_by(slicer(), [value for value, _ in records], len(records))
    assert dead == []
    assert sum(piece.points for piece in slices) == sum(count for _, count in records)
    for piece in slices:
        check(piece)


@given(values=st.lists(RUBBISH, min_size=1, max_size=6))
def test_any_bytes_are_points_or_a_dead_letter(values: list[bytes]) -> None:
    """Whatever the bytes, every offset is in one slice, and what was rejected is a dead letter with its reason."""
    slices, dead = cut_by(slicer(), values, len(values))
    assert [(piece.from_offset, piece.to_offset) for piece in slices] == [(0, len(values))]
    assert [(one.offset, one.reason) for piece in slices for one in piece.rejects] == dead
    assert all(reason.isascii() and len(reason) < 120 for _, reason in dead)
    for piece in slices:
        check(piece)


@given(records=RECORDS, portion=st.integers(1, 4))
def test_portions_change_nothing(records: list[tuple[bytes, int]], portion: int) -> None:
    """Cut in other portions, the same records give the same points, counts and extremes."""
    values = [value for value, _ in records]
    whole, _ = cut_by(slicer(), values, len(values))
    parts, _ = cut_by(slicer(), values, portion)
    assert figures(parts) == figures(whole)


def figures(slices: list[Slice]) -> tuple[int, int, dict[tuple[object, ...], tuple[int, float, float]]]:
    """Return points, unmapped points, and count, minimum and maximum by key of samples."""
    found: dict[tuple[object, ...], tuple[int, float, float]] = {}
    for one in (one for piece in slices for one in piece.samples):
        key = (one.at_ms, one.service, one.host, one.metric, one.kind, one.series)
        found[key] = merged(found[key], one) if key in found else (one.count, one.min, one.max)
    return sum(piece.points for piece in slices), sum(piece.unmapped for piece in slices), found


def merged(figure: tuple[int, float, float], one: Sample) -> tuple[int, float, float]:
    """Return count, minimum and maximum of what was seen before and a sample."""
    return figure[0] + one.count, min(figure[1], one.min), max(figure[2], one.max)


def test_slices_of_many_series_stay_below_what_a_fact_may_be() -> None:
    """Records that are full of series are spread over slices, none of which is too large to be recorded."""
    values = [
        "\n".join(f'http_requests_total{{path="/{record}/{number}",code="500"}} 1' for number in range(1_500)).encode()
        for record in range(12)
    ]
    slices, dead = cut_by(slicer(), values, len(values))
    assert dead == []
    assert len(slices) > 1
    assert sum(len(piece.samples) for piece in slices) == 2 * 1_500 * 12
    for piece in slices:
        assert len(codec.encode(piece)) <= codec.EVENT_BYTES_MAX
