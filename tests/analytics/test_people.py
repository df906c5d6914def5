"""What people did, in SQL: escalations, mutes, tasks; and the four questions of the seeds."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest

from analytics.views import EventLog
from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied, Decision
from streams.core.requests import MuteLifted, MuteSet
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.analytics.people import answer, escalated, give

ESCALATIONS = {
    "id": "BIGINT",
    "task_id": "BIGINT",
    "issue_hash": "VARCHAR",
    "severity": "VARCHAR",
    "issue_type": "VARCHAR",
    "issue_source": "VARCHAR",
    "issue_service": "VARCHAR",
    "issue_message": "VARCHAR",
    "ai_attempts_count": "INTEGER",
    "ai_consensus": "VARCHAR",
    "ai_confidence": "DOUBLE",
    "ai_diagnosis": "VARCHAR",
    "recommended_action": "VARCHAR",
    "status": "VARCHAR",
    "assigned_to": "VARCHAR",
    "human_notes": "VARCHAR",
    "resolved_at": "TIMESTAMP",
    "resolution_method": "VARCHAR",
    "created_at": "TIMESTAMP",
    "last_checked": "TIMESTAMP",
    "github_issue_number": "INTEGER",
    "github_escalated_at": "TIMESTAMP",
}
TASKS = {
    "id": "BIGINT",
    "issue_hash": "VARCHAR",
    "issue_type": "VARCHAR",
    "issue_source": "VARCHAR",
    "issue_service": "VARCHAR",
    "issue_message": "VARCHAR",
    "severity": "VARCHAR",
    "status": "VARCHAR",
    "detected_at": "TIMESTAMP",
    "fix_successful": "BOOLEAN",
    "fix_message": "VARCHAR",
    "closed_at": "TIMESTAMP",
}
POOL_TASKS = {
    "task_id": "UUID",
    "agent_type": "VARCHAR",
    "description": "VARCHAR",
    "status": "VARCHAR",
    "created_at": "TIMESTAMP",
    "worker_id": "VARCHAR",
    "completed_at": "TIMESTAMP",
    "result": "JSON",
}
TASK_ID = "3f2b8c1e-0000-4000-8000-000000000001"
FOUR_QUESTIONS = {
    "fix_rate": """
SELECT count(*) AS total, count(*) FILTER (fix_successful) AS fixed,
       round(100.0 * count(*) FILTER (fix_successful) / nullif(count(*), 0), 1) AS fix_rate
FROM tasks WHERE detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY
""",
    "escalation_rate": """
SELECT count(*) AS total_escalations, status,
       round(100.0 * count(*) / nullif((SELECT count(*) FROM tasks
           WHERE detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY), 0), 1) AS escalation_rate
FROM escalations WHERE created_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY GROUP BY status ORDER BY status
""",
    "phases": """
SELECT fix_message, count(*) AS count
FROM tasks WHERE fix_successful AND detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY
GROUP BY fix_message ORDER BY count DESC
""",
    "learning": """
SELECT count(*) AS total_patterns, avg(success_count) AS avg_successes, avg(total_attempts) AS avg_attempts,
       round(avg(100.0 * success_count / nullif(total_attempts, 0)), 1) AS avg_success_rate
FROM fix_patterns
""",
}


def begun() -> History:
    """Return a history in which a phase has one attempt and nothing is explored."""
    history = History()
    history.begin()
    policy = Policy(
        coordination=False, cooldown_ms=2_000, exploration_rate=0.0, blast_radius_share=1.0, breaker_failures=100
    )
    body = canonical(policy)
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
    return history


def give_up(history: History, service: str) -> Decision:
    """Break a service so that no attempt helps; return the escalation."""
    history.see(service, "process_crash")
    for _ in range(3):
        history.outcome(history.commands[-1], ok=False)
        history.calm(service, 30)
    return escalated(history)


def lived() -> History:
    """Return a history: one incident healed, one given to a person who fixes it, one to a person who has not yet."""
    history = begun()
    history.heal("shop")
    first = give_up(history, "cart")
    answer(history, first, "acknowledged")
    answer(history, first, "assigned", assignee="bob")
    answer(history, first, "noted", reason="the disk is fine")
    answer(history, first, "resolved", method="process.restart", reason="by hand", author="bob")
    history.calm("cart", 200)
    give_up(history, "mail")
    return history


async def test_an_escalation_is_a_row(tmp_path: Path) -> None:
    """Its status, whose it is, what was said, how it was resolved and what was tried before are in its row."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM escalations ORDER BY id").to_dicts()
        kinds = dict(log.query("SELECT column_name, column_type FROM (DESCRIBE escalations)").rows())
    assert {name: kinds[name] for name in list(kinds)[: len(ESCALATIONS)]} == ESCALATIONS
    assert list(kinds)[: len(ESCALATIONS)] == list(ESCALATIONS)
    cart, mail = rows
    assert (cart["status"], cart["assigned_to"], cart["resolution_method"]) == ("resolved", "bob", "process.restart")
    assert cart["human_notes"] == "ann: the disk is fine\nbob: by hand"
    assert cart["resolved_at"] > cart["created_at"]
    assert cart["ai_attempts_count"] == 3
    assert (cart["issue_service"], cart["issue_type"], cart["issue_source"]) == ("cart", "process_crash", "logs")
    assert cart["issue_message"].startswith("cart broke: process_crash")
    assert (mail["status"], mail["resolved_at"], mail["ai_consensus"]) == ("pending", None, "none")
    assert mail["recommended_action"]
    assert cart["issue_hash"] != mail["issue_hash"]


async def test_an_escalation_whose_symptom_is_gone_is_resolved(tmp_path: Path) -> None:
    """When nobody answers and the incident is closed, it is auto_resolved from then on."""
    history = begun()
    give_up(history, "cart")
    history.calm("cart", 700)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        ((status, method, gone),) = log.query(
            "SELECT status, resolution_method, resolved_at IS NOT NULL FROM escalations"
        ).rows()
    assert (status, method, gone) == ("auto_resolved", None, True)


async def test_an_incident_is_a_task(tmp_path: Path) -> None:
    """Each incident has one row: whether it was fixed, in which phase; a person's fix is phase 4's."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT issue_service, status, fix_successful, fix_message FROM tasks ORDER BY id").rows()
        kinds = dict(log.query("SELECT column_name, column_type FROM (DESCRIBE tasks)").rows())
        same = log.query("SELECT count(*) FROM escalations JOIN tasks ON tasks.id = escalations.task_id").item()
    assert rows == [
        ("shop", "healed", True, "phase 1: quick fix"),
        ("cart", "healed", True, "phase 4: person"),
        ("mail", "escalated", None, None),
    ]
    assert dict(list(kinds.items())[: len(TASKS)]) == TASKS
    assert same == 2


async def test_a_persons_fix_is_a_lesson(tmp_path: Path) -> None:
    """What a person did and what came of it stands among the lessons, with the failures of the attempts before."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query(
            "SELECT action, success FROM lessons WHERE service = 'cart' AND action = 'process.restart' ORDER BY seq"
        ).rows()
        known = log.query(
            "SELECT success_count FROM fix_patterns WHERE error_pattern = 'process_crash' "
            "AND starts_with(fix_command, 'process.restart')"
        ).rows()
    assert rows[-1] == ("process.restart", True)
    assert known
    assert known[0][0] >= 1


async def test_a_mute_is_a_row(tmp_path: Path) -> None:
    """A mute has its times, who set it and why, how it ended, and how many decisions it held back."""
    history = begun()
    times = {"begin_ms": history.now_ms, "end_ms": history.now_ms + 60_000}
    history.say(MuteSet(kind="maintenance", service="shop", pattern="", author="ann", reason="release", **times))
    history.say(MuteSet(kind="silence", service="", pattern="disk*", author="bob", reason="", **times))
    first, second = [one.id for one in history.decisions if one.kind == "mute_set"]
    history.see("shop", "process_crash")
    history.say(MuteLifted(mute_id=first, author="ann", reason="done"))
    history.calm("mail", 70)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query(
            "SELECT id, kind, service, pattern, author, reason, ended_as, held_back FROM mutes ORDER BY seq"
        )
        ((seconds,),) = log.query("SELECT epoch(ends_at - begins_at) FROM mutes WHERE kind = 'silence'").rows()
    assert rows.rows() == [
        (first, "maintenance", "shop", "", "ann", "release", "lifted", 1),
        (second, "silence", "", "disk*", "bob", "", "over", 0),
    ]
    assert seconds == 60


async def test_a_task_of_the_pool_is_a_row(tmp_path: Path) -> None:
    """A task has what it is in words, who answered and what; one that was refused says so, a repeated one is one."""
    history = begun()
    history.outcome(history.commands[0]) if history.commands else history.refuse("1-0-0", "none")
    give(history, TASK_ID, text="say hello")
    give(history, TASK_ID, text="say hello again")
    history.outcome(history.commands[-1])
    give(history, "not-a-uuid", role="king")
    give(history, TASK_ID[:-1] + "2", role="coder")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT * REPLACE (CAST(task_id AS VARCHAR) AS task_id) FROM pool_tasks").to_dicts()
        kinds = dict(log.query("SELECT column_name, column_type FROM (DESCRIBE pool_tasks)").rows())
    assert dict(list(kinds.items())[: len(POOL_TASKS)]) == POOL_TASKS
    by_role = {row["agent_type"]: row for row in rows}
    assert len(rows) == 3
    done = by_role["critic"]
    assert (UUID(done["task_id"]), done["status"], done["worker_id"]) == (UUID(TASK_ID), "completed", "w1")
    assert done["description"] == "say hello"
    assert json.loads(done["result"]) == {"agent_type": "critic", "result": "exit_0"}
    assert (by_role["king"]["status"], by_role["king"]["task_id"]) == ("refused", None)
    assert (by_role["coder"]["status"], by_role["coder"]["result"]) == ("submitted", None)


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("fix_rate", [(3, 2, 66.7)]),
        ("escalation_rate", [(1, "pending", 33.3), (1, "resolved", 33.3)]),
        ("phases", [("phase 1: quick fix", 1), ("phase 4: person", 1)]),
    ],
)
async def test_the_four_questions_are_answered(tmp_path: Path, question: str, answers: list[object]) -> None:
    """The questions of the seeds, in their portable form, give what the history holds."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert sorted(log.query(FOUR_QUESTIONS[question]).rows()) == answers


async def test_learning_growth_is_answered(tmp_path: Path) -> None:
    """The fourth question counts the known patterns, and rates those that were tried."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        ((patterns, successes, attempts, rate),) = log.query(FOUR_QUESTIONS["learning"]).rows()
        tried = log.query("SELECT sum(success_count), sum(total_attempts) FROM fix_patterns").rows()[0]
    assert patterns > 50
    assert (round(successes * patterns), round(attempts * patterns)) == tried
    assert 0 < rate < 100


async def test_the_four_questions_of_an_empty_week(tmp_path: Path) -> None:
    """With nothing in the log no question divides by nothing."""
    with EventLog(tmp_path) as log:
        assert log.query(FOUR_QUESTIONS["fix_rate"]).rows() == [(0, 0, None)]
        assert log.query(FOUR_QUESTIONS["escalation_rate"]).rows() == []
        assert log.query(FOUR_QUESTIONS["phases"]).rows() == []
        assert log.query(FOUR_QUESTIONS["learning"]).rows() == [(0, None, None, None)]
