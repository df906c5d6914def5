from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from analytics import queries
from analytics.views import EventLog
from analytics.why import Explanation, Step, why
from analytics.why_text import render
from streams.core.errors import InputError
from streams.core.events import ProbeReported
from streams.core.requests import MuteSet
from tests.analytics.archive import archive
from tests.analytics.history import History, wander
from tests.analytics.people import answer, escalated


def steps_of(explanation: Explanation) -> list[Step]:
    """Return all steps of a tree."""
    found: list[Step] = []
    left = list(explanation.steps)
    while left:
        step = left.pop()
        found.append(step)
        left.extend(step.then)
    return found


async def test_a_command_leads_to_its_lines(told: tuple[History, EventLog]) -> None:
    """From a command one gets to topic, partition, offset and index of the lines, their text and their rule."""
    history, log = told
    explanation = why(log, history.commands[0].id)
    cause = explanation.steps[0].causes[0]
    assert (cause.topic, cause.partition, cause.offset, cause.index) == ("logs", 0, 0, 0)
    assert cause.text == "shop broke: process_crash at 0"
    assert [(match.pattern, match.service_rule, match.rules_sha256) for match in cause.matches] == [
        ("process_crash", "header", "r" * 64)
    ]


async def test_a_command_has_what_was_weighed_and_what_came_of_it(told: tuple[History, EventLog]) -> None:
    """A command's step has every option and gate of its decision, how it ended, and what the verification saw."""
    history, log = told
    command = history.commands[0]
    (step,) = [one for one in why(log, command.id).steps if one.command]
    decision = next(one for one in history.decisions if one.id == command.id)
    assert (step.options, step.gates) == (decision.options, decision.gates)
    assert step.command is not None
    assert (step.command.status, step.command.ok, step.command.code) == ("done", True, "exit_0")
    assert [one.kind for one in step.then] == ["command_ended", "verified"]


async def test_an_incident_has_all_its_decisions(told: tuple[History, EventLog]) -> None:
    """An incident's tree has each of its decisions exactly once."""
    history, log = told
    incident = history.commands[0].incident
    steps = steps_of(why(log, incident))
    assert sorted(step.seq for step in steps) == [one.seq for one in history.decisions if one.incident == incident]


async def test_what_followed_leads_back(told: tuple[History, EventLog]) -> None:
    """The id of a verification explains the command that was verified."""
    history, log = told
    verified = next(one for one in history.decisions if one.kind == "verified")
    assert [step.id for step in why(log, verified.id).steps] == [verified.incident, verified.refers_to]


async def test_a_probe_is_named_as_cause(tmp_path: Path) -> None:
    """What was decided because of probes names the probe, where a line would stand."""
    history = History()
    history.begin()
    for _ in range(2):
        history.say(
            ProbeReported(
                host="h1",
                service="shop",
                kind="process",
                ok=False,
                code="down",
                at_ms=history.now_ms,
                latency_ms=3,
            )
        )
    await archive(history, tmp_path)
    (opened,) = [one for one in history.decisions if one.kind == "incident_opened"]
    with EventLog(tmp_path) as log:
        (cause,) = why(log, opened.id).steps[0].causes
    assert (cause.kind, cause.text) == ("probe", "process probe from h1 failed down")


async def test_every_id_of_a_log_is_explained(tmp_path: Path) -> None:
    """Whatever id stands in the log, there is an explanation, as text and as JSON."""
    history = wander(11, facts=200)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        for decision in history.decisions:
            explanation = why(log, decision.id)
            assert decision.seq in [step.seq for step in steps_of(explanation)]
            assert f"#{decision.seq} " in render(explanation)
            assert msgspec.json.decode(explanation.to_json(), type=Explanation) == explanation


async def test_text_quotes_a_line_once(told: tuple[History, EventLog]) -> None:
    """A rendered explanation quotes each line once, and names the chosen option and a gate that said no."""
    history, log = told
    text = render(why(log, history.commands[0].id))
    assert text.count("shop broke: process_crash at 0") == 1
    assert "chose restart by process.restart: score 0.93" in text
    assert "gate not_halted: said no" in render(why(log, history.decisions[-1].id))


async def test_an_unknown_id_is_said_so(told: tuple[History, EventLog]) -> None:
    """An id that is not in the log is an input error."""
    _, log = told
    with pytest.raises(InputError, match="nothing in the event log has the id '9-9-9'"):
        why(log, "9-9-9")


@pytest.mark.parametrize("blank", ["", " "])
async def test_a_blank_id_is_nobodys(told: tuple[History, EventLog], blank: str) -> None:
    """A blank id is an input error, though decisions that belong to no incident have an empty one there."""
    _, log = told
    assert log.query("SELECT count(*) FROM decisions WHERE incident = ''").item() > 0
    with pytest.raises(InputError, match="give the id of an incident, a decision or a command"):
        why(log, blank)


async def test_the_summary_adds_up(told: tuple[History, EventLog]) -> None:
    """The demo's figures are those of the history."""
    history, log = told
    assert queries.lines(log).row(0)[:2] == ("logs", 329)
    assert queries.detections(log)["lines"].sum() == 6
    assert queries.decisions(log)["decisions"].sum() == len(history.decisions)
    assert queries.commands(log)["commands"].to_list() == [1, 1]
    assert queries.healing(log)["healed"].to_list() == [True, True]
    assert queries.rejects(log).rows() == [("logs", "not JSON", 80)]
    assert queries.latency(log).row(0) == (2, 5, 5, 5)
    assert queries.incidents(log).height == 3


async def test_an_escalation_has_the_whole_story(tmp_path: Path) -> None:
    """From the id of an escalation one gets all decisions of its incident, what people did, and what was not done."""
    history = History()
    history.begin()
    times = {"begin_ms": history.now_ms, "end_ms": history.now_ms + 60_000}
    history.say(MuteSet(kind="maintenance", service="shop", pattern="", author="ann", reason="release", **times))
    history.say(MuteSet(kind="silence", service="shop", pattern="", author="bob", reason="", **_later(times)))
    history.see("shop", "process_crash")
    history.calm("mail", 120)
    for _ in range(3):
        history.see("shop", "process_crash")
        history.outcome(history.commands[-1], ok=False)
        history.calm("mail", 150)
    escalation = escalated(history)
    answer(history, escalation, "assigned")
    answer(history, escalation, "resolved", method="manual", reason="by hand")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        explanation = why(log, escalation.id)
    steps = {step.kind: step for step in steps_of(explanation)}
    assert {"mute_set", "incident_opened", "withheld", "commanded", "escalated", "escalation_resolved"} <= steps.keys()
    assert [one.kind for one in steps["escalated"].then] == ["request_refused", "escalation_resolved"]
    assert steps["escalation_resolved"].causes[0].text == "escalation_resolved by ann: by hand"
    undone = [(one.what, one.because) for one in explanation.not_done]
    assert ("restart", "maintenance said no") in undone
    assert ("telling anybody", "silence") in undone
    assert ("what a person asked for", "nobody is named whose it is to be") in undone
    text = render(explanation)
    assert "\nnot done\n" in text
    assert "gate maintenance: said no" in text
    assert "from logmend.inbox.people/0 offset 1 index 0: mute_set by ann: release" in text


def _later(times: dict[str, int]) -> dict[str, int]:
    return {"begin_ms": times["end_ms"], "end_ms": times["end_ms"] + 3_600_000}


async def test_what_was_refused_is_not_done(told: tuple[History, EventLog]) -> None:
    """An incident that a gate holds back says what it would have done and which gate said no."""
    history, log = told
    held = next(one for one in history.decisions if one.kind == "withheld")
    (undone,) = [one for one in why(log, held.incident).not_done if one.seq == held.seq and "said no" in one.because]
    assert "not_halted" in undone.because


async def test_an_explanation_names_the_trace_that_came_with_the_line(tmp_path: Path) -> None:
    """What a producer traces can be looked up from the decision on; where there is no trace, none is shown."""
    history, trace = History(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    history.begin()
    history.see("shop", "process_crash", trace=trace)
    history.see("cart", "process_crash")
    incidents = {one.service: one.incident for one in history.decisions if one.kind == "incident_opened"}
    with EventLog(await archive(history, tmp_path)) as log:
        assert f"\n  trace {trace}\n" in render(why(log, incidents["shop"]))
        assert "trace" not in render(why(log, incidents["cart"]))
