"""Totals and rates of some days, from the views (SEED_TABLES, section 2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from analytics.views import EventLog


class Learning(Struct, frozen=True, kw_only=True):
    """What is known of fixes; a mean is null while there is none."""

    total_patterns: int
    avg_successes: float | None
    avg_attempts: float | None
    avg_success_rate: float | None


class Stats(Struct, frozen=True, kw_only=True):
    """Totals by status and phase; rates in percent, null where there is nothing to divide by.

    `tasks` are incidents. `phase_breakdown` counts those that were fixed, `by_phase` all by the phase they are in, or
    ended in.
    """

    days: int
    tasks: int
    fixed: int
    fix_rate: float | None
    by_status: dict[str, int]
    by_phase: dict[str, int]
    phase_breakdown: dict[str, int]
    escalations: int
    escalations_by_status: dict[str, int]
    escalation_rate: float | None
    learning: Learning


def stats(log: EventLog, now_ms: int, days: int) -> Stats:
    """Return what the ``days`` days before ``now_ms``, by Kafka's clock, come to."""
    since = {"since": datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None) - timedelta(days=days)}
    tasks = log.query(_TASKS, since).row(0, named=True)
    escalations = dict(log.query(_ESCALATIONS, since).rows())
    total = sum(escalations.values())
    return Stats(
        days=days,
        tasks=tasks["total"],
        fixed=tasks["fixed"],
        fix_rate=tasks["fix_rate"],
        by_status=dict(log.query(_BY_STATUS, since).rows()),
        by_phase=dict(log.query(_BY_PHASE, since).rows()),
        phase_breakdown=dict(log.query(_FIXED_BY_PHASE, since).rows()),
        escalations=total,
        escalations_by_status=escalations,
        escalation_rate=round(100 * total / tasks["total"], 1) if tasks["total"] else None,
        learning=msgspec.convert(log.query(_LEARNING).row(0, named=True), Learning),
    )


_TASKS: Final = """
    SELECT count(*) AS total, count(*) FILTER (fix_successful) AS fixed,
        round(100.0 * count(*) FILTER (fix_successful) / nullif(count(*), 0), 1) AS fix_rate
    FROM tasks WHERE detected_at > $since
"""
_BY_STATUS: Final = "SELECT status, count(*) FROM tasks WHERE detected_at > $since GROUP BY status ORDER BY status"
_BY_PHASE: Final = """
    SELECT CAST(phase AS VARCHAR), count(*)
    FROM incidents WHERE opened_at > $since AND merged_into IS NULL GROUP BY phase ORDER BY phase
"""
_FIXED_BY_PHASE: Final = """
    SELECT fix_message, count(*)
    FROM tasks WHERE fix_successful AND detected_at > $since GROUP BY fix_message ORDER BY count(*) DESC, fix_message
"""
_ESCALATIONS: Final = """
    SELECT status, count(*) FROM escalations WHERE created_at > $since GROUP BY status ORDER BY status
"""
_LEARNING: Final = """
    SELECT count(*) AS total_patterns, avg(success_count) AS avg_successes, avg(total_attempts) AS avg_attempts,
        round(avg(100.0 * success_count / nullif(total_attempts, 0)), 1) AS avg_success_rate
    FROM fix_patterns
"""
