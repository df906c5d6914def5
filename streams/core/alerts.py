"""What a person is told of a service's metrics: alerts at five levels, which rise while they last (SPEC P3).

The rules are at the head of ``catalogue/health.toml``. An alert is one metric of one service: there are never more than
twelve of a service, and one that has failed has one about its availability.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.core.events import SEVERITIES
from streams.core.health import FAILED, Health, HealthTable, Measured, StatusRow
from streams.core.muting import silenced
from streams.core.state import Draft, Turn
from streams.core.vitals import Alert, Vital

DOWN = "availability"
"""The metric that a service which has failed is told of by."""


def alert(turn: Turn, service: str, vital: Vital, health: Health, measured: Mapping[str, Measured], at_ms: int) -> None:
    """Raise, worsen and resolve the alerts of a service; what is old evidence tells nobody anything."""
    if turn.append_ms - at_ms > turn.policy.old_evidence_ms:
        return
    wanted = _wanted(turn.catalogue.health, vital.status, health)
    for metric, row in wanted.items():
        figures = {"points": health.losses.get(metric, 0.0), "score": vital.score}
        if metric in measured:
            figures |= {"measured": measured[metric].value, "usual": measured[metric].track.usual}
        _raise(turn, Draft(kind="alerted", reason=metric, service=service, at_ms=at_ms, figures=figures), vital, row)
    if vital.status == FAILED:
        return
    calm_ms = turn.now_ms - turn.catalogue.health.calm_ms
    for metric in [metric for metric in vital.alerts if metric not in wanted]:
        if vital.alerts[metric].wrong_ms <= calm_ms:
            _resolve(turn, service, vital, metric, at_ms)


def resolve_all(turn: Turn, service: str, vital: Vital) -> None:
    """Take back all alerts of a service that is no longer followed."""
    for metric in list(vital.alerts):
        _resolve(turn, service, vital, metric, turn.append_ms)


def _wanted(table: HealthTable, status: str, health: Health) -> dict[str, StatusRow]:
    """Return what is to be told, by metric: the status that says how bad it is."""
    if status == FAILED:
        return {DOWN: table.row(FAILED)}
    found = {metric: table.status(100.0 - loss) for metric, loss in health.losses.items()}
    if health.leading:
        found[health.leading] = min(found[health.leading], table.row(status), key=lambda row: row.least)
    return {metric: row for metric, row in found.items() if row.alert}


def _raise(turn: Turn, draft: Draft, vital: Vital, row: StatusRow) -> None:
    """Tell of a metric when nobody was told yet, when it is worse than was told, or when it lasts."""
    level, lasting = SEVERITIES.index(row.alert), SEVERITIES.index(row.lasting)
    told = vital.alerts.get(draft.reason)
    if told is None:
        vital.alerts[draft.reason] = Alert(turn.next_id(), level, turn.now_ms, turn.now_ms, turn.now_ms)
    else:
        told.wrong_ms = turn.now_ms
        lasts = turn.now_ms >= told.raised_ms + turn.policy.alert_escalate_ms
        level = max(level, min(told.level + 1, lasting) if lasts else told.level)
        if level <= told.level:
            return
        told.level, told.raised_ms = level, turn.now_ms
        draft.refers_to = told.id
        draft.figures["lasted_ms"] = turn.now_ms - told.since_ms
    draft.severity = SEVERITIES[level]
    _, draft.gates = silenced(turn, draft.service)
    turn.write(draft)


def _resolve(turn: Turn, service: str, vital: Vital, metric: str, at_ms: int) -> None:
    told = vital.alerts.pop(metric)
    draft = Draft(kind="alert_resolved", reason=metric, service=service, at_ms=at_ms, refers_to=told.id)
    draft.severity, draft.figures = SEVERITIES[told.level], {"lasted_ms": turn.now_ms - told.since_ms}
    turn.write(draft)
