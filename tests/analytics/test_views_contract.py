"""The tables of the sources, as views: their columns and types, and what the two newest of them tell."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from analytics.views import VIEWS, EventLog
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied
from tests.analytics.archive import archive
from tests.analytics.consulting import consult, fail, opine, report
from tests.analytics.crew import work_together
from tests.analytics.history import History, spec, story
from tests.analytics.people import answer, begun, give_up

CONTRACT: Final = {
    "fix_patterns": """
        id BIGINT · pattern_hash VARCHAR · error_pattern VARCHAR · fix_command VARCHAR · confidence DOUBLE ·
        success_count BIGINT · failure_count BIGINT · total_attempts BIGINT · created_at TIMESTAMP ·
        updated_at TIMESTAMP
    """,
    "fix_attempts": """
        id BIGINT · service_name VARCHAR · error_description VARCHAR · fix_applied VARCHAR · success BOOLEAN ·
        verification_time INTEGER · created_at TIMESTAMP
    """,
    "performance_metrics": """
        id BIGINT · agent_name VARCHAR · success_rate DOUBLE · total_attempts BIGINT · consecutive_failures BIGINT ·
        last_success TIMESTAMP · created_at TIMESTAMP
    """,
    "service_health": """
        id BIGINT · service_name VARCHAR · service_type VARCHAR · status VARCHAR · score DOUBLE · cpu DOUBLE ·
        memory DOUBLE · disk DOUBLE · network DOUBLE · error_rate DOUBLE · response_time DOUBLE · throughput DOUBLE ·
        availability DOUBLE · temperature DOUBLE · power DOUBLE · cache_hit_rate DOUBLE · queue_depth DOUBLE ·
        created_at TIMESTAMP
    """,
    "tasks": """
        id BIGINT · issue_hash VARCHAR · issue_type VARCHAR · issue_source VARCHAR · issue_service VARCHAR ·
        issue_message VARCHAR · severity VARCHAR · status VARCHAR · detected_at TIMESTAMP · fix_successful BOOLEAN ·
        fix_message VARCHAR · closed_at TIMESTAMP
    """,
    "pool_tasks": """
        task_id UUID · agent_type VARCHAR · description VARCHAR · status VARCHAR · created_at TIMESTAMP ·
        worker_id VARCHAR · completed_at TIMESTAMP · result JSON
    """,
    "escalations": """
        id BIGINT · task_id BIGINT · issue_hash VARCHAR · severity VARCHAR · issue_type VARCHAR · issue_source VARCHAR ·
        issue_service VARCHAR · issue_message VARCHAR · ai_attempts_count INTEGER · ai_consensus VARCHAR ·
        ai_confidence DOUBLE · ai_diagnosis VARCHAR · recommended_action VARCHAR · status VARCHAR ·
        assigned_to VARCHAR · human_notes VARCHAR · resolved_at TIMESTAMP · resolution_method VARCHAR ·
        created_at TIMESTAMP · last_checked TIMESTAMP · github_issue_number INTEGER · github_escalated_at TIMESTAMP
    """,
    "agent_consultations": """
        id BIGINT · escalation_id BIGINT · task_id BIGINT · agent_name VARCHAR · diagnosis VARCHAR · confidence DOUBLE ·
        suggested_fix VARCHAR · vote VARCHAR · execution_time_seconds DOUBLE · timestamp TIMESTAMP
    """,
}
"""Columns and types as the sources name them; a view may have more of ours behind them."""
COLUMNS: Final = [(view, *part.split()) for view, text in CONTRACT.items() for part in text.split("·")]


def described(log: EventLog, view: str) -> dict[str, str]:
    """Return a view's columns with their types."""
    return dict(log.query(f"SELECT column_name, column_type FROM (DESCRIBE {view})").rows())


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Return the columns of every view of the contract."""
    with EventLog(tmp_path_factory.mktemp("none")) as log:
        return {view: described(log, view) for view in CONTRACT}


@pytest.mark.parametrize(("view", "column", "kind"), COLUMNS)
def test_a_column_is_there(columns: dict[str, dict[str, str]], view: str, column: str, kind: str) -> None:
    """A column that the sources name is there, under that name and with that type."""
    assert columns[view].get(column) == kind


def test_the_named_columns_come_first(columns: dict[str, dict[str, str]]) -> None:
    """The columns of the sources stand before ours, in the order in which they were named."""
    for view in CONTRACT:
        named = [column for name, column, _ in COLUMNS if name == view]
        assert list(columns[view])[: len(named)] == named


async def test_an_executed_action_is_an_attempt(tmp_path: Path) -> None:
    """What was carried out is a row: for which line, how, whether it helped; NULL until that is known."""
    history = begun()
    history.heal("shop")
    history.see("cart", "process_crash")
    history.outcome(history.commands[-1], ok=False)
    history.calm("cart", 5)
    history.see("mail", "process_crash")
    history.outcome(history.commands[-1])
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM fix_attempts ORDER BY id").to_dicts()
    assert [(row["service_name"], row["success"]) for row in rows][:2] == [("shop", True), ("cart", False)]
    assert (rows[-1]["service_name"], rows[-1]["success"]) == ("mail", None)
    assert rows[0]["error_description"].startswith("shop broke: process_crash")
    assert rows[0]["fix_applied"] == "process.restart"
    assert {row["verification_time"] for row in rows} == {60}


async def test_what_was_refused_is_no_attempt(tmp_path: Path) -> None:
    """A command that nobody carried out is not among the attempts."""
    history = begun()
    history.see("shop", "process_crash")
    history.refuse(history.commands[-1].id, "halted", seq=history.commands[-1].seq)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT count(*) FROM commands").item() > 0
        assert log.query("FROM fix_attempts").is_empty()


async def test_an_attempt_tells_when_it_is_looked_at(tmp_path: Path) -> None:
    """The time of verification is that of the policy under which the action was decided."""
    history = begun()
    history.heal("shop")
    body = canonical(Policy(coordination=False, exploration_rate=0.0, blast_radius_share=1.0, verify_after_ms=90_000))
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
    history.heal("cart")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT service_name, verification_time FROM fix_attempts ORDER BY id").rows()
    assert rows == [("shop", 60), ("cart", 90)]


async def test_parties_are_measured_by_what_came_of_it(tmp_path: Path) -> None:
    """Each outcome is a sample of whoever had a part in it, with the running figures of that party up to then."""
    history = History()
    history.begin()
    work_together(history, "shop", "database_connection")
    consult(history)
    await archive(story(history), tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM performance_metrics ORDER BY id").to_dicts()
        learnt = dict(log.query("SELECT strategy, count(*) FROM lessons GROUP BY ALL").rows())
        latest = log.query("SELECT party, agent_name, max(total_attempts) FROM performance_metrics GROUP BY ALL").rows()
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    assert {name: count for party, name, count in latest if party == "strategy"} == learnt
    assert {party for party, _, _ in latest} == {"strategy", "worker", "specialist", "advisor"}
    mine = [row for row in rows if (row["party"], row["agent_name"]) == ("worker", "w1")]
    assert [row["total_attempts"] for row in mine] == list(range(1, len(mine) + 1))
    first, second = mine[0], mine[1]
    assert (first["success_rate"], first["consecutive_failures"], first["last_success"]) == (0.0, 1, None)
    assert (second["success_rate"], second["consecutive_failures"]) == (0.5, 0)
    assert second["last_success"] == second["created_at"]


async def test_workers_of_one_name_are_as_many_as_their_hosts(tmp_path: Path) -> None:
    """Pools number their workers alike: what one of them did says nothing of its namesake on another host."""
    history = History()
    history.begin()
    body = canonical(Inventory(services=(spec("shop"), replace(spec("cart"), host="h2"))))
    history.say(ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body))
    history.heal("shop")
    history.heal("cart")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query(
            "SELECT host, agent_name, total_attempts FROM performance_metrics WHERE party = 'worker' ORDER BY id"
        ).rows()
    assert rows == [("h1", "w1", 1), ("h2", "w1", 1)]


async def test_a_false_alarm_is_counted(tmp_path: Path) -> None:
    """An incident that a person calls a false alarm after it was acted on fired needlessly; a healed one did not."""
    history = begun()
    history.heal("shop")
    answer(history, give_up(history, "cart"), "resolved", method="false_alarm")
    history.calm("cart", 700)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        ((closed, called, needless, rate),) = log.query(
            "SELECT closed, called_false, needless, false_fire_rate FROM false_fire WHERE pattern IS NULL"
        ).rows()
    assert (closed, called, needless, rate) == (2, 1, 1, 0.5)


async def test_figures_of_incidents_agree(tmp_path: Path) -> None:
    """Time to repair, recurrence, success and blocks count the same incidents, attempts and gates as their sources."""
    history = begun()
    history.heal("shop")
    history.heal("shop")
    give_up(history, "cart")
    await archive(story(history), tmp_path)
    with EventLog(tmp_path) as log:
        healed, seconds = log.query("SELECT healed, mean_seconds FROM mttr WHERE service IS NULL").row(0)
        assert (healed, seconds) == log.query(
            "SELECT count(*), round(avg(healed_seconds), 3) FROM incidents WHERE healed"
        ).row(0)
        assert log.query("SELECT recurred, recurred_healed FROM recurrence WHERE service = 'shop'").row(0) == (2, 2)
        assert log.query("SELECT sum(attempts), sum(verified), sum(failed) FROM verified_success").row(0) == log.query(
            "SELECT count(*), count(*) FILTER (success), count(*) FILTER (NOT success) FROM fix_attempts"
        ).row(0)
        blocks = log.query("SELECT seq, gate FROM guardrail_blocks ORDER BY ALL").rows()
        assert blocks == log.query("SELECT seq, gate FROM gates WHERE NOT passed ORDER BY ALL").rows()
        assert ("not_halted") in [gate for _, gate in blocks]


async def test_votes_and_costs_agree_with_the_opinions(tmp_path: Path) -> None:
    """A question has as many votes as opinions in time, and its costs are theirs."""
    history = History()
    history.begin()
    consult(history)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        voted = log.query("SELECT question, answers, action FROM votes WHERE verdict IS NOT NULL ORDER BY seq").rows()
        given = log.query(
            "SELECT question, count(*) FROM agent_consultations WHERE vote <> 'late' GROUP BY ALL ORDER BY min(id)"
        ).rows()
        spent = log.query("SELECT sum(tokens), round(sum(cost_usd), 6), sum(opinions) FROM cost").row(0)
        owed = log.query("SELECT sum(tokens), round(sum(cost_usd), 6), count(*) FROM agent_consultations").row(0)
    assert [(question, answers) for question, answers, _ in voted if answers] == given
    assert voted[0][2] == "process.start"
    assert spent == owed


async def test_only_what_was_answered_without_a_model_is_saved(tmp_path: Path) -> None:
    """Research and memory spare a request; what a model was asked for in vain, or was not answered at all, does not."""
    history = History()
    history.begin()
    consult(history)  # with one opinion of a model whose budget is used up
    report(history)
    fail(history, "mail")
    opine(history, "root_cause", "process.restart", 0.3, source="research")
    opine(history, "proven_fix", "process.restart", 0.9, source="cache")
    opine(history, "unusual_causes", "", 0.0, code="timed_out", source="none")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        told = log.query("SELECT sum(saved)::BIGINT FROM cost").item()
        vain = log.query("SELECT count(*) FROM agent_consultations WHERE source = 'none'").item()
    assert (told, vain) == (2, 2)


async def test_the_timeline_is_whole_and_in_order(tmp_path: Path) -> None:
    """Every decision but the minutes' own is in the timeline, after what caused it."""
    history = story()
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM timeline ORDER BY facts_offset, seq NULLS FIRST").to_dicts()
    routine = {"assessed", "predicted", "forecast"}
    told = [row["about"] for row in rows if row["source"] == "decision"]
    assert told == [one.id for one in history.decisions if one.kind not in routine]
    ended = next(place for place, row in enumerate(rows) if row["what"] == "command_ended")
    assert rows[ended - 1]["source"] == "outcome"


def test_every_view_of_the_contract_is_one() -> None:
    """No view of the contract is missing from the list of views."""
    assert set(CONTRACT) <= set(VIEWS)
