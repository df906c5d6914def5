"""The log that the benchmark of questions asks is a log: what it repeats is whole each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import EventLog
from benchmarks.queries import QUERIES, QUESTIONS, archived, measured
from benchmarks.repeating import repeat

TURNS = 3


@pytest.fixture(scope="module")
async def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a short log, and that log three times."""
    short, long = tmp_path_factory.mktemp("short"), tmp_path_factory.mktemp("long")
    await archived(short)
    with EventLog(short) as log:
        held = log.query("SELECT count(*) FROM decisions").item()
    repeat(short, long, TURNS * held)
    return short, long


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*), count(DISTINCT seq), count(DISTINCT id), max(seq) + 1 FROM decisions",
        "SELECT count(*), count(DISTINCT id) FROM incidents",
        "SELECT count(*) FROM commands AS c JOIN decisions AS d ON d.kafka_offset = c.decisions_offset AND d.id = c.id",
        "SELECT count(*) FROM facts JOIN decisions USING (facts_offset)",
        "SELECT count(*) FROM tasks WHERE issue_message LIKE '% broke: %'",
        "SELECT count(*) FROM healing WHERE verified",
        "SELECT sum(members), sum(findings) FROM plans",
        "SELECT count(*) FROM agent_consultations WHERE escalation_id IS NOT NULL OR helped",
        "SELECT sum(lines) FROM detections",
        "SELECT count(*) FROM pool_tasks WHERE command IS NOT NULL",
    ],
)
async def test_a_log_thrice_has_all_thrice(logs: tuple[Path, Path], sql: str) -> None:
    """What names something else still names one of its own turn: all counts are three times those of the short log."""
    short, long = logs
    with EventLog(short) as one, EventLog(long) as three:
        once = one.query(sql).row(0)
        assert all(once)
        assert three.query(sql).row(0) == tuple(TURNS * count for count in once)


async def test_the_benchmark_tells_what_it_asked(logs: tuple[Path, Path]) -> None:
    """Each question has its times and its rows, and those that are written down are all answered."""
    _, long = logs
    result = measured(long, 2, "queries.")
    assert [(len(one.seconds), one.said) for one in result.questions] == [(2, "")] * len(QUERIES)
    assert sum(one.rows > 0 for one in result.questions) == len(QUERIES)
    with EventLog(long) as log:
        assert [name for name, sql in QUESTIONS.items() if log.query(sql).width == 0] == []
