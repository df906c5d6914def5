"""A report from the event log: the views are asked for what happened in a span, and the measures count it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from analytics.report import before, measures
from analytics.report.told import Report
from analytics.views import EventLog

TASKS: Final = """
    WITH answered AS (
        SELECT incident, bool_or(reason = 'false_alarm') AS called_false
        FROM decisions WHERE kind = 'escalation_resolved' GROUP BY incident
    )
    SELECT tasks.id, tasks.issue_service AS service, tasks.issue_type AS pattern, tasks.detected_at,
        tasks.fix_successful, tasks.fix_message, one.category, one.status, one.attempts, one.healed,
        one.healed_seconds, one.opened_at, one.closed_at, answered.incident IS NOT NULL AS answered,
        coalesce(answered.called_false, false) AS called_false
    FROM tasks
    JOIN incidents AS one ON one.id = tasks.incident
    LEFT JOIN answered ON answered.incident = tasks.incident
    WHERE detected_at > $since
"""
ESCALATIONS: Final = "SELECT status FROM escalations WHERE created_at > $since"
PATTERNS: Final = "SELECT success_count, total_attempts FROM fix_patterns"
LESSONS: Final = "SELECT pattern, service_type, action, success, learnt_at FROM lessons"
ATTEMPTS: Final = "SELECT strategy, success FROM fix_attempts WHERE created_at > $since"
CATEGORY_LINES: Final = """
    SELECT category AS name, sum(lines)::BIGINT AS count FROM detections
    WHERE recorded_at > $since AND category <> '' GROUP BY category
"""
SERVICE_ERRORS: Final = """
    SELECT service AS name, sum(lines)::BIGINT AS count FROM detections
    WHERE recorded_at > $since AND severity IN ('error', 'critical', 'fatal') AND service <> '' GROUP BY service
"""
EVENTS: Final = """
    SELECT seq, kind, service, decided_at AS at, CASE kind
        WHEN 'incident_opened' THEN pattern
        WHEN 'commanded' THEN action
        WHEN 'config_applied' THEN split_part(reason, ' ', 1)
        WHEN 'halted' THEN ''
        WHEN 'resumed' THEN ''
        ELSE reason
    END AS what
    FROM decisions
    WHERE decided_at > $since AND list_contains($kinds, kind)
"""
SPAN: Final = "SELECT min(recorded_at), max(recorded_at), min(decided_at) FROM decisions"
MINUTE: Final = timedelta(minutes=1)


def report(log: EventLog, since: datetime, until: datetime) -> Report:
    """Return what the log teaches of the time from ``since`` on; ``until`` is now. Both are UTC, without a zone.

    Incidents and escalations count by when they were recorded, as the four questions count them. Lines are summed by
    DuckDB, what is a row an incident, an action or an event is counted by Polars. Raises as ``EventLog.query`` does.
    """
    first_at, newest_at, first_decided_at = log.query(SPAN).row(0)
    begin = max(since, first_at) if first_at else since
    tasks = _since(log, TASKS, since)
    escalations = _since(log, ESCALATIONS, since)
    return Report(
        since_at=since,
        until_at=until,
        newest_at=newest_at,
        incidents=tasks.height,
        open=int(tasks["fix_successful"].null_count()),
        auto_fix=measures.auto_fix(tasks),
        escalation=measures.escalation(escalations, tasks.height),
        escalations=measures.named(escalations, "status", tasks.height),
        phases=measures.named(tasks.filter("fix_successful"), "fix_message"),
        growth=measures.growth(log.query(PATTERNS)),
        repair=measures.repair(tasks),
        repair_times=measures.repair_times(tasks),
        recurrence=measures.recurrence(tasks),
        false_fire=measures.false_fire(tasks),
        categories=measures.named(tasks, "category"),
        category_lines=measures.weighed(_since(log, CATEGORY_LINES, since)),
        services=measures.weighed(_since(log, SERVICE_ERRORS, since)),
        strategies=measures.strategies(_since(log, ATTEMPTS, since)),
        causes=before.causes(tasks, _events(log, since), (max(since, first_decided_at or since), newest_at or until)),
        over_time=measures.over_time(tasks, log.query(LESSONS), (begin, max(until, begin + MINUTE))),
    )


def _since(log: EventLog, sql: str, since: datetime) -> pl.DataFrame:
    return log.query(sql, {"since": since})


def _events(log: EventLog, since: datetime) -> pl.DataFrame:
    """Return what may have preceded an incident of the span."""
    return log.query(EVENTS, {"since": since - before.WINDOW, "kinds": list(before.KINDS)})
