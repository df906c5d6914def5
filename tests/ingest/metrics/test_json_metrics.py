"""Metrics as JSON objects, from hand-written ones to those of Telegraf, Vector and prometheus-kafka-adapter."""

from __future__ import annotations

import pytest

from streams.core.events import HEALTH_METRICS
from tests.ingest.given import json
from tests.ingest.metrics.given import AT_MS, SECOND_MS, numbers, reason, sample, taken

STAMP = "2024-03-01T11:59:54.500Z"


@pytest.mark.parametrize("metric", HEALTH_METRICS)
def test_the_twelve_by_name(metric: str) -> None:
    """Each of the twelve is taken under its own name, in its own unit."""
    found = sample(json(ts=STAMP, service="shop", metric=metric, value=42.5))
    assert (found.service, found.at_ms, found.metric, found.kind) == ("shop", SECOND_MS, metric, "gauge")
    assert (found.count, found.sum, found.min, found.max, found.last) == (1, 42.5, 42.5, 42.5, 42.5)


@pytest.mark.parametrize("stamp", [STAMP, AT_MS, AT_MS / 1000, AT_MS * 1_000_000, str(AT_MS)])
def test_stamps(stamp: object) -> None:
    """Times in ISO, seconds, milliseconds and nanoseconds are read."""
    assert sample(json(timestamp=stamp, service="shop", metric="cpu", value="7")).at_ms == SECOND_MS


def test_one_object_an_array_and_lines_are_the_same() -> None:
    """However objects are put into records, they give the same samples."""
    objects = [json(ts=STAMP, service="shop", host="h1", metric="cpu", value=value) for value in (10, 30, 20)]
    pieces = [
        taken(*objects),
        taken(b"[" + b",".join(objects) + b"]"),
        taken(b"\n".join(objects)),
        taken(b"\r\n\r\n".join(objects) + b"\n"),
    ]
    assert {(piece.points, piece.unmapped, piece.samples) for piece in pieces} == {(3, 0, pieces[0].samples)}
    (found,) = pieces[0].samples
    assert (found.count, found.sum, found.min, found.max, found.last) == (3, 60.0, 10.0, 30.0, 20.0)


def test_a_unit_is_converted() -> None:
    """A producer's unit wins over the one that the name has by default."""
    assert sample(json(service="shop", metric="response_time", value=1.5, unit="s")).last == 1500.0
    assert sample(json(service="shop", metric="memory", value=0.5, unit="1")).last == 50.0


def test_prometheus_kafka_adapter() -> None:
    """Values are texts there, and labels name the series."""
    labels = {"__name__": "http_requests_total", "code": "502", "job": "shop", "instance": "h1:80"}
    piece = taken(json(labels=labels, name="http_requests_total", timestamp=STAMP, value="12"))
    assert numbers(piece) == {"throughput total": 12.0, "error_rate total": 1200.0}
    assert {(one.service, one.host, one.at_ms) for one in piece.samples} == {("shop", "h1", SECOND_MS)}
    nameless = taken(json(labels=labels, timestamp=STAMP, value="12"))
    assert nameless.samples == piece.samples


def test_telegraf() -> None:
    """Each field is a point; texts among them are no numbers; a batch is as good as its objects."""
    memory = {"name": "mem", "fields": {"used_percent": 41.5, "total": 8e9, "os": "x"}, "tags": {"host": "h1"}}
    disk = {"name": "disk", "fields": {"used_percent": 99.0}, "tags": {"fstype": "squashfs", "host": "h1"}}
    busy = {"name": "cpu", "fields": {"usage_idle": 75.0}, "tags": {"cpu": "cpu-total", "host": "h1"}}
    piece = taken(json(metrics=[{**one, "timestamp": AT_MS // 1000} for one in (memory, disk, busy)]))
    assert numbers(piece) == {"memory gauge": 41.5, "cpu gauge": 25.0}
    assert (piece.points, piece.unmapped) == (5, 3)
    assert {(one.service, one.host) for one in piece.samples} == {("metrics", "h1")}


def test_vector() -> None:
    """Namespaces belong to the name, and incremental counters are differences."""
    tags = {"host": "h1", "collector": "memory"}
    total = json(name="memory_total_bytes", namespace="host", tags=tags, kind="absolute", gauge={"value": 8.0})
    left = json(name="memory_available_bytes", namespace="host", tags=tags, kind="absolute", gauge={"value": 2.0})
    assert numbers(taken(b"\n".join((total, left)))) == {"memory gauge": 75.0}
    requests = json(name="http_requests_total", kind="incremental", counter={"value": 3.0}, timestamp=STAMP)
    assert numbers(taken(requests)) == {"throughput delta": 3.0}
    piece = taken(json(name="x", kind="incremental", distribution={"samples": [], "statistic": "summary"}))
    assert (piece.points, piece.unmapped) == (1, 1)


def test_pairs_are_put_together_inside_one_record_only() -> None:
    """Total and available memory in two records are two points that say nothing by themselves."""
    total = json(name="memory_total_bytes", namespace="host", gauge={"value": 8.0})
    left = json(name="memory_available_bytes", namespace="host", gauge={"value": 2.0})
    piece = taken(total, left)
    assert (piece.points, piece.unmapped, piece.samples) == (2, 2, ())


@pytest.mark.parametrize("value", [None, "high", [1], {"a": 1}, "1_0", 10**400])
def test_a_value_that_is_no_number_is_unmapped(value: object) -> None:
    """A named point without a finite number is counted, not rejected."""
    body = json(service="shop", metric="cpu", value=0)[:-2]
    said = b'"high"' if value == "high" else b"1" + b"0" * 400 if isinstance(value, int) else json(v=value)[5:-1]
    piece = taken(body + said + b"}")
    assert (piece.points, piece.unmapped, piece.rejects) == (1, 1, ())


@pytest.mark.parametrize("value", [-1.0, 100.5, 8e9])
def test_a_share_beyond_its_bounds_is_unmapped(value: float) -> None:
    """Memory of eight billion percent is bytes under a wrong name."""
    piece = taken(json(service="shop", metric="memory", value=value))
    assert (piece.points, piece.unmapped) == (1, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'{"message": "all is well", "level": "info"}', "JSON without a metric's name and value"),
        (b'{"metric": "cpu"}', "JSON without a metric's name and value"),
        (b'{"metric": 7, "value": 1}', "JSON without a metric's name and value"),
        (b"{}", "JSON without a metric's name and value"),
        (b"[1, 2]", "JSON of other things than objects"),
        (b'{"metric": "cpu", "value": 1}\n{"metric": "cp', "JSON of other things than objects"),
        (b'{"metrics": [{"metrics": [{"name": "cpu", "value": 1}]}]}', "JSON without a metric's name and value"),
        (b'{"metric": "cpu", "val', "line 1 is no sample of Prometheus text"),
    ],
)
def test_what_holds_no_metric_is_rejected_as_a_whole(value: bytes, said: str) -> None:
    """Log lines, broken JSON and other things are dead letters that say what is missing."""
    assert reason(value) == f"no metrics: {said}"


@pytest.mark.parametrize("value", [b"", b" \n\x00"])
def test_an_empty_record_is_rejected(value: bytes) -> None:
    """Nothing is not a metric."""
    assert reason(value) == "empty"


def test_bytes_that_are_no_text_are_rejected() -> None:
    """What no decoder knows is binary."""
    assert reason(bytes(range(1, 9)) * 4) == "binary"
