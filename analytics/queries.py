"""The questions that the demo's summary and the command ask, each a typed frame.

Every function takes an ``EventLog`` and returns a Polars frame with the named columns, sorted, also when it is empty.
"""

from __future__ import annotations

import polars as pl

from analytics.views import EventLog


def lines(log: EventLog) -> pl.DataFrame:
    """Return lines, records and slices read, by topic: ``topic, lines, records, slices``."""
    return log.query("""
        SELECT source AS topic, sum(lines)::BIGINT AS lines, sum(to_offset - from_offset)::BIGINT AS records,
            count(*) AS slices
        FROM facts WHERE kind = 'Slice' AND verdict = 'accepted' AND NOT contains(source, '.inbox.')
        GROUP BY topic ORDER BY topic
    """)


def detections(log: EventLog) -> pl.DataFrame:
    """Return what was detected: ``category, severity, lines, services``; most lines first."""
    return log.query("""
        SELECT category, severity, sum(lines)::BIGINT AS lines, count(DISTINCT service) AS services
        FROM detections GROUP BY category, severity ORDER BY lines DESC, category, severity
    """)


def incidents(log: EventLog) -> pl.DataFrame:
    """Return every incident as the view ``incidents`` has it, in order of opening."""
    return log.query("FROM incidents ORDER BY first_seq")


def decisions(log: EventLog) -> pl.DataFrame:
    """Return decisions by kind: ``kind, decisions``; most first."""
    return log.query("SELECT kind, count(*) AS decisions FROM decisions GROUP BY kind ORDER BY decisions DESC, kind")


def commands(log: EventLog) -> pl.DataFrame:
    """Return commands by strategy, action and end: ``strategy, action, status, ok, commands``."""
    return log.query("""
        SELECT strategy, action, status, ok, count(*) AS commands
        FROM commands GROUP BY ALL ORDER BY strategy, action, status, ok
    """)


def healing(log: EventLog) -> pl.DataFrame:
    """Return incidents that were acted on, in order of opening.

    Columns: ``incident, service, pattern, status, healed, attempts, actions``, and in seconds since opening
    ``commanded_seconds`` and ``healed_seconds`` (null when it did not come to that).
    """
    return log.query("""
        SELECT id AS incident, service, pattern, status, healed, attempts, actions,
            epoch_ms(commanded_at - opened_at) / 1000 AS commanded_seconds, healed_seconds
        FROM incidents WHERE attempts > 0 ORDER BY first_seq
    """)


def rejects(log: EventLog) -> pl.DataFrame:
    """Return what no decoder took: ``topic, reason, rejects``; most first."""
    return log.query("""
        SELECT topic, reason, count(*) AS rejects
        FROM rejects GROUP BY topic, reason ORDER BY rejects DESC, topic, reason
    """)


def latency(log: EventLog) -> pl.DataFrame:
    """Return the way from the newest line of the slice that caused a command to that command, one row.

    Columns: ``commands``, and ``p50_ms, p99_ms, max_ms`` between the broker's stamps of the two. Only commands
    that a line caused at once count: first attempts of the same fact as the line, nothing that waited or was approved.
    """
    return log.query("""
        WITH ways AS (
            SELECT epoch_ms(sent_at) - epoch_ms(appended_at) AS way_ms
            FROM commands
            JOIN decisions USING (id)
            JOIN facts USING (facts_offset)
            WHERE commands.kind = 'recovery' AND attempt = 1 AND commands.approved_by = ''
                AND facts.lines > 0 AND appended_at IS NOT NULL
        )
        SELECT count(*) AS commands, quantile_disc(way_ms, 0.5) AS p50_ms, quantile_disc(way_ms, 0.99) AS p99_ms,
            max(way_ms) AS max_ms
        FROM ways
    """)
