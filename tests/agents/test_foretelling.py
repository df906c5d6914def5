"""How good predictions were, as told by durable decisions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from analytics.views import EventLog
from streams import telemetry
from streams.agents.foretelling import LATE_MS, SILENT_MS, Foretelling
from streams.core.events import Decision, Figure
from tests.agents.test_healing import decision as of_kind
from tests.analytics.ahead import HOUR_MS, leak, see_coming
from tests.analytics.archive import archive
from tests.analytics.history import History

HORIZON_MS = 30_000


class Told:
    """What was counted: (probability, alarm, failed) of each prediction, and the lead of each failure."""

    def __init__(self) -> None:
        self.known: list[tuple[float, bool, bool]] = []
        self.leads: list[float | None] = []

    def take(self, probability: float, *, alarm: bool, failed: bool) -> None:
        """Note a prediction."""
        self.known.append((probability, alarm, failed))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Return what will be counted."""
    counted = Told()
    monkeypatch.setattr(telemetry, "prediction_known", counted.take)
    monkeypatch.setattr(telemetry, "failure_foretold", counted.leads.append)
    return counted


def about(kind: str, at_ms: int, service: str = "api", severity: str = "critical", reason: str = "") -> Decision:
    """Return a decision about a service at an event time."""
    return of_kind(kind, "i", at_ms, service=service, severity=severity, reason=reason)


def predicted(at_ms: int, probability: float) -> Decision:
    """Return a prediction, which is an alarm from 0.5 on."""
    figures = {"probability": probability, "horizon_ms": float(HORIZON_MS), "alarm": 0.5}
    return of_kind(
        "predicted", "", at_ms, figures=tuple(Figure(name=name, value=value) for name, value in figures.items())
    )


def seen(*decisions: Decision) -> Foretelling:
    """Return what has seen some decisions."""
    foretelling = Foretelling()
    for one in decisions:
        foretelling.see(one)
    return foretelling


def test_what_comes_within_the_horizon_was_foretold(told: Told) -> None:
    """Both predictions before the failure were right; the lead is that of the first alarm."""
    seen(predicted(0, 0.1), predicted(10_000, 0.7), predicted(20_000, 0.9), about("incident_opened", 25_000))
    assert told.known == [(0.1, False, True), (0.7, True, True), (0.9, True, True)]
    assert told.leads == [15.0]


def test_a_failure_without_an_alarm_was_not_warned_of(told: Told) -> None:
    """It has no lead."""
    seen(predicted(0, 0.1), about("severity_raised", 5_000))
    assert told.leads == [None]


@pytest.mark.parametrize(
    ("kind", "severity", "reason"),
    [
        ("incident_opened", "warning", ""),
        ("health_changed", "critical", "good to poor"),
        ("assessed", "critical", "failed"),
    ],
)
def test_what_is_no_failure_settles_nothing(told: Told, kind: str, severity: str, reason: str) -> None:
    """Warnings, and a health that is only worse, are no failures."""
    seen(predicted(0, 0.9), about(kind, 5_000, severity=severity, reason=reason))
    assert told.known == []


def test_a_service_that_answers_no_more_has_failed(told: Told) -> None:
    """A health that became failed is a failure."""
    seen(predicted(0, 0.9), about("health_changed", 5_000, reason="good to failed, by availability"))
    assert told.known == [(0.9, True, True)]


def test_what_has_not_come_was_wrong(told: Told) -> None:
    """Once the service's own time is past the horizon, and what comes late had its time, it has not failed."""
    foretelling = seen(predicted(0, 0.9), about("assessed", HORIZON_MS + LATE_MS))
    assert told.known == []
    foretelling.see(about("assessed", HORIZON_MS + LATE_MS + 1))
    assert told.known == [(0.9, True, False)]


def test_a_service_that_is_heard_of_no_more_did_not_fail(told: Told) -> None:
    """After an hour of which nothing is known, what was predicted of it is over."""
    seen(predicted(0, 0.9), about("assessed", HORIZON_MS + SILENT_MS + 1, service="other"))
    assert told.known == [(0.9, True, False)]


def test_what_follows_a_failure_is_the_same_failure(told: Told) -> None:
    """Within five minutes nothing fails twice."""
    seen(about("incident_opened", 0), predicted(10_000, 0.9), about("severity_raised", 20_000))
    assert told.known == []


def test_the_counters_say_what_the_event_log_says(told: Told, tmp_path: Path) -> None:
    """Over a fleet in which things can be seen coming, figures by counters are those of ``prediction_quality``."""
    history = History()
    history.begin()
    see_coming(history)
    leak(history, "last")
    history.log.now_ms += 2 * HOUR_MS
    history.see("elsewhere", "process_crash")
    seen(*history.decisions)
    asyncio.run(archive(history, tmp_path))
    with EventLog(tmp_path) as log:
        (total,) = log.query("FROM prediction_quality WHERE service IS NULL").to_dicts()
    alarms = [failed for _, alarm, failed in told.known if alarm]
    hits = [alarm for _, alarm, failed in told.known if failed]
    squares = [(probability - failed) ** 2 for probability, _, failed in told.known]
    assert len(told.known) == total["predictions"] > 0
    assert sum(squares) / len(squares) == pytest.approx(total["brier"])
    assert sum(alarms) / len(alarms) == pytest.approx(total["precision"])
    assert sum(hits) / len(hits) == pytest.approx(total["recall"])
    assert len(told.leads) == total["failures"]
    assert sum(lead is not None for lead in told.leads) / len(told.leads) == pytest.approx(total["warned"])
