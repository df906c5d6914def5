"""What the views tell: every column, times, and incidents, actions and lines as the fold has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from msgspec.structs import replace

from analytics.views import VIEWS, EventLog
from tests.analytics.ahead import see_coming
from tests.analytics.archive import archive
from tests.analytics.consulting import consult
from tests.analytics.crew import work_together
from tests.analytics.history import History, story, wander
from tests.analytics.people import take_part
from tests.analytics.struggle import struggle
from tests.analytics.test_erasure import erased

NAMED_BY_OTHERS: Final = {"last_checked", "last_success", "timestamp"}
"""Times in tables whose columns we did not choose."""


async def test_an_empty_log_has_every_column(tmp_path: Path) -> None:
    """The views of an empty log have the columns and types of a full one."""
    with EventLog(tmp_path) as log:
        empty = {view: log.query(f"FROM {view}") for view in VIEWS}
    assert all(frame.is_empty() for frame in empty.values())
    history = History()
    history.begin()
    see_coming(history)
    work_together(history, "shop", "database_connection")
    consult(history)
    struggle(history, "cart")
    for _ in range(2):
        history.measure("shop", 100.0)
        history.log.now_ms += 60_000
    history.shed(3, 2, 1)
    take_part(history)
    await erased(story(history), tmp_path)
    with EventLog(tmp_path) as log:
        full = {view: log.query(f"FROM {view}") for view in VIEWS}
    assert {view: frame.schema for view, frame in full.items()} == {view: one.schema for view, one in empty.items()}
    assert [view for view, frame in full.items() if frame.is_empty()] == []


async def test_what_was_shed_is_a_row(tmp_path: Path) -> None:
    """A slice of which something was left out says how much; others have no row."""
    history = History()
    history.begin()
    history.calm("shop", 5)
    begin = history.next_offset("logs")
    history.shed(9, 5, 2)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        found = log.query("SELECT topic, from_offset, to_offset, lines, templates, texts FROM shed").rows()
    assert found == [("logs", begin, begin + 9, 9, 5, 2)]


async def test_times_are_utc_without_a_zone(told: tuple[History, EventLog]) -> None:
    """Every time in every view is a TIMESTAMP, and says what UTC says."""
    history, log = told
    for view in VIEWS:
        for name, kind in log.query(f"FROM {view}").schema.items():
            assert not isinstance(kind, pl.Datetime) or kind.time_zone is None
            assert (name in NAMED_BY_OTHERS or name.endswith("_at")) == isinstance(kind, pl.Datetime), (view, name)
    (caused,) = log.query("SELECT caused_at FROM decisions WHERE seq = 0").row(0)
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=history.decisions[0].append_ms)
    assert caused.replace(tzinfo=UTC) == expected


async def test_a_mad_stamp_is_no_time(tmp_path: Path) -> None:
    """A stamp that no calendar holds is NULL, and does not end the query."""
    history = History()
    history.begin()
    history.log.now_ms = 1 << 62
    history.see("shop", "process_crash")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT first_at FROM detections").row(0) == (None,)


async def test_incidents_tell_their_story(told: tuple[History, EventLog]) -> None:
    """An incident is one row: what it was, what was done, and how it ended."""
    _, log = told
    rows = log.query("FROM incidents ORDER BY first_seq").to_dicts()
    assert [(row["service"], row["status"], row["healed"], row["actions"]) for row in rows] == [
        ("shop", "healed", True, ["process.restart"]),
        ("cart", "healed", True, ["process.kill_blocker"]),
        ("mail", "open", False, []),
    ]
    assert rows[0]["healed_seconds"] == 126.0
    assert rows[2]["withheld_because"] == "not_halted"
    assert rows[0]["patterns"] == ["process_crash"]


async def test_healing_tells_what_was_done_where_and_whether_it_helped(told: tuple[History, EventLog]) -> None:
    """A command is one row; what the fold verified is verified, with the time of that decision."""
    history, log = told
    rows = log.query("SELECT host, service, action, verified, verified_at IS NOT NULL FROM healing ORDER BY sent_at")
    done = [(command.host, command.service, command.action) for command in history.commands]
    assert rows.rows() == [(*one, True, True) for one in done]
    assert [service for _, service, _ in done] == ["shop", "cart"]


@pytest.mark.parametrize("seed", range(3))
async def test_healing_agrees_with_the_fold(tmp_path: Path, seed: int) -> None:
    """Whatever happened, an action is one row, true or false as its verification was decided, or its outcome failed."""
    history = wander(seed, facts=250)
    await archive(history, tmp_path)
    judged = {one.refers_to: one.kind == "verified" for one in history.decisions if one.kind.startswith("verif")}
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT command, verified, ok FROM healing JOIN commands ON id = command").rows()
    acts = [command.id for command in history.commands if command.kind == "recovery"]
    assert sorted(command for command, _, _ in rows) == sorted(acts)
    for command, verified, ok in rows:
        assert verified is judged.get(command, None if ok is not False else False)


async def test_recoveries_tell_how_long_each_step_took(told: tuple[History, EventLog]) -> None:
    """A command's steps add up to the time from its decision to its outcome; the action's own time is among them."""
    history, log = told
    rows = log.query(
        "SELECT command, act_ms, dispatch_ms + take_ms + act_ms + tell_ms, total_ms, "
        "epoch_ms(reported_at - decided_at) FROM recoveries ORDER BY decided_at"
    ).rows()
    assert [command for command, *_ in rows] == [command.id for command in history.commands]
    for _, act_ms, steps_ms, total_ms, between_ms in rows:
        assert act_ms == 100
        assert steps_ms == total_ms == between_ms > 0


@pytest.mark.parametrize("seed", range(3))
async def test_incidents_agree_with_the_fold(tmp_path: Path, seed: int) -> None:
    """What the view calls open, acting, verifying or escalated is what the fold's own state says."""
    history = wander(seed, facts=250)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT id, status FROM incidents WHERE closed_at IS NULL").rows()
    assert dict(rows) == {one.id: one.status for one in history.fold._state.incidents.by_id.values()}


async def test_every_option_and_gate_is_a_row(told: tuple[History, EventLog]) -> None:
    """Options and gates are as many as in the decisions, and one option of each command is the chosen one."""
    history, log = told
    counted = log.query("SELECT (SELECT count(*) FROM options), (SELECT count(*) FROM gates)").row(0)
    assert counted == (
        sum(len(decision.options) for decision in history.decisions),
        sum(len(decision.gates) for decision in history.decisions),
    )
    chosen = log.query("SELECT decision, action FROM options WHERE chosen AND kind = 'commanded'").rows()
    assert sorted(chosen) == sorted((command.id, command.action) for command in history.commands)


async def test_a_line_said_twice_is_one_line(tmp_path: Path) -> None:
    """Evidence that a second owner appended again is one row of ``lines``."""
    history = story()
    where = next(key for key in history.log.records if key.topic == history.topics.evidence)
    for record in list(history.log.records[where]):
        history.log.records[where].append(replace(record, offset=history.log.records[where][-1].offset + 1))
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT count(*), count(DISTINCT record_offset) FROM lines").row(0) == (6, 6)
