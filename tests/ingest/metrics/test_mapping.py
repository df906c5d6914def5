"""The table that maps names to the twelve, and what becomes of points that meet in a record."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest

from streams.catalogue.metrics import metrics
from streams.core.events import HEALTH_METRICS, SAMPLE_KINDS
from streams.ingest.metrics.mapping import uses_of
from streams.ingest.metrics.points import label, normal
from streams.ingest.metrics.taking import RECORD_BYTES_MAX
from tests.ingest.metrics.given import numbers, reason, taken

CATALOGUE = metrics()


def test_the_catalogue_speaks_of_the_twelve() -> None:
    """Each of the twelve has a unit with scales, and nothing else has."""
    assert tuple(CATALOGUE.metrics) == HEALTH_METRICS
    assert {spec.unit for spec in CATALOGUE.metrics.values()} == set(CATALOGUE.scales)
    assert {spec.per for spec in CATALOGUE.metrics.values()} == {"", "second", "throughput"}


@pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: f"{rule.id}-{rule.metric}")
def test_rules_are_sound(rule: object) -> None:
    """A rule is of a known metric and kind, in a unit that can be converted, and totals have a divisor."""
    found = next(one for one in CATALOGUE.rules if one is rule)
    spec = CATALOGUE.metrics[found.metric]
    scales = CATALOGUE.scales[spec.unit]
    assert found.kind in SAMPLE_KINDS[:2]
    assert found.unit in scales or "*" in scales
    assert found.kind == "gauge" or spec.per
    assert found.part or (found.rest and found.whole)
    assert "#" not in found.id
    for name in (*found.part, *found.rest, *found.whole):
        assert any(use.rule is found for use in uses_of(normal(name.removeprefix("*")))), name


def test_a_ratio_of_totals_has_its_divisor() -> None:
    """Every rule whose totals are divided by throughput maps throughput under the same id."""
    divided = {
        rule.id
        for rule in CATALOGUE.rules
        if rule.kind == "total" and CATALOGUE.metrics[rule.metric].per == "throughput"
    }
    counted = {rule.id for rule in CATALOGUE.rules if rule.metric == "throughput"}
    assert divided <= counted


def test_no_name_is_mapped_twice_to_one_metric() -> None:
    """A point that two rules took for the same metric would count twice."""
    names = Counter(
        (name, rule.metric)
        for rule in CATALOGUE.rules
        for name in {normal(name) for name in (*rule.part, *rule.rest, *rule.whole) if not name.startswith("*")}
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("shop_http_requests_total", {"http_requests"}),
        ("http_requests_total", {"http_requests"}),
        ("myhttp_requests_total", set()),
        ("http_requests_total_created", set()),
        ("shop_orders_queue_depth", {"queue_depth"}),
        ("prometheus_http_request_duration_seconds_sum", {"http_duration"}),
        ("node_load1", set()),
        ("", set()),
        ("_" * 200, set()),
    ],
)
def test_ends_of_names(name: str, ids: set[str]) -> None:
    """A name that a rule knows the end of is its, when the end begins a word."""
    assert {use.rule.id for use in uses_of(name)} == ids


def test_hits_and_misses() -> None:
    """A cache's hits are a share of its look-ups, which are the throughput of the same rule."""
    piece = taken(b"redis_keyspace_hits_total 90\nredis_keyspace_misses_total 10\n")
    totals = Counter[str]()
    for one in piece.samples:
        assert one.series.startswith("redis_keyspace#")
        totals[one.metric] += int(one.last)
    assert totals == {"cache_hit_rate": 9000, "throughput": 100}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (b"container_memory_working_set_bytes 50\ncontainer_spec_memory_limit_bytes 200\n", 25.0),
        (b"container_memory_working_set_bytes 300\ncontainer_spec_memory_limit_bytes 200\n", 100.0),
        (b"container_memory_working_set_bytes 50\ncontainer_spec_memory_limit_bytes 0\n", None),
        (b"container_memory_working_set_bytes 50\n", None),
        (b'container_memory_working_set_bytes{pod="a"} 50\ncontainer_spec_memory_limit_bytes{pod="b"} 200\n', None),
        (b"container_memory_working_set_bytes 50 1709294394500\ncontainer_spec_memory_limit_bytes 200\n", None),
    ],
)
def test_pairs(text: bytes, share: float | None) -> None:
    """Part and whole of equal labels and time are a share within 0..100; without a limit there is none."""
    piece = taken(text)
    assert numbers(piece) == ({} if share is None else {"memory gauge": share})
    assert piece.unmapped == (piece.points if share is None else 0)


def test_pools_without_a_limit_are_left_out_of_it() -> None:
    """A Java heap is in use by all its pools, and limited by those that have a limit; -1 is none."""
    text = b"""\
jvm_memory_used_bytes{area="heap",id="G1 Eden Space"} 10
jvm_memory_used_bytes{area="heap",id="G1 Old Gen"} 30
jvm_memory_used_bytes{area="nonheap",id="Metaspace"} 99
jvm_memory_max_bytes{area="heap",id="G1 Eden Space"} -1
jvm_memory_max_bytes{area="heap",id="G1 Old Gen"} 80
"""
    piece = taken(text)
    assert numbers(piece) == {"memory gauge": 50.0}
    assert (piece.points, piece.unmapped) == (5, 2)


def test_samples_that_fit_no_fact_are_rejected() -> None:
    """A record of more series than a fact may hold is a dead letter, not half a record."""
    lines = [f'http_requests_total{{path="/{number}"}} 1' for number in range(6_000)]
    said = reason("\n".join(lines).encode())
    assert said.startswith("too many series: samples of about ")
    assert said.endswith(f"at most {RECORD_BYTES_MAX}")


def test_names_and_labels_are_remembered_within_bounds() -> None:
    """What a producer makes up, however long, is not kept: neither names nor the labels of its series."""
    tracemalloc.start()
    try:
        for number in range(200):
            normal(f"{number}{'x' * 1_000_000}")
            label(f"{number}{'x' * 1_000_000}")
            labels = ",".join(f'label{index}="{number}{"v" * 190}"' for index in range(200))
            taken(f"http_requests_total{{{labels}}} 1".encode())
        assert tracemalloc.get_traced_memory()[0] < 8 << 20
    finally:
        tracemalloc.stop()
