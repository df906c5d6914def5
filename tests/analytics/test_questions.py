"""The four questions: in portable SQL, as macros, and as they were written for SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from analytics.views import EventLog
from tests.analytics.archive import archive
from tests.analytics.people import lived

PORTABLE: Final = {
    "auto_fix_rate": """
SELECT count(*) AS total, count(*) FILTER (fix_successful) AS fixed,
       round(100.0 * count(*) FILTER (fix_successful) / nullif(count(*), 0), 1) AS fix_rate
FROM tasks WHERE detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY;
""",
    "escalation_rate": """
SELECT count(*) AS total_escalations, status,
       round(100.0 * count(*) / nullif((SELECT count(*) FROM tasks WHERE detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY), 0), 1) AS escalation_rate
FROM escalations WHERE created_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY GROUP BY status ORDER BY status;
""",  # noqa: E501 - as it is written down
    "phase_breakdown": """
SELECT fix_message, count(*) AS count
FROM tasks WHERE fix_successful AND detected_at > (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY GROUP BY fix_message ORDER BY count DESC;
""",  # noqa: E501 - as it is written down
    "learning_growth": """
SELECT count(*) AS total_patterns, avg(success_count) AS avg_successes, avg(total_attempts) AS avg_attempts,
       round(avg(100.0 * success_count / nullif(total_attempts, 0)), 1) AS avg_success_rate
FROM fix_patterns;
""",
}
SQLITE: Final = {
    "auto_fix_rate": """
SELECT COUNT(*) as total,
       SUM(CASE WHEN fix_successful = 1 THEN 1 ELSE 0 END) as fixed,
       ROUND(100.0 * SUM(CASE WHEN fix_successful = 1 THEN 1 ELSE 0 END) / COUNT(*), 1) as fix_rate
FROM tasks WHERE detected_at > datetime('now', '-7 days');
""",
    "escalation_rate": """
SELECT COUNT(*) as total_escalations, status,
       ROUND(100.0 * COUNT(*) / (SELECT COUNT(*) FROM tasks WHERE detected_at > datetime('now', '-7 days')), 1)
           as escalation_rate
FROM escalations WHERE created_at > datetime('now', '-7 days') GROUP BY status;
""",
    "phase_breakdown": """
SELECT fix_message, COUNT(*) as count
FROM tasks WHERE fix_successful = 1 AND detected_at > datetime('now', '-7 days')
GROUP BY fix_message ORDER BY count DESC;
""",
    "learning_growth": """
SELECT COUNT(*) as total_patterns, AVG(success_count) as avg_successes, AVG(total_attempts) as avg_attempts,
       ROUND(AVG(success_count * 100.0 / total_attempts), 1) as avg_success_rate
FROM fix_patterns;
""",
}
FORMS: Final = {
    "portable": PORTABLE,
    "macro": {name: f"FROM {name}()" for name in PORTABLE},
    "sqlite": SQLITE,
}
ANSWERS: Final[dict[str, list[Any]]] = {
    "auto_fix_rate": [(3, 2, 66.7)],
    "escalation_rate": [(1, "pending", 33.3), (1, "resolved", 33.3)],
    "phase_breakdown": [("phase 1: quick fix", 1), ("phase 4: person", 1)],
}


@pytest.fixture(scope="module")
async def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of a week: one incident healed, one that a person fixed, one that a person has not yet."""
    return await archive(lived(), tmp_path_factory.mktemp("week"))


@pytest.mark.parametrize("question", ANSWERS)
@pytest.mark.parametrize("form", FORMS)
async def test_a_question_is_answered(week: Path, form: str, question: str) -> None:
    """However it is asked, a question has one answer, which is what the history holds."""
    with EventLog(week) as log:
        assert sorted(log.query(FORMS[form][question]).rows()) == ANSWERS[question]


@pytest.mark.parametrize("form", FORMS)
async def test_learning_growth_is_answered(week: Path, form: str) -> None:
    """The fourth question counts the known patterns, and rates those that were tried, not those that were not."""
    with EventLog(week) as log:
        ((patterns, successes, attempts, rate),) = log.query(FORMS[form]["learning_growth"]).rows()
        tried = log.query("SELECT sum(success_count), sum(total_attempts) FROM fix_patterns").rows()[0]
        rated = log.query(
            "SELECT round(avg(100.0 * success_count / total_attempts), 1) FROM fix_patterns WHERE total_attempts > 0"
        ).item()
    assert patterns > 50
    assert (round(successes * patterns), round(attempts * patterns)) == tried
    assert rate == rated
    assert 0 < rate < 100


@pytest.mark.parametrize("form", FORMS)
async def test_the_questions_of_an_empty_log(tmp_path: Path, form: str) -> None:
    """With nothing in the log no question divides by nothing: there is no rate."""
    with EventLog(tmp_path) as log:
        ((total, fixed, rate),) = log.query(FORMS[form]["auto_fix_rate"]).rows()
        assert (total, fixed or 0, rate) == (0, 0, None)
        assert log.query(FORMS[form]["escalation_rate"]).rows() == []
        assert log.query(FORMS[form]["phase_breakdown"]).rows() == []
        assert log.query(FORMS[form]["learning_growth"]).rows() == [(0, None, None, None)]


async def test_days_can_be_chosen(week: Path) -> None:
    """Incidents of before the days that are asked for do not count."""
    with EventLog(week) as log:
        begun = log.query("SELECT max(detected_at) FROM tasks").item()
    with EventLog(week, begun.replace(year=begun.year + 1)) as log:
        assert log.query("FROM auto_fix_rate()").row(0)[0] == 0
        assert log.query("FROM auto_fix_rate(days := 400)").row(0)[0] == 3
        assert log.query("FROM escalation_rate(days := 400)").height == 2
        assert log.query(SQLITE["phase_breakdown"]).is_empty()
        assert log.query("FROM phase_breakdown(days := 400)").height == 2
