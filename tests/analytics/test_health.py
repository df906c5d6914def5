"""The views on services' health and alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import EventLog
from streams.core.events import HEALTH_METRICS, ProbeReported
from tests.analytics.archive import archive
from tests.analytics.history import History


def measured(*cpu: float) -> History:
    """Return a history in which a service reports its processor once a minute."""
    history = History()
    history.begin()
    for value in cpu:
        history.measure("shop", value)
        history.log.now_ms += 60_000
    history.measure("shop", cpu[-1])
    return history


async def test_service_health_has_the_columns_that_are_promised(tmp_path: Path) -> None:
    """One row a minute: score, status, type and the twelve metrics, NULL where a metric is not reported."""
    await archive(measured(20.0, 94.0, 100.0), tmp_path)
    with EventLog(tmp_path) as log:
        names = log.query("FROM service_health").columns
        rows = log.query(
            "SELECT service_name, service_type, status, score, cpu, memory FROM service_health ORDER BY id"
        )
        apart = log.query(
            "SELECT (max(minute_at) - min(minute_at))::VARCHAR, max(created_at) > max(minute_at) FROM service_health"
        )
    assert names[:-2] == ["id", "service_name", "service_type", "status", "score", *HEALTH_METRICS]
    assert names[-2:] == ["created_at", "minute_at"]
    assert rows.rows() == [
        ("shop", "process", "excellent", 100.0, 20.0, None),
        ("shop", "process", "fair", 76.0, 94.0, None),
        ("shop", "process", "poor", 60.0, 100.0, None),
    ]
    assert apart.row(0) == ("00:02:00", True)


async def test_an_alert_is_one_row(tmp_path: Path) -> None:
    """An alert that rose is one row with its highest level and a hint, open until it is resolved."""
    history = measured(94.0, 100.0, 100.0)
    await archive(history, tmp_path / "open")
    asked = """
        SELECT metric, level, status, rises, value, points, starts_with(hint, 'find what keeps'), resolved_at IS NULL
        FROM alerts
    """
    with EventLog(tmp_path / "open") as log:
        assert log.query(asked).rows() == [("cpu", "warning", "open", 1, 100.0, pytest.approx(40.0), True, True)]
    for _ in range(6):
        history.log.now_ms += 60_000
        history.measure("shop", 20.0)
    await archive(history, tmp_path / "over")
    with EventLog(tmp_path / "over") as log:
        assert log.query(asked).rows() == [("cpu", "warning", "resolved", 1, 100.0, pytest.approx(40.0), True, False)]
        assert log.query("SELECT resolved_at > risen_at AND risen_at > raised_at FROM alerts").row(0) == (True,)


async def test_an_alert_names_the_incident_that_is_open(tmp_path: Path) -> None:
    """An alert beside an open incident of its service names it; one without names none, nor one that is closed."""
    history = measured(20.0, 20.0)
    history.heal("shop")
    history.log.now_ms += 60_000
    for value in (100.0, 20.0):
        history.measure("shop", value)
        history.log.now_ms += 60_000
    for _ in range(2):
        at_ms = history.now_ms
        history.say(ProbeReported(host="h1", service="mail", kind="http", ok=False, code="", at_ms=at_ms, latency_ms=3))
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        told = log.query("SELECT service_name, incident FROM alerts ORDER BY id").rows()
        (broken,) = log.query("SELECT id FROM incidents WHERE service = 'mail'").row(0)
        assert log.query("SELECT count(*) FROM incidents WHERE service = 'shop' AND status = 'healed'").item() == 1
    assert told == [("shop", None), ("mail", broken)]
