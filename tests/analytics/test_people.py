"""What people did, in SQL: escalations, mutes, tasks."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from analytics.views import EventLog
from streams.core.requests import BY_HAND, MuteLifted, MuteSet
from tests.analytics.archive import archive
from tests.analytics.people import begun, give, give_up, lived

TASK_ID = "3f2b8c1e-0000-4000-8000-000000000001"


async def test_an_escalation_is_a_row(tmp_path: Path) -> None:
    """Its status, whose it is, what was said, how it was resolved and what was tried before are in its row."""
    history = lived()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM escalations ORDER BY id").to_dicts()
    cart, mail = rows
    assert (cart["status"], cart["assigned_to"], cart["resolution_method"]) == ("resolved", "bob", "process.restart")
    assert cart["human_notes"] == "ann: the disk is fine\nbob: by hand"
    assert cart["resolved_at"] > cart["created_at"]
    assert cart["ai_attempts_count"] == 3
    assert (cart["issue_service"], cart["issue_type"], cart["issue_source"]) == ("cart", "process_crash", "logs")
    assert cart["issue_message"].startswith("cart broke: process_crash")
    assert (mail["status"], mail["resolved_at"], mail["ai_consensus"]) == ("pending", None, "none")
    assert mail["recommended_action"] == BY_HAND
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
        same = log.query("SELECT count(*) FROM escalations JOIN tasks ON tasks.id = escalations.task_id").item()
    assert rows == [
        ("shop", "healed", True, "phase 1: quick fix"),
        ("cart", "healed", True, "phase 4: person"),
        ("mail", "escalated", None, None),
    ]
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
    by_role = {row["agent_type"]: row for row in rows}
    assert len(rows) == 3
    done = by_role["critic"]
    assert (UUID(done["task_id"]), done["status"], done["worker_id"]) == (UUID(TASK_ID), "completed", "w1")
    assert done["description"] == "say hello"
    assert json.loads(done["result"]) == {"agent_type": "critic", "result": "exit_0"}
    assert (by_role["king"]["status"], by_role["king"]["task_id"]) == ("refused", None)
    assert (by_role["coder"]["status"], by_role["coder"]["result"]) == ("submitted", None)
