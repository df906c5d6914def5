"""What a report says, against the views that define it, and against what is known of the histories."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.report.before import causes
from analytics.report.measures import BUCKETS_MAX, named, over_time
from analytics.report.rates import chance_of, rate
from analytics.report.reading import report
from analytics.report.told import Report
from analytics.views import EventLog
from tests.analytics.archive import archive
from tests.analytics.history import History, wander
from tests.analytics.trouble import BEGUN, ROUNDS, returning, troubled

END = BEGUN + timedelta(days=1)
NO_TASKS = pl.DataFrame(schema={"detected_at": pl.Datetime, "fix_successful": pl.Boolean})
NO_LESSONS = pl.DataFrame(
    schema={
        "pattern": pl.String,
        "service_type": pl.String,
        "action": pl.String,
        "success": pl.Boolean,
        "learnt_at": pl.Datetime,
    }
)
MAKERS = {
    "troubled": troubled,
    "returning": returning,
    "random": lambda: wander(3, facts=250),
    "nothing": History,
}


@pytest.fixture(scope="module", params=MAKERS)
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EventLog, Report]]:
    """Return the log of a history, and a report of all of it."""
    directory = tmp_path_factory.mktemp(request.param)
    asyncio.run(archive(MAKERS[request.param](), directory))
    with EventLog(directory) as log:
        yield log, report(log, BEGUN, END)


async def told(history: History, directory: Path, since: datetime = BEGUN) -> Report:
    """Return a report of a history."""
    await archive(history, directory)
    with EventLog(directory) as log:
        return report(log, since, END)


def test_the_four_questions_are_answered_as_the_macros_do(read: tuple[EventLog, Report]) -> None:
    """Rate of fixes, escalations by status, phases and growth are those that the log's own macros give."""
    log, found = read
    total, fixed, percent = log.query("FROM auto_fix_rate(days := 7)").row(0)
    assert (found.auto_fix.of, found.auto_fix.count) == (total, fixed)
    assert percent == (None if found.auto_fix.share is None else round(100 * found.auto_fix.share, 1))
    statuses = log.query("SELECT status, total_escalations FROM escalation_rate(days := 7)").rows()
    assert sorted((one.name, one.count) for one in found.escalations) == statuses
    assert found.escalation.count == sum(count for _, count in statuses)
    assert [(one.name, one.count) for one in found.phases] == log.query("FROM phase_breakdown(days := 7)").rows()
    growth = found.growth
    (asked,) = log.query("FROM learning_growth()").rows()
    said = (growth.total_patterns, growth.avg_successes, growth.avg_attempts, growth.avg_success_rate)
    assert said == pytest.approx(asked)


def test_repairs_recurrence_and_false_fire_are_as_the_views_define_them(read: tuple[EventLog, Report]) -> None:
    """Over the whole log the figures are those of the views mttr, recurrence, false_fire and verified_success."""
    log, found = read
    mttr = log.query("SELECT healed, mean_seconds, median_seconds, p95_seconds FROM mttr WHERE service IS NULL").rows()
    repair = found.repair
    assert [(repair.healed, repair.mean_seconds, repair.median_seconds, repair.p95_seconds)] == [
        pytest.approx(row, abs=1e-3) for row in mttr or [(0, None, None, None)]
    ]
    assert sum(one.count for one in found.repair_times) == repair.healed
    recurred = log.query("SELECT coalesce(sum(recurred), 0)::BIGINT FROM recurrence").item()
    assert found.recurrence.count == recurred
    false = log.query("SELECT closed, false_fire_rate FROM false_fire WHERE pattern IS NULL").rows()
    share = found.false_fire.share
    assert [(found.false_fire.of, share and round(share, 4))] == (false or [(0, None)])
    strategies = log.query("""
        SELECT strategy, sum(attempts)::BIGINT, sum(verified)::BIGINT, sum(verified + failed)::BIGINT
        FROM verified_success GROUP BY strategy ORDER BY sum(attempts) DESC, strategy
    """).rows()
    assert [(s.strategy, s.attempts, s.success.count, s.success.of) for s in found.strategies] == strategies


def test_the_parts_add_up(read: tuple[EventLog, Report]) -> None:
    """Incidents over time, by category and by how they stand are all of them; shares of what is listed are 1."""
    _, found = read
    buckets = found.over_time
    assert 1 <= len(buckets) <= BUCKETS_MAX
    assert sum(one.fixed + one.not_fixed + one.open for one in buckets) == found.incidents
    assert sum(one.fixed for one in buckets) == found.auto_fix.count
    assert sum(one.open for one in buckets) == found.open
    known = [one.fixes_known for one in buckets]
    assert known == sorted(known)
    for rows in (found.categories, found.category_lines, found.services, found.phases, found.repair_times):
        assert not rows or math.fsum(one.share or 0.0 for one in rows) == pytest.approx(1.0)
    assert sum(one.count for one in found.categories) == found.incidents


async def test_an_empty_log_is_empty(tmp_path: Path) -> None:
    """Where nothing was ever logged, a report has no share and no time, and knows that it is empty."""
    with EventLog(tmp_path) as log:
        found = report(log, BEGUN, END)
    assert (found.empty, found.newest_at, found.incidents, found.growth.total_patterns) == (True, None, 0, 0)
    assert {found.auto_fix.share, found.escalation.share, found.recurrence.share, found.repair.median_seconds} == {None}


async def test_lines_of_an_older_incident_are_no_nothing(tmp_path: Path) -> None:
    """Where an incident of before the span still says errors, the report tells of them; it is not empty."""
    history = History()
    history.begin()
    history.see("shop", "process_crash", "error")
    opened_ms = history.now_ms
    history.log.now_ms += 5_000
    history.see("shop", "process_crash", "error", count=7)
    found = await told(history, tmp_path, datetime.fromtimestamp((opened_ms + 1) / 1_000, UTC).replace(tzinfo=None))
    assert (found.incidents, found.empty) == (0, False)
    assert [(one.name, one.count) for one in found.services] == [("shop", 7)]


async def test_only_the_span_counts(tmp_path: Path) -> None:
    """Incidents, escalations, actions and lines from before the span are left out; the newest decision is known."""
    found = await told(troubled(), tmp_path, since=END - timedelta(seconds=1))
    assert found.empty
    assert found.newest_at is not None
    assert found.newest_at < found.since_at
    with EventLog(tmp_path) as log:
        opened_at = log.query("SELECT max(detected_at) FROM tasks").item()
        last = report(log, opened_at - timedelta(milliseconds=1), END)
    assert (last.incidents, last.auto_fix.of, last.strategies) == (1, 1, ())


async def test_what_is_healed_escalated_and_falsely_fired_is_told(tmp_path: Path) -> None:
    """Of eight incidents one was healed, six given to a person, two needed nothing, and one category has all."""
    found = await told(troubled(), tmp_path)
    assert (found.incidents, found.open) == (8, 2)
    assert (found.auto_fix.count, found.escalation.count, found.false_fire.count) == (1, 6, 2)
    assert found.repair.median_seconds == 126.0
    assert [one.name for one in found.repair_times] == ["2 to 5 min"]
    assert (found.categories[0].name, found.categories[0].share) == ("process", 1.0)
    assert (found.services[0].name, found.services[0].count) == ("shop", 12)
    assert {one.strategy: one.success.share for one in found.strategies} == {"restart": 0.0, "isolate": 1.0}


async def test_what_precedes_a_cause_is_told_and_what_happens_anyway_is_not(tmp_path: Path) -> None:
    """A policy before each of six crashes stands out; incidents all the time do not, though they precede some too."""
    found = await told(returning(), tmp_path)
    known = {(one.pattern, one.service): one for one in found.causes}
    crash, lock = known["process_crash", "cart"], known["database_lock", "mail"]
    assert [(one.what, one.seen) for one in crash.before] == [("applied policy", ROUNDS)]
    assert crash.openings == crash.incidents == ROUNDS
    assert crash.before[0].expected < 1.5
    assert crash.before[0].chance < 1e-3
    assert lock.before == ()
    assert lock.incidents == 4 * ROUNDS


def rare(others: int) -> tuple[pl.DataFrame, pl.DataFrame, tuple[datetime, datetime]]:
    """Return twenty crashes of a week, two of them minutes after a new template, and other templates at other times."""
    at = [BEGUN + timedelta(hours=8 * place + 4) for place in range(20)]
    tasks = pl.DataFrame(
        {"id": range(1_000, 1_020), "service": "cart", "pattern": "crash", "opened_at": at, "closed_at": at}
    )
    near = [at[3] - timedelta(minutes=2), at[11] - timedelta(minutes=3)]
    far = [BEGUN + timedelta(minutes=place) for place in range(others)]
    what = ["seen"] * 2 + [f"other {place}" for place in range(others)]
    events = pl.DataFrame({"seq": range(len(what)), "what": what, "at": near + far}).with_columns(
        kind=pl.lit("template_new"), service=pl.lit("")
    )
    return tasks, events, (BEGUN, BEGUN + timedelta(days=7))


@pytest.mark.parametrize(("others", "told"), [(0, ["new template seen"]), (200, [])])
def test_what_could_have_preceded_counts_among_what_was_looked_at(others: int, told: list[str]) -> None:
    """Among two hundred events that might have come before a cause, one that did so twice by chance is no precursor."""
    (cause,) = causes(*rare(others))
    assert [one.what for one in cause.before] == told


def test_outcomes_before_the_span_are_not_in_its_first_part() -> None:
    """The first part begins at a round time; what was learnt before the span is known in it, and not counted."""
    begin = BEGUN + timedelta(minutes=7, seconds=30)
    at = [begin - timedelta(seconds=20), begin + timedelta(seconds=20)]
    lessons = pl.DataFrame(
        {"pattern": "crash", "service_type": "process", "action": ["a", "b"], "success": True, "learnt_at": at}
    )
    parts = over_time(NO_TASKS, lessons, (begin, begin + timedelta(hours=13)))
    assert parts[0].begin_at < at[0]
    assert (sum(one.successes for one in parts), parts[0].fixes_known) == (1, 2)


def test_escalations_of_no_incident_are_no_share() -> None:
    """Where people were asked about incidents from before the span only, they count, and are a share of nothing."""
    (one,) = named(pl.DataFrame({"status": ["pending"] * 3}), "status", 0)
    assert (one.name, one.count, one.share) == ("pending", 3, None)


@pytest.mark.parametrize("hours", [1, 13, 47.95, 143.9, 287.9, 1_000])
def test_a_span_has_no_more_parts_than_fit(hours: float) -> None:
    """However a span lies to the round times, it has 48 parts at most, and they reach to its end."""
    for late in range(0, 3_600, 299):
        begin = BEGUN + timedelta(seconds=late)
        parts = over_time(NO_TASKS, NO_LESSONS, (begin, begin + timedelta(hours=hours)))
        assert len(parts) <= BUCKETS_MAX
        assert parts[0].begin_at <= begin


async def test_a_cause_is_not_its_own_precursor(tmp_path: Path) -> None:
    """What comes again within minutes is one opening, and the incident before is no precursor of the next."""
    found = await told(troubled(), tmp_path)
    (cause,) = found.causes
    assert (cause.service, cause.pattern, cause.incidents, cause.recurred) == ("shop", "process_crash", 6, 5)
    assert (cause.openings, cause.before) == (1, ())


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(count: int, of: int, low: float, high: float) -> None:
    """The examples of R. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    found = rate(count, of)
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interval_holds_its_share(count: int, more: int) -> None:
    """Whatever was counted, the interval is within 0 to 1 and the share within the interval; none of nothing."""
    found = rate(count, count + more)
    if found.share is None or found.low is None or found.high is None:
        assert count + more == 0
        return
    assert 0 <= found.low <= found.share <= found.high <= 1


@given(st.integers(1, 60), st.data(), st.floats(0.001, 0.999))
def test_chance_is_the_binomial_tail(of: int, data: st.DataObject, probability: float) -> None:
    """It is what adding up the terms one by one gives."""
    seen = data.draw(st.integers(0, of))
    terms = (math.comb(of, k) * probability**k * (1 - probability) ** (of - k) for k in range(seen, of + 1))
    assert chance_of(seen, of, probability) == pytest.approx(math.fsum(terms), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_chance_of_what_never_or_always_happens(probability: float, expected: float) -> None:
    """What never happens is not seen by chance, and what always does is no surprise."""
    assert chance_of(3, 5, probability) == expected
