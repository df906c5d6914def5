"""In SQL: what is stuck, with the attempts that show it, and what actions may do on their own."""

from __future__ import annotations

from pathlib import Path

from analytics.views import EventLog
from streams.core.config import Policy
from tests.analytics.archive import archive
from tests.analytics.crew import answer
from tests.analytics.history import History
from tests.analytics.struggle import FAILURES, apply, struggle


async def told(directory: Path) -> tuple[History, EventLog]:
    """Return a history in which a service got stuck and was released, and its event log."""
    history = History()
    history.begin()
    history.heal("shop")
    struggle(history)
    await archive(history, directory)
    return history, EventLog(directory)


async def test_what_is_stuck_is_a_row_with_its_attempts(tmp_path: Path) -> None:
    """A stuck pattern tells its figures, and each attempt with its action and how it ended, newest first."""
    history, log = await told(tmp_path)
    with log:
        (row,) = log.query("FROM stuck WHERE part = 'pattern'").to_dicts()
    assert (row["name"], row["service"], row["pattern"]) == ("process_crash on shop", "shop", "process_crash")
    assert (row["attempts"], row["failures"], row["success_rate"]) == (FAILURES, FAILURES, 0)
    sent = [one.id for one in history.commands if one.kind == "recovery"]
    assert [one["command"] for one in row["evidence"]] == list(reversed(sent[-FAILURES:]))
    assert {(one["action"], one["ended_as"], one["verified"]) for one in row["evidence"]} == {
        ("process.restart", "done failed exit_1", False)
    }
    assert row["last_success_at"] < row["stuck_at"]
    assert row["causes"]


async def test_it_tells_who_released_it_and_what_was_escalated(tmp_path: Path) -> None:
    """The incident of the last failure and two later ones were a person's, who then released it."""
    _, log = await told(tmp_path)
    with log:
        rows = log.query("SELECT part, escalations, released_because, released_at > stuck_at FROM stuck ORDER BY seq")
    assert rows.rows() == [
        ("pattern", 3, "resumed by ann", True),
        ("strategy", 0, "resumed by ann", True),
    ]


async def test_a_specialist_has_the_attempts_of_its_plans(tmp_path: Path) -> None:
    """The evidence against a specialist is the act of the plan that it led."""
    history = History()
    history.begin()
    apply(history, Policy(stuck_failures=1, exploration_rate=0.0, blast_radius_share=1.0))
    answered = len(history.commands)
    history.see("shop", "database_connection")
    while answered < len(history.commands):
        answer(history, history.commands[answered], fails=True)
        answered += 1
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        (row,) = log.query("FROM stuck WHERE part = 'specialist'").to_dicts()
    assert row["name"] == "specialist error-detective"
    (acted,) = [one for one in history.commands if one.kind == "recovery"]
    assert [one["command"] for one in row["evidence"]] == [acted.id]


async def test_autonomy_tells_what_an_action_may_do(tmp_path: Path) -> None:
    """After three failures a restart needs a person, with the figures that say why."""
    _, log = await told(tmp_path)
    with log:
        (row,) = log.query("FROM autonomy").to_dicts()
    assert (row["pattern"], row["service_type"], row["action"]) == ("process_crash", "process", "process.restart")
    assert (row["level_before"], row["level"], row["changes"]) == ("auto", "approve", 1)
    assert row["success_at_least"] < 0.57
    assert row["failures"] > row["successes"] > 0
