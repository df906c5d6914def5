"""What is read: lines, points, slices, what was rejected, what retention took."""

from __future__ import annotations

import logging

from prometheus_client import Counter, Gauge

from streams.telemetry.registry import REGISTRY, bounded
from streams.telemetry.saying import say

_lines = Counter("logmend_lines", "Log lines read.", ["source"], registry=REGISTRY)
_line_bytes = Counter("logmend_lines_bytes", "Bytes of records read.", ["source"], registry=REGISTRY)
_points = Counter("logmend_points", "Data points of metrics read.", ["source"], registry=REGISTRY)
_unmapped = Counter("logmend_points_unmapped", "Data points that are no health metric.", ["source"], registry=REGISTRY)
_lines_lost = Counter("logmend_lines_lost", "Offsets that retention deleted unread.", ["source"], registry=REGISTRY)
_slices = Counter("logmend_slices", "Slices appended.", ["source"], registry=REGISTRY)
_rejects = Counter("logmend_rejects", "Records and lines no decoder took.", ["source", "reason"], registry=REGISTRY)
_detections = Counter("logmend_detections", "Lines detected.", ["category", "severity"], registry=REGISTRY)
_shed = Counter("logmend_shed_lines", "Lines that lost something under load.", ["source", "what"], registry=REGISTRY)
_shedding = Gauge("logmend_shedding", "What is shed now: 0 nothing, 1 templates, 2 texts as well.", registry=REGISTRY)
_schemas = Counter("logmend_schemas", "Answers of the schema registry.", ["outcome"], registry=REGISTRY)


def lines_read(source: str, lines: int, size_bytes: int = 0) -> None:
    """Count ``lines`` lines of records of ``size_bytes`` together, read from a source topic."""
    topic = bounded("source", source)
    _lines.labels(topic).inc(lines)
    _line_bytes.labels(topic).inc(size_bytes)


def schema_answered(outcome: str) -> None:
    """Count what a question to the schema registry came to: ``found``, ``unknown``, ``refused``, ``unreachable``."""
    _schemas.labels(outcome).inc()


def points_read(source: str, points: int, unmapped: int) -> None:
    """Count ``points`` data points of metrics, of which ``unmapped`` map to none of the twelve."""
    topic = bounded("source", source)
    _points.labels(topic).inc(points)
    _unmapped.labels(topic).inc(unmapped)


def shedding(rung: int, lag_ms: int) -> None:
    """Warn that more, or less, is shed from now on; ``rung`` is as ``streams.ingest.shedding`` has it."""
    _shedding.set(rung)
    say(logging.WARNING, "shedding", rung=rung, lag_seconds=lag_ms / 1_000)


def shed(source: str, templates: int, texts: int) -> None:
    """Count lines of a durable slice that were counted without a template, or whose text was not kept."""
    topic = bounded("source", source)
    _shed.labels(topic, "templates").inc(templates)
    _shed.labels(topic, "texts").inc(texts)


def slice_appended(source: str) -> None:
    """Count a slice that is durable."""
    _slices.labels(bounded("source", source)).inc()


def rejected(source: str, reason: str, count: int = 1) -> None:
    """Count records or lines that no decoder took; ``reason`` is a word of a fixed list, never text."""
    _rejects.labels(bounded("source", source), bounded("reason", reason)).inc(count)


def detected(category: str, severity: str, count: int = 1) -> None:
    """Count detected lines."""
    _detections.labels(bounded("category", category), severity).inc(count)


def lines_lost(source: str, partition: int, from_offset: int, to_offset: int) -> None:
    """Alarm: retention deleted offsets that nobody had read."""
    _lines_lost.labels(bounded("source", source)).inc(to_offset - from_offset)
    say(logging.ERROR, "lines_lost", source=source, partition=partition, from_offset=from_offset, to_offset=to_offset)


def registry_down(address: str, problem: str, seconds: float) -> None:
    """Warn that the schema registry gave no answer: for so long its records become dead letters without a question."""
    say(logging.WARNING, "registry_down", address=address, problem=problem, seconds=seconds)
