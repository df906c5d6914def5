"""What a run of the demo came to, in figures from the event log and the ground truth, and as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from analytics.views import EventLog
from lab.score import healed_as_itself, held_back, note_of
from lab.timeline import Course, Story

HEALED_MIN: Final = 5
"""Of six faults: what the demo promises."""


class Question(Struct, frozen=True, kw_only=True):
    """An example of what can be asked, with the answer of this run."""

    question: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class FaultRow(Course, frozen=True, kw_only=True):
    """One fault of the demo."""

    fault: str
    service: str
    pattern: str
    healed: bool
    stayed_broken: bool
    note: str


class DemoReport(Struct, frozen=True, kw_only=True):
    """The demo's summary. Counts are of this run alone, but for ``decisions_before``: what the log held already.

    ``lines_per_second`` is of the burst, from its first line sent to the slice that holds its last (0: no burst);
    ``line_to_decision`` is of what came after it, from the newest line of a slice sent to its decision appended.
    """

    ok: bool
    halted: bool
    seconds: float
    lines: int
    lines_per_second: int
    line_to_decision_ms_p50: float | None
    line_to_decision_ms_p99: float | None
    detections: dict[str, int]
    severities: dict[str, int]
    incidents: dict[str, int]
    decisions: dict[str, int]
    decisions_before: int
    commands: dict[str, int]
    rejects: dict[str, int]
    faults: tuple[FaultRow, ...]
    questions: tuple[Question, ...]
    look_further: tuple[str, ...]


class Span(Struct, frozen=True, kw_only=True):
    """Which part of the log a run is: from these numbers on, and when its burst of lines was sent and how long."""

    facts_offset: int
    seq: int
    burst_ms: int
    burst_lines: int
    seconds: float
    halted: bool


_TROUBLE: Final = """
SELECT service, pattern, category, sum(lines)::BIGINT AS lines FROM detections
WHERE pattern <> '' GROUP BY ALL ORDER BY lines DESC, service LIMIT 5"""
_DONE: Final = """
SELECT i.service, i.pattern, c.action, c.status, i.status AS incident, i.healed_seconds
FROM commands c JOIN incidents i ON i.id = c.incident ORDER BY c.seq DESC LIMIT 6"""
_OPTIONS: Final = """
SELECT action, expected_success, cost, risk, score, probability, chosen FROM options
WHERE seq = (SELECT max(seq) FROM commands) ORDER BY score DESC"""
QUESTIONS: Final = (
    ("Which services spoke of trouble, and of what?", _TROUBLE),
    ("What was done, and did it help?", _DONE),
    ("What else could have been done in the last case, and how did it score?", _OPTIONS),
)
_DETECTIONS: Final = """
SELECT {column}, sum(lines)::BIGINT FROM detections WHERE pattern <> '' AND facts_offset >= $offset GROUP BY 1"""
_RATE: Final = """
SELECT epoch_ms(recorded_at) AS at_ms, sum(lines) OVER (ORDER BY facts_offset)::BIGINT AS lines FROM facts
WHERE verdict = 'accepted' AND lines > 0 AND facts_offset >= $offset ORDER BY facts_offset"""
_LATENCY: Final = """
SELECT quantile_cont(epoch_ms(d.recorded_at) - epoch_ms(f.appended_at), [0.5, 0.99])
FROM decisions d JOIN facts f USING (facts_offset)
WHERE d.seq >= $seq AND epoch_ms(d.recorded_at) > $after AND f.lines > 0
    AND d.kind IN ('incident_opened', 'symptom_joined')"""


def build(log: EventLog, span: Span, stories: Sequence[Story]) -> DemoReport:
    """Ask the event log about the run and join it with the stories."""
    faults = tuple(map(fault_row, stories))
    burst_end_ms = _burst_end(log, span)
    burst_seconds = max(burst_end_ms - span.burst_ms, 1) / 1000
    latency = _latency(log, span, burst_end_ms)
    good = sum(row.stayed_broken if span.halted else row.healed for row in faults)
    enough = len(faults) if span.halted else min(HEALED_MIN, len(faults))
    offset, seq = {"offset": span.facts_offset}, {"seq": span.seq}
    return DemoReport(
        ok=0 < enough <= good and (not span.halted or held_back(stories)),
        halted=span.halted,
        seconds=round(span.seconds, 1),
        lines=_lines(log, span),
        lines_per_second=round(span.burst_lines / burst_seconds) if burst_end_ms else 0,
        line_to_decision_ms_p50=latency[0],
        line_to_decision_ms_p99=latency[1],
        detections=_counts(log, _DETECTIONS.format(column="category"), offset),
        severities=_counts(log, _DETECTIONS.format(column="severity"), offset),
        incidents=_counts(log, "SELECT status, count(*) FROM incidents WHERE last_seq >= $seq GROUP BY 1", seq),
        decisions=_counts(log, "SELECT kind, count(*) FROM decisions WHERE seq >= $seq GROUP BY 1", seq),
        decisions_before=span.seq,
        commands=_counts(log, "SELECT strategy, count(*) FROM commands WHERE seq >= $seq GROUP BY 1", seq),
        rejects=_counts(log, "SELECT reason, count(*) FROM rejects WHERE facts_offset >= $offset GROUP BY 1", offset),
        faults=faults,
        questions=tuple(_ask(log, question, sql) for question, sql in QUESTIONS),
        look_further=_look_further(log, span),
    )


def fault_row(story: Story) -> FaultRow:
    """Return what became of a fault; it counts as ``score`` counts it."""
    return FaultRow(
        fault=story.fault,
        service=story.service,
        pattern=story.pattern,
        **story.course(),
        healed=healed_as_itself(story),
        stayed_broken=story.stayed_broken,
        note=note_of(story),
    )


def _counts(log: EventLog, sql: str, parameters: dict[str, Any]) -> dict[str, int]:
    """Return name and count, the most frequent first."""
    rows = log.query(sql, parameters).rows()
    return {str(name): int(count) for name, count in sorted(rows, key=lambda row: (-row[1], str(row[0])))}


def _lines(log: EventLog, span: Span) -> int:
    sql = "SELECT coalesce(sum(lines), 0)::BIGINT FROM facts WHERE verdict = 'accepted' AND facts_offset >= $offset"
    return int(log.query(sql, {"offset": span.facts_offset}).item())


def _burst_end(log: EventLog, span: Span) -> int:
    """Return when the slice with the burst's last line was appended (ms since 1970); 0 when there was no burst."""
    if not span.burst_lines:
        return 0
    for at_ms, lines in log.query(_RATE, {"offset": span.facts_offset}).rows():
        if lines >= span.burst_lines:
            return int(at_ms)
    return 0


def _latency(log: EventLog, span: Span, after_ms: int) -> tuple[float | None, float | None]:
    """Return median and 99th percentile, in ms, from the newest line of a slice sent to its decision appended."""
    found = log.query(_LATENCY, {"seq": span.seq, "after": after_ms}).item()
    return (None, None) if found is None else (round(found[0], 1), round(found[1], 1))


def _ask(log: EventLog, question: str, sql: str) -> Question:
    answer = log.query(sql)
    return Question(
        question=question, sql=" ".join(sql.split()), columns=tuple(answer.columns), rows=tuple(answer.rows())
    )


def _look_further(log: EventLog, span: Span) -> tuple[str, ...]:
    found = log.query("SELECT id FROM commands WHERE seq >= $seq ORDER BY seq DESC LIMIT 1", {"seq": span.seq}).rows()
    why = tuple(f"logmend why {row[0]}" for row in found)
    return (
        *why,
        'logmend sql "SELECT * FROM incidents ORDER BY opened_at DESC"',
        "logmend verify",
        "logmend replay --verify",
    )


def to_json(report: DemoReport) -> bytes:
    """Return the report as JSON."""
    return msgspec.json.encode(report)
