"""What was foretold is joined with what happened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.views import EventLog
from analytics.why import why
from analytics.why_text import render
from tests.analytics.ahead import LEAK, fill, jump, leak, see_coming
from tests.analytics.archive import archive
from tests.analytics.history import History


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """Return a reader of a fleet in which things can be seen coming."""
    history, directory = History(), tmp_path_factory.mktemp("ahead")
    history.begin()
    see_coming(history)
    leak(history, "last")
    asyncio.run(archive(history, directory))
    with EventLog(directory) as log:
        yield log


def test_a_prediction_meets_its_failure(ahead: EventLog) -> None:
    """The last alarm before a crash came true, with the seconds from one to the other."""
    rows = ahead.query("FROM predictions WHERE service = 'last' ORDER BY seq").to_dicts()
    assert rows[-1]["alarm"]
    assert rows[-1]["failed"]
    assert 0 < rows[-1]["lead_seconds"] <= 30
    assert [row["failed"] for row in rows if not row["alarm"]][:2] == [False, False]
    assert rows[-1]["feature"].startswith("memory.")


def test_the_outcome_is_unknown_until_the_horizon_has_passed(tmp_path: Path) -> None:
    """Of predictions of the last 30 s nobody knows yet whether they come true; those before did not."""
    history = History()
    history.begin()
    see_coming(history)
    for value in LEAK[:8]:
        history.measure("new", value, metric="memory")
        history.log.now_ms += 10_000
    asyncio.run(archive(history, tmp_path))
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT failed, failed_at FROM predictions WHERE service = 'new' ORDER BY seq").rows()
    assert rows[0] == (False, None)
    assert rows[-1] == (None, None)


def test_quality_is_that_of_the_known_outcomes(ahead: EventLog) -> None:
    """Brier score, precision and recall are those of the rows, for each service and for all."""
    known = ahead.query("FROM predictions WHERE failed IS NOT NULL").to_dicts()
    (total,) = ahead.query("FROM prediction_quality WHERE service IS NULL").to_dicts()
    squares = [(row["probability"] - row["failed"]) ** 2 for row in known]
    assert total["predictions"] == len(known)
    assert total["brier"] == pytest.approx(sum(squares) / len(squares))
    alarms = [row["failed"] for row in known if row["alarm"]]
    hits = [row["alarm"] for row in known if row["failed"]]
    assert (total["alarms"], total["precision"]) == (len(alarms), pytest.approx(sum(alarms) / len(alarms)))
    assert total["recall"] == pytest.approx(sum(hits) / len(hits))
    (last,) = ahead.query("FROM prediction_quality WHERE service = 'last'").to_dicts()
    assert (last["failures"], last["warned"]) == (1, 1.0)
    assert 0 < last["lead_seconds"] <= 30


def test_a_forecast_meets_the_minute_it_was_for(ahead: EventLog) -> None:
    """A disk that fills by 1 % a minute was forecast within 1 %; a forecast beyond the end has no value yet."""
    rows = ahead.query("FROM forecasts WHERE service = 'store' ORDER BY seq").to_dicts()
    trend = next(row for row in rows if row["slope"] > 0.0)
    assert trend["came"] == pytest.approx(trend["level"] + trend["ahead_minutes"], abs=0.5)
    assert trend["error"] <= 1.0
    assert trend["within_interval"]
    assert (rows[-1]["came"], rows[-1]["error"]) == (None, None)
    assert {row["metric"] for row in rows} == {"disk"}


def test_an_exhaustion_says_what_came_of_it(ahead: EventLog) -> None:
    """The disk that was said to be full is full when it was said; the next one is only expected."""
    (row,) = ahead.query("FROM exhaustions WHERE service = 'store'").to_dicts()
    assert (row["status"], row["limit_value"], row["metric"]) == ("came", 100.0, "disk")
    assert abs((row["ended_at"] - row["expected_at"]).total_seconds()) <= 300
    assert row["earliest_at"] <= row["expected_at"]


def test_a_service_that_fails_before_its_limit_is_told_so(tmp_path: Path) -> None:
    """Between what was expected and its limit the service failed: that is what came."""
    history = History()
    history.begin()
    fill(history, "store", 60)
    history.see("store", "disk_full")
    fill(history, "other", 60)
    asyncio.run(archive(history, tmp_path))
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT service, status, failed_at IS NOT NULL FROM exhaustions ORDER BY seq").rows()
    assert rows == [("store", "failed", True), ("other", "expected", False)]


def test_an_anomaly_has_a_begin_and_an_end(tmp_path: Path) -> None:
    """A jump of the load is one anomaly, which goes on at the end of the log or has ended within it."""
    history = History()
    history.begin()
    jump(history, "gate")
    asyncio.run(archive(history, tmp_path))
    with EventLog(tmp_path) as log:
        first = log.query("FROM anomalies").to_dicts()[0]
    assert (first["service"], first["what"], first["metric"]) == ("gate", "throughput", "throughput")
    assert first["surprise"] >= 3.0
    assert first["seconds"] == (first["ended_at"] - first["began_at"]).total_seconds()


def test_ties_name_both_services(ahead: EventLog) -> None:
    """Rack and node fail together, and the rack is first."""
    (row,) = ahead.query("FROM ties").to_dicts()
    assert (row["service"], row["other"], row["leads"], row["lag_seconds"]) == ("rack", "node", True, 30.0)
    assert row["meetings"] >= 3


def test_failures_are_counted_once(ahead: EventLog) -> None:
    """Each leak ended in one failure, though its incident was told of more than once."""
    rows = ahead.query("SELECT service, count(*) FROM failures WHERE service LIKE 'leaky%' GROUP BY ALL").rows()
    assert sorted(rows) == [(f"leaky-{number}", 1) for number in range(8)]


def test_why_tells_the_figures(ahead: EventLog) -> None:
    """The explanation of an expected exhaustion says how steep it is and how soon the limit comes."""
    (found,) = ahead.query("SELECT id FROM exhaustions").rows()
    told = render(why(ahead, found[0]))
    assert "exhaustion_expected (disk) store" in told
    assert re.search(r"with level [\d.]+, slope [\d.]+, limit 100, .*expected_ms [\d.e+]+", told)
