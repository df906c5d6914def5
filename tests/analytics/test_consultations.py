"""What advisors said, as views: each opinion with its vote, and how good each advisor is."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.tables import SCHEMAS
from analytics.views import EventLog
from analytics.why import why
from analytics.why_text import render
from tests.analytics.archive import archive
from tests.analytics.consulting import QUICK, RATIONALE, consult, fail, opine, report
from tests.analytics.history import History
from tests.analytics.struggle import apply


async def told(directory: Path) -> tuple[History, EventLog]:
    """Return the log of an incident healed by advice, and of one that advisors did not agree on."""
    history = History()
    history.begin()
    consult(history)
    await archive(history, directory)
    return history, EventLog(directory)


async def test_an_opinion_is_a_row(tmp_path: Path) -> None:
    """Each opinion has its advisor, phase, suggestion, vote, and why it abstained."""
    _, log = await told(tmp_path)
    with log:
        rows = log.query(
            "SELECT agent_name, phase, suggested_fix, vote, because, verdict FROM agent_consultations ORDER BY id"
        ).rows()
    assert rows == [
        ("root_cause", 2, "process.start", "for", None, "1 of 1: process.start"),
        ("proven_fix", 2, "process.start", "late", None, "1 of 1: process.start"),
        ("root_cause", 2, "process.restart", "against", None, "too unsure"),
        ("proven_fix", 3, "process.restart", "against", None, "none agreed"),
        ("unusual_causes", 3, None, "abstained", "budget", "none agreed"),
        ("root_cause", 3, "process.start", "against", None, "none agreed"),
    ]


async def test_a_row_has_the_columns_of_the_sources(tmp_path: Path) -> None:
    """The first nine columns are those that the sources name, in their order."""
    _, log = await told(tmp_path)
    with log:
        frame = log.query("FROM agent_consultations ORDER BY id")
    assert frame.columns[0] == "id"
    assert [name for name in frame.columns[:10] if name != "task_id"] == [
        "id",
        "escalation_id",
        "agent_name",
        "diagnosis",
        "confidence",
        "suggested_fix",
        "vote",
        "execution_time_seconds",
        "timestamp",
    ]
    first = frame.to_dicts()[0]
    assert (first["execution_time_seconds"], first["tokens"], first["cost_usd"]) == (2.0, 1_000, 0.005)


async def test_an_opinion_leads_to_its_incident_and_its_escalation(tmp_path: Path) -> None:
    """The case is the decision that opened it; without a person there is no escalation."""
    history, log = await told(tmp_path)
    with log:
        rows = log.query("SELECT service, task_id, escalation_id FROM agent_consultations ORDER BY id").rows()
        joined = log.query("SELECT count(*) FROM agent_consultations JOIN tasks ON tasks.id = task_id").row(0)
    opened = {one.service: one.seq for one in history.decisions if one.kind == "incident_opened"}
    (escalated,) = [one for one in history.decisions if one.kind == "escalated"]
    assert rows[0] == ("shop", opened["shop"], None)
    assert rows[-1] == ("cart", opened["cart"], escalated.seq)
    assert joined == (len(rows),)


async def test_the_diagnosis_is_the_rationale_while_it_is_kept(tmp_path: Path) -> None:
    """Text that a model wrote is evidence; without it the diagnosis is what the event holds."""
    _, log = await told(tmp_path)
    with log:
        rows = log.query("SELECT diagnosis FROM agent_consultations ORDER BY id")["diagnosis"].to_list()
    assert rows[:2] == [RATIONALE, None]
    assert rows[3] == "configuration_error of cart"


async def test_what_helped_is_known_of_what_was_done(tmp_path: Path) -> None:
    """The advised action that was verified helped, a late opinion and one that was not done say nothing."""
    _, log = await told(tmp_path)
    with log:
        rows = log.query("SELECT helped, confidence, confidence_since FROM agent_consultations ORDER BY id").rows()
    assert rows[0][0] is True
    assert rows[0][1] < rows[0][2]
    assert [row[0] for row in rows[1:]] == [None] * 5


async def test_advisors_are_judged_by_what_came_of_their_opinions(tmp_path: Path) -> None:
    """An advisor has its opinions, abstentions, cost, and what it states against what was verified."""
    _, log = await told(tmp_path)
    with log:
        rows = {row["advisor"]: row for row in log.query("FROM advisors").to_dicts()}
    root, unusual = rows["root_cause"], rows["unusual_causes"]
    assert (root["opinions"], root["agreed"], root["disagreed"], root["verified"], root["helped"]) == (3, 1, 2, 1, 1)
    assert (root["stated_confidence"], root["success_rate"]) == (0.8, 1.0)
    assert root["overconfidence"] == pytest.approx(-0.2)
    assert root["brier"] == pytest.approx(0.04)
    assert root["trust"] > 0.8
    assert (root["tokens"], root["cost_usd"]) == (3_000, 0.015)
    assert (unusual["abstentions"], unusual["by_model"], unusual["verified"], unusual["brier"]) == (1, 0, 0, None)
    assert rows["proven_fix"]["late"] == 1


async def test_an_advisor_that_is_not_trusted_is_counted_as_such(tmp_path: Path) -> None:
    """A discredited opinion is neither for nor against; what came of it where the rules did the same is known."""
    history = History()
    history.begin()
    for _ in range(9):
        history.fold._state.advisors.learn("root_cause", 0.9, success=False)
    apply(history, QUICK)
    report(history)
    fail(history, "shop")
    opine(history, "root_cause", "process.restart", 0.9)
    history.outcome(history.commands[-1])
    history.calm("shop", 200)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT vote, helped, verdict FROM agent_consultations").rows() == [
            ("not trusted", True, "none answered")
        ]
        assert log.query("SELECT distrusted, abstentions, verified FROM advisors").rows() == [(1, 0, 1)]


async def test_why_shows_the_question_and_each_vote(tmp_path: Path) -> None:
    """Under the question stand its options, each opinion with its rationale and figures, and what came of it."""
    history, log = await told(tmp_path)
    incident = next(one.incident for one in history.decisions if one.kind == "advice_asked")
    with log:
        explanation = why(log, incident)
    (asked,) = [one for one in explanation.steps if one.kind == "advice_asked"]
    assert [one.kind for one in asked.then] == ["advised", "advice_settled", "advised"]
    assert [(one.text, one.kind) for one in asked.then[0].causes] == [(RATIONALE, "opinion")]
    assert asked.then[2].causes[0].text == "proven_fix by model m"
    text = render(explanation)
    assert "advised (root_cause: process.start)" in text
    assert "advice_settled (1 of 1: process.start)" in text
    assert "option retry by process.start" in text
    assert "would choose" not in text[text.index("advice_asked") : text.index("advised (root")]


def test_no_table_has_a_column_twice() -> None:
    """A field of an event that has the name of a column of the log is renamed."""
    for table, schema in SCHEMAS.items():
        assert len(schema.names) == len(set(schema.names)), table
