"""OTLP metrics, as protobuf and as JSON."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from streams.ingest.metrics.points import LINES_MAX, POINTS_MAX
from tests.ingest.metrics.given import (
    SECOND_MS,
    counter,
    gauge,
    histogram,
    number,
    numbers,
    reason,
    request,
    sample,
    taken,
)

SHOP = {"service__name": "shop", "host__name": "h1"}


def encoded(form: str, message: ExportMetricsServiceRequest) -> bytes:
    """Return a request as a Collector writes it to Kafka."""
    return message.SerializeToString() if form == "otlp_proto" else json.dumps(MessageToDict(message)).encode()


both = pytest.mark.parametrize("form", ["otlp_proto", "otlp_json"])


@both
def test_a_gauge_is_a_sample(form: str) -> None:
    """Service, host, second and unit are read, and a share becomes a percentage."""
    found = sample(encoded(form, request(gauge("process.cpu.utilization", number(0.25), unit="1"), **SHOP)))
    assert (found.service, found.host, found.at_ms) == ("shop", "h1", SECOND_MS)
    assert (found.metric, found.kind, found.series, found.last) == ("cpu", "gauge", "cpu_utilization", 25.0)


@both
def test_a_cumulative_counter_is_a_total_by_series(form: str) -> None:
    """Each series of a counter is a sample of its own, so that one that starts anew does not look like a loss."""
    metric = counter(
        "system.network.io",
        number(100.0, device="eth0", direction="receive"),
        number(50.0, device="eth0", direction="transmit"),
        number(7.0, device="lo", direction="receive"),
        unit="By",
    )
    piece = taken(encoded(form, request(metric, **SHOP)))
    assert (piece.points, piece.unmapped) == (3, 1)
    assert {(one.metric, one.kind, one.last) for one in piece.samples} == {
        ("network", "total", 100.0),
        ("network", "total", 50.0),
    }
    assert len({one.series for one in piece.samples}) == 2


@both
def test_a_delta_is_added_up(form: str) -> None:
    """Differences that a producer made need no series, and those of a second are one sample."""
    points = [number(3.0, route=f"/{name}", http__response__status_code=200) for name in "ab"]
    piece = taken(encoded(form, request(counter("http_requests", *points, unit="{request}", delta=True), **SHOP)))
    (found,) = piece.samples
    assert (found.metric, found.kind, found.series) == ("throughput", "delta", "http_requests")
    assert (found.count, found.sum) == (2, 6.0)


@both
def test_a_delta_of_a_gauge_is_unmapped(form: str) -> None:
    """How much a gauge changed says nothing without the value before it."""
    piece = taken(encoded(form, request(counter("process.cpu.utilization", number(0.1), delta=True), **SHOP)))
    assert (piece.points, piece.unmapped, piece.samples) == (1, 1, ())


@both
@pytest.mark.parametrize(("unit", "total", "milliseconds"), [("s", 1.5, 1500.0), ("ms", 1500.0, 1500.0)])
def test_a_histogram_is_time_and_number_of_requests(form: str, unit: str, total: float, milliseconds: float) -> None:
    """Durations add up to response_time, their number to throughput, and those with a 5xx to error_rate."""
    metric = histogram("http.server.request.duration", count=4, total=total, unit=unit, http__response__status_code=503)
    piece = taken(encoded(form, request(metric, **SHOP)))
    assert (piece.points, piece.unmapped) == (1, 0)
    assert numbers(piece) == {"response_time total": milliseconds, "throughput total": 4.0, "error_rate total": 400.0}


@both
def test_a_histogram_without_a_sum_still_counts(form: str) -> None:
    """A sum may be missing; it is not 0 then."""
    metric = histogram("http.server.request.duration", count=4, total=None, unit="s")
    assert numbers(taken(encoded(form, request(metric, **SHOP)))) == {"throughput total": 4.0}


@both
def test_parts_of_a_whole_are_put_together(form: str) -> None:
    """Used memory is a share of all states, for each host by itself."""
    states = {"used": 30.0, "free": 50.0, "cached": 20.0}
    metric = Metric(name="system.memory.usage", unit="By")
    metric.sum.aggregation_temporality = 2  # type: ignore[assignment]  # enumerations are numbers
    metric.sum.data_points.extend(number(value, state=state) for state, value in states.items())
    message = request(metric, **SHOP)
    message.resource_metrics.add().CopyFrom(request(metric, host__name="h2").resource_metrics[0])
    piece = taken(encoded(form, message))
    assert [(one.host, one.metric, one.last) for one in piece.samples] == [
        ("h1", "memory", 30.0),
        ("h2", "memory", 30.0),
    ]
    assert (piece.points, piece.unmapped) == (6, 0)


@both
def test_processor_time_is_added_up_over_busy_states(form: str) -> None:
    """One core that was busy for 12 s of user and system time has a total of 1200 %s; idle and waiting are no part."""
    states = {"user": 10.0, "system": 2.0, "idle": 500.0, "wait": 8.0}
    points = [number(value, cpu="cpu0", state=state) for state, value in states.items()]
    piece = taken(encoded(form, request(counter("system.cpu.time", *points, unit="s"), **SHOP)))
    assert numbers(piece) == {"cpu total": 1200.0}
    assert (piece.points, piece.unmapped) == (4, 2)


@both
def test_a_point_without_a_value_is_unmapped(form: str) -> None:
    """A point that is flagged as not recorded, or is no number, is counted and not measured."""
    unrecorded = number(1.0)
    unrecorded.flags = 1
    metric = gauge("process.cpu.utilization", unrecorded, number(float("nan")), number(float("inf")), unit="1")
    piece = taken(encoded(form, request(metric, **SHOP)))
    assert (piece.points, piece.unmapped, piece.samples) == (3, 3, ())


@both
def test_a_foreign_unit_is_unmapped(form: str) -> None:
    """Memory in bytes is no percentage."""
    piece = taken(encoded(form, request(gauge("memory", number(50.0), unit="By"), **SHOP)))
    assert (piece.points, piece.unmapped) == (1, 1)


@both
def test_a_request_without_points_is_taken(form: str) -> None:
    """An empty export is nothing to reject."""
    piece = taken(encoded(form, request(gauge("anything"), **SHOP)))
    assert (piece.points, piece.rejects) == (0, ())


def test_every_cut_of_a_request_is_rejected_or_whole() -> None:
    """A truncated request is taken by no decoder, unless it ends between two resources."""
    one = request(gauge("cpu", number(1.0)), **SHOP)
    message = request(gauge("cpu", number(1.0)), **SHOP)
    message.resource_metrics.add().CopyFrom(one.resource_metrics[0])
    whole = message.SerializeToString()
    assert len(whole) == 2 * one.ByteSize()
    for length in range(1, len(whole)):
        piece = taken(whole[:length])
        assert bool(piece.rejects) == (length != one.ByteSize())
        assert piece.points == (length == one.ByteSize())


def test_other_signals_are_named() -> None:
    """Logs and traces on a topic of metrics are dead letters that say so."""
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = "hello"
    traces = ExportTraceServiceRequest()
    traces.resource_spans.add().scope_spans.add().spans.add(trace_id=bytes(range(1, 17)), span_id=b"12345678", name="n")
    for message in (logs, traces):
        assert reason(message.SerializeToString()) == "no metrics: OTLP of another signal, or a damaged one"
        assert reason(json.dumps(MessageToDict(message)).encode()) == "no metrics: OTLP of another signal"


def test_malformed_json_is_rejected() -> None:
    """A request whose fields are of other types is taken by no decoder."""
    assert reason(b'{"resourceMetrics": [{"scopeMetrics": 7}]}') == "no metrics: malformed OTLP in JSON"


@both
def test_too_many_points_are_rejected(form: str) -> None:
    """A record with more points than may be is a dead letter as a whole."""
    message = request(Metric(name="cpu"))
    points = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    for _ in range(POINTS_MAX + 1):
        points.add()
    assert reason(encoded(form, message)) == f"too many points: more than {POINTS_MAX}"


def test_a_bomb_is_refused_before_it_is_built() -> None:
    """A resource of two megabytes of empty attributes is refused by its size, and costs little memory."""
    bomb = b"\x0a\x00" * 1_100_000
    resource = b"\x0a" + varint(len(bomb)) + bomb
    tracemalloc.start()
    assert reason(b"\x0a" + varint(len(resource)) + resource).startswith("too large: a message of 2200000 bytes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (b"\x12\x00" * (LINES_MAX + 1), f"too many points: more than {LINES_MAX} lines or messages around them"),
        (b"\x08\x01" * 5_000, "no metrics: OTLP of another signal, or a damaged one"),
    ],
)
def test_empty_messages_and_stray_numbers_have_a_limit(inside: bytes, said: str) -> None:
    """Two bytes each, they would keep the process busy for seconds without a single point."""
    assert reason(b"\x0a" + varint(len(inside)) + inside) == said


def varint(size: int) -> bytes:
    """Return protobuf's form of a length."""
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


def test_texts_that_are_no_utf8_are_replaced() -> None:
    """Bytes that are no UTF-8 in names, units, labels and the resource cost neither that point nor the others."""
    odd = gauge("process.cpu.utilization", number(0.25, routeXX="caf\u00e9"), unit="1")
    whole = encoded(
        "otlp_proto", request(odd, gauge("system.memory.utilization", number(0.5, state="used"), unit="1"), **SHOP)
    )
    for text in ("caf\u00e9".encode(), b"routeXX", b"h1"):
        assert whole.count(text) == 1
    broken = (
        whole.replace("caf\u00e9".encode(), b"caf\xff\xfe")
        .replace(b"routeXX", b"route\xff\xc3")
        .replace(b"h1", b"h\xe9")
    )
    piece = taken(broken)
    assert {one.metric: (one.service, one.host, one.last) for one in piece.samples} == {
        "cpu": ("shop", "h\ufffd", 25.0),
        "memory": ("shop", "h\ufffd", 50.0),
    }
