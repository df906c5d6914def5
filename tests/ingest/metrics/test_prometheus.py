"""Prometheus text and OpenMetrics: whole scrapes, as exporters serve them."""

from __future__ import annotations

import pytest

from streams.ingest.metrics.points import LABELS_MAX, LINES_MAX
from tests.ingest.given import APPEND_MS
from tests.ingest.metrics.given import SECOND_MS, numbers, reason, sample, taken

NODE_EXPORTER = b"""\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 18354.91
node_cpu_seconds_total{cpu="0",mode="iowait"} 12.5
node_cpu_seconds_total{cpu="0",mode="system"} 301.25
node_cpu_seconds_total{cpu="0",mode="user"} 698.75
# HELP node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="/dev/sda1",device_error="",fstype="ext4",mountpoint="/"} 2.5e+10
node_filesystem_avail_bytes{device="tmpfs",device_error="",fstype="tmpfs",mountpoint="/run"} 4e+08
node_filesystem_size_bytes{device="/dev/sda1",device_error="",fstype="ext4",mountpoint="/"} 1e+11
node_filesystem_size_bytes{device="tmpfs",device_error="",fstype="tmpfs",mountpoint="/run"} 4e+08
node_hwmon_temp_celsius{chip="platform_coretemp_0",sensor="temp1"} 51
node_load1 0.42
node_memory_MemAvailable_bytes 6e+09
node_memory_MemFree_bytes 1e+09
node_memory_MemTotal_bytes 8e+09
node_network_receive_bytes_total{device="eth0"} 1.2345e+09
node_network_receive_bytes_total{device="lo"} 777
"""
APPLICATION = b"""\
# TYPE http_request_duration_seconds histogram
# UNIT http_request_duration_seconds seconds
http_request_duration_seconds_bucket{code="200",le="0.1"} 90
http_request_duration_seconds_bucket{code="200",le="+Inf"} 100
http_request_duration_seconds_sum{code="200"} 4.5
http_request_duration_seconds_count{code="200"} 100 # {trace_id="KOO5S4vxi0o"} 0.67
# EOF
"""


def test_a_scrape_of_a_host() -> None:
    """Processor, memory, disk, network and temperature of a host; load, free memory, tmpfs and lo are unmapped."""
    piece = taken(NODE_EXPORTER, headers=(("service", b"node"), ("host", b"h1")))
    assert numbers(piece) == {
        "cpu total": 100_000.0,
        "memory gauge": 25.0,
        "disk gauge": 75.0,
        "network total": 1_234_500_000.0,
        "temperature gauge": 51.0,
    }
    assert {(one.service, one.host, one.at_ms) for one in piece.samples} == {("node", "h1", APPEND_MS)}
    assert (piece.points, piece.unmapped) == (15, 7)


def test_a_histogram_of_an_application() -> None:
    """Sum and count become response_time and throughput; buckets say nothing more, exemplars are passed over."""
    piece = taken(APPLICATION, key=b"shop")
    assert numbers(piece) == {"response_time total": 4_500.0, "throughput total": 100.0}
    assert (piece.points, piece.unmapped, {one.service for one in piece.samples}) == (4, 2, {"shop"})


@pytest.mark.parametrize(
    ("line", "labels"),
    [
        (b'up{job="shop",instance="h1:9100"} 1', ("shop", "h1")),
        (b'up { job = "shop" , instance="h1:9100", } 1', ("shop", "h1")),
        (b'{"up", job="shop", "node"="h1"} 1', ("shop", "h1")),
        (b'up{job="a\\"b\\\\\\nc"} 1', ("abc", "")),
        (b'\n  up{container="shop-7d9f6b8c5d-x2x9z",node="h1"} 1e0\r\n', ("shop", "h1")),
        (b'up{instance="[::1]:9100"} 1', ("metrics", "::1")),
        (b'up{job="probe",instance="https://h1:8443/health"} 1', ("probe", "h1")),
        (b"up\xff 1", None),
        (b'up{job="\xff\xfe"} 1', ("metrics", "")),
    ],
)
def test_labels(line: bytes, labels: tuple[str, str] | None) -> None:
    """Labels are read however they are spaced, quoted and escaped; job, container and instance name the owner."""
    if labels is None:
        assert reason(line).startswith("no metrics")
    else:
        found = sample(line)
        assert ((found.service, found.host), found.metric, found.last) == (labels, "availability", 100.0)


@pytest.mark.parametrize("stamp", [b"1709294394500", b"1709294394.5", b"1.7092943945e9"])
def test_stamps(stamp: bytes) -> None:
    """Milliseconds of the old format and seconds of OpenMetrics are told by their size."""
    assert sample(b"up 1 " + stamp).at_ms == SECOND_MS


def test_a_stamp_that_can_not_be_true_gives_way_to_the_append_time() -> None:
    """A time before 2000, or days ahead, is not believed."""
    assert {sample(b"up 1 " + stamp).at_ms for stamp in (b"12345", b"1909294394500")} == {APPEND_MS}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"up 1\nup", 2),
        (b'up 1\nup{job="shop', 2),
        (b'up 1\nup{job="shop"}', 2),
        (b"up 1 2 3", 1),
        (b"up one", 1),
        (b"up 1_000", 1),
        (b"up{job=shop} 1", 1),
        (b'{"up","down"} 1', 1),
        (b'{job="shop"} 1', 1),
        (b"\n\n2024-03-01 12:00:00 INFO all is well", 3),
        (b"hello", 1),
        (b'up{a="' + b'\\"' * 100_000 + b'"} 1', 1),
    ],
)
def test_a_malformed_scrape_is_rejected_as_a_whole(text: bytes, line: int) -> None:
    """The first line that is no sample is named, and nothing of the record is taken."""
    assert reason(text) == f"no metrics: line {line} is no sample of Prometheus text"


def test_comments_alone_are_no_metrics() -> None:
    """A text without one sample holds nothing to measure."""
    assert reason(b"# hello\n# EOF\n") == "no metrics: text without a sample"


def test_numbers_that_are_none_are_counted() -> None:
    """NaN and the infinities are points, and unmapped."""
    piece = taken(b"up NaN\nup +Inf\nup -Inf\nup 1\n")
    assert (piece.points, piece.unmapped, len(piece.samples)) == (4, 3, 1)


def test_a_unit_in_a_comment_holds() -> None:
    """A family's unit is that of its sums; a count has none."""
    text = (
        b"# UNIT a_request_duration_seconds ms\na_request_duration_seconds_sum 7\na_request_duration_seconds_count 2\n"
    )
    assert numbers(taken(text)) == {"response_time total": 7.0, "throughput total": 2.0}


@pytest.mark.parametrize("text", [b"up 1\n" + b"\n" * LINES_MAX, b"up 1\n" + b"#\n" * LINES_MAX])
def test_lines_without_a_sample_have_a_limit_too(text: bytes) -> None:
    """Millions of comments and empty lines are not read to their end."""
    assert reason(text).startswith(f"too many points: more than {LINES_MAX} lines")


@pytest.mark.parametrize("number", [LABELS_MAX, LABELS_MAX + 1])
def test_labels_have_a_limit(number: int) -> None:
    """A point with more labels than any producer gives it is a dead letter."""
    text = b"up{" + b",".join(b'l%d="x"' % place for place in range(number)) + b"} 1"
    if number <= LABELS_MAX:
        assert sample(text).metric == "availability"
    else:
        assert reason(text) == f"too large: a point of more than {LABELS_MAX} labels"
