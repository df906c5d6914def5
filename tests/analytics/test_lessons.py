"""What was learnt, as views: every outcome, and what helps against what."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import EventLog
from streams.catalogue import strategies
from tests.analytics.archive import archive
from tests.analytics.history import History, wander

FOUR = """
SELECT count(*) AS total_patterns, avg(success_count) AS avg_successes, avg(total_attempts) AS avg_attempts,
       round(avg(100.0 * success_count / nullif(total_attempts, 0)), 1) AS avg_success_rate
FROM fix_patterns
"""
"""The question of learning growth (SPEC L4)."""


async def test_each_verified_outcome_is_a_lesson(told: tuple[History, EventLog]) -> None:
    """What was healed is a success of its command, with the confidence that the fold has in it since."""
    history, log = told
    rows = log.query(
        "SELECT command, pattern, service_type, action, success, outcomes FROM lessons ORDER BY seq"
    ).rows()
    assert rows == [
        (history.commands[0].id, "process_crash", "process", "process.restart", True, 1),
        (history.commands[1].id, "database_lock", "process", "process.kill_blocker", True, 1),
    ]
    said = [
        figure.value
        for decision in history.decisions
        for figure in decision.figures
        if figure.name == "learnt_confidence"
    ]
    assert log.query("SELECT confidence FROM lessons ORDER BY seq")["confidence"].to_list() == said


async def test_fix_patterns_have_what_is_shipped_and_what_was_tried(told: tuple[History, EventLog]) -> None:
    """A shipped fix keeps its confidence until it is tried; a command is shown with its arguments."""
    _, log = told
    rows = {
        row["fix_command"]: row
        for row in log.query(
            "FROM fix_patterns WHERE error_pattern = 'database_lock' AND fix_command LIKE '%kill%'"
        ).to_dicts()
    }
    assert set(rows) == {"process.kill_blocker lock_file=/run/x.db", "systemd.kill_blocker"}
    tried, untried = rows["process.kill_blocker lock_file=/run/x.db"], rows["systemd.kill_blocker"]
    assert (untried["confidence"], untried["total_attempts"]) == (0.85, 0)
    assert (tried["success_count"], tried["failure_count"], tried["total_attempts"]) == (1, 0, 1)
    assert tried["confidence"] > 0.85
    assert tried["updated_at"] > tried["created_at"] == untried["created_at"] == untried["updated_at"]


async def test_a_pattern_a_type_and_an_action_are_one_row(told: tuple[History, EventLog]) -> None:
    """Hashes and ids are unique, and every shipped fix is there."""
    _, log = told
    rows = log.query(
        "SELECT count(*), count(DISTINCT pattern_hash), count(DISTINCT id), max(id) FROM fix_patterns"
    ).row(0)
    assert rows == (len(strategies().fixes),) * 4


async def test_learning_growth_can_be_asked(told: tuple[History, EventLog]) -> None:
    """The question of the sources is answered without a division by zero."""
    _, log = told
    total, successes, attempts, rate = log.query(FOUR).row(0)
    assert (total, rate) == (len(strategies().fixes), 100.0)
    assert successes == attempts == pytest.approx(2 / total)


@pytest.mark.parametrize("seed", range(3))
async def test_fix_patterns_agree_with_the_fold(tmp_path: Path, seed: int) -> None:
    """Whatever happened, attempts are as many as the outcomes that the fold counts."""
    history = wander(seed, facts=250)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query(
            "SELECT pattern || '|' || service_type, action, count(*), bool_or(success) FROM lessons GROUP BY ALL"
        ).rows()
        attempts = log.query("SELECT sum(total_attempts) FROM fix_patterns").item()
    known = history.fold._state.lessons.known
    assert {(place, action): count for place, action, count, _ in rows} == {
        (place, action): lesson.outcomes for place, actions in known.items() for action, lesson in actions.items()
    }
    assert attempts == sum(count for *_, count, _ in rows)
