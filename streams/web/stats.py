"""Totals and rates of some days, from the views (SEED_TABLES, section 2)."""

from __future__ import annotations

from msgspec import Struct

from analytics.views import EventLog


class Stats(Struct, frozen=True, kw_only=True):
    """Totals by status and phase, and the rates of section 2; a rate is null where nothing is to be divided by."""

    days: int
    incidents_by_status: dict[str, int]
    incidents_by_phase: dict[str, int]


def stats(log: EventLog, days: int) -> Stats:
    """Return what the last ``days`` days come to."""
    since = {"days": days}
    statuses = log.query(_BY_STATUS, since).rows()
    phases = log.query(_BY_PHASE, since).rows()
    return Stats(days=days, incidents_by_status=dict(statuses), incidents_by_phase=dict(phases))


_RECENT = "opened_at > (now() AT TIME ZONE 'UTC') - to_days(CAST($days AS INTEGER))"
_BY_STATUS = f"SELECT status, count(*) FROM incidents WHERE {_RECENT} GROUP BY status ORDER BY status"  # noqa: S608 - ours
_BY_PHASE = f"SELECT CAST(phase AS VARCHAR), count(*) FROM incidents WHERE {_RECENT} GROUP BY phase ORDER BY phase"  # noqa: S608 - ours
