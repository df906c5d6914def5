"""What of a model's text is an opinion, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.advise.answers import TEXT_CHARS_MAX, UNSEEN, Allowed, BadAnswer, Opinion, read_answer

ALLOWED = Allowed(
    actions=frozenset({"service.restart", "db.vacuum"}), suspects=frozenset({"db"}), causes=frozenset({"db_down"})
)
GOOD = {"action": "service.restart", "suspect": "db", "cause": "db_down", "confidence": 0.8, "rationale": "It was."}


def _text(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def _code(text: str) -> str:
    read = read_answer(text, ALLOWED)
    return read.code if isinstance(read, BadAnswer) else "opinion"


def test_an_object_of_our_fields_is_an_opinion() -> None:
    """All five fields, each as it was written."""
    assert read_answer(_text(), ALLOWED) == Opinion(
        action="service.restart", suspect="db", cause="db_down", confidence=0.8, rationale="It was."
    )


def test_two_fields_are_enough() -> None:
    """An action and a confidence; what else isn't said is not known."""
    assert read_answer('{"action":"db.vacuum","confidence":1}', ALLOWED) == Opinion(
        action="db.vacuum", suspect="", cause="", confidence=1.0, rationale=""
    )


def test_an_advisor_may_abstain() -> None:
    """No action is an opinion too."""
    assert _code('{"action":"","confidence":0}') == "opinion"


@pytest.mark.parametrize(
    "around",
    [
        "```json\n%s\n```",
        "```\n%s\n```",
        "Here is what I think:\n\n%s\n\nI hope that helps!",
        "\ufeff  %s  \n",
        "<think>Is it [the db]?</think>\n%s",
    ],
)
def test_what_surrounds_the_object_is_passed_over(around: str) -> None:
    """Fences and sentences don't matter."""
    assert read_answer(around % _text(), ALLOWED) == read_answer(_text(), ALLOWED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "restart it",
        "null",
        "[]",
        '"service.restart"',
        '["a"]',
        _text() + _text(),
        _text() + "\n" + _text(action="db.vacuum"),
        "{see below}\n" + _text(),
        _text() + " {}",
        _text()[:-1],
        '{"answer": ' + _text(),
        "}{",
        '{"action":"db.vacuum","action":"service.restart","confidence":1}',
        "{'action':'db.vacuum','confidence':1}",
        '{"action":"db.vacuum","confidence":1,}',
        '{"action":"db.vacuum","confidence":1} // {"action":"","confidence":0}',
        "{" * 10_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "[" * 20_000 + "{" + "}" + "]" * 10,
        _text(rationale="x" * TEXT_CHARS_MAX),
    ],
)
def test_what_is_not_one_object_is_no_opinion(text: str) -> None:
    """None, two, a part of one, or one that says a thing twice."""
    assert _code(text) == "bad_answer"


@pytest.mark.parametrize(
    "changes",
    [
        {"command": "rm -rf /"},
        {"action": {"id": "service.restart"}},
        {"action": ["service.restart"]},
        {"action": None},
        {"action": 1},
        {"suspect": None},
        {"rationale": {"text": "x"}},
        {"confidence": "0.8"},
        {"confidence": True},
        {"confidence": None},
        {"confidence": -0.1},
        {"confidence": 1.0000001},
        {"confidence": 80},
        {"confidence": 10**400},
        {"action": "x" * 257},
    ],
)
def test_other_fields_types_and_numbers_are_no_opinion(changes: dict[str, Any]) -> None:
    """A field too many, a value within a value, a number that is no share of one."""
    assert _code(_text(**changes)) == "bad_answer"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e-1", "0x1", "1_0", ".5", "9" * 5_000])
def test_what_is_no_number_of_json_is_no_confidence(number: str) -> None:
    """Not even where Python would take it."""
    assert _code(_text(confidence=0.5).replace("0.5", number)) == "bad_answer"


@pytest.mark.parametrize("missing", ["action", "confidence"])
def test_what_must_be_said_is_said(missing: str) -> None:
    """An opinion without an action, or without a confidence, is none."""
    assert _code(json.dumps({name: value for name, value in GOOD.items() if name != missing})) == "bad_answer"


@pytest.mark.parametrize(
    "action",
    [
        "rm -rf /",
        "service.restart; rm -rf /",
        "service.restart\n",
        " service.restart",
        "Service.Restart",
        "service.restart\u200b",
        "\uff53ervice.restart",  # full width
        "serv\u0456\u0441e.restart",  # Cyrillic
        "service\u2024restart",  # a leader of one dot
        "\u202etratser.ecivres",
        "service.restart\0",
        "../service.restart",
        "${service.restart}",
        "service.stop",
        "db",
        "db_down",
    ],
)
def test_an_action_that_was_not_offered_is_not_allowed(action: str) -> None:
    """However much it looks like one that was."""
    assert _code(_text(action=action)) == "not_allowed"


@pytest.mark.parametrize("changes", [{"suspect": "web"}, {"cause": "db_up"}, {"suspect": "db\ufe0f"}])
def test_a_suspect_and_a_cause_are_of_the_question_too(changes: dict[str, str]) -> None:
    """A name that wasn't in the question comes from elsewhere."""
    assert _code(_text(**changes)) == "not_allowed"


def test_a_reason_says_nothing_of_the_text() -> None:
    """It goes to logs, where nothing of a model's may go."""
    read = read_answer(_text(action="SECRET"), ALLOWED)
    assert isinstance(read, BadAnswer)
    assert "SECRET" not in read.reason


def test_a_rationale_is_one_line_that_can_be_seen() -> None:
    """Escapes of terminals, turned letters and invisible ones become spaces, half pairs too."""
    read = read_answer(_text(rationale="a\x1b[31mb\u202ec\r\nd\u2028e\x00f\ud800 \u200b g"), ALLOWED)
    assert isinstance(read, Opinion)
    assert read.rationale == "a [31mb c d e f g"


def test_less_than_nothing_is_nothing() -> None:
    """Minus zero is zero."""
    read = read_answer('{"action":"","confidence":-0.0}', ALLOWED)
    assert isinstance(read, Opinion)
    assert str(read.confidence) == "0.0"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
NAMES = st.sampled_from([*GOOD, "strategy", "Action"])
IDS = st.sampled_from(["service.restart", "db.vacuum", "db", "db_down", "", "service.stop", "rm -rf /"]) | st.text()
PIECES = st.sampled_from(
    ['{"action":"service.restart"', ',"confidence":0.5', "}", "{", '"', "\\", "```", "\n", ",", ":"]
)


def _is_safe(read: Opinion | BadAnswer) -> bool:
    """Tell whether what came out names only what was offered, within bounds."""
    if isinstance(read, BadAnswer):
        return read.code in {"bad_answer", "not_allowed"} and "\n" not in read.reason
    return (
        read.action in ALLOWED.actions | {""}
        and read.suspect in ALLOWED.suspects | {""}
        and read.cause in ALLOWED.causes | {""}
        and 0.0 <= read.confidence <= 1.0
        and "\n" not in read.rationale
        and read.rationale.isprintable()
    )


@given(st.text() | st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_whatever_a_model_writes_comes_out_safe(text: str) -> None:
    """Any text is an opinion within the lists, or none; nothing is raised."""
    assert _is_safe(read_answer(text, ALLOWED))


@given(st.dictionaries(NAMES, VALUES | IDS), st.text(max_size=20), st.text(max_size=20))
def test_whatever_object_a_model_writes_comes_out_safe(fields: dict[str, Any], before: str, after: str) -> None:
    """Any object, with any text around it."""
    assert _is_safe(read_answer(f"{before}{json.dumps(fields)}{after}", ALLOWED))


@given(
    action=st.sampled_from(["service.restart", "db.vacuum", ""]),
    suspect=st.sampled_from(["db", ""]),
    cause=st.sampled_from(["db_down", ""]),
    confidence=st.floats(0, 1),
    rationale=st.text(max_size=200),
    ascii_only=st.booleans(),
)
def test_every_right_answer_is_read_as_it_is(
    action: str, suspect: str, cause: str, confidence: float, rationale: str, *, ascii_only: bool
) -> None:
    """Ids and confidence come out as they went in, whatever the rationale holds, braces too."""
    fields = {"action": action, "suspect": suspect, "cause": cause, "confidence": confidence, "rationale": rationale}
    read = read_answer(f"Sure:\n```json\n{json.dumps(fields, ensure_ascii=ascii_only)}\n```", ALLOWED)
    assert isinstance(read, Opinion)
    assert (read.action, read.suspect, read.cause, read.confidence) == (action, suspect, cause, confidence)


@given(st.integers(0, 4), st.sampled_from(sorted(UNSEEN)), st.data())
def test_an_id_with_one_letter_more_is_none(at: int, category: str, data: st.DataObject) -> None:
    """A letter that can't be seen makes another id."""
    letter = data.draw(st.characters(categories=[category]))  # type: ignore[list-item]  # the names are Unicode's own
    assert _code(_text(action="service.restart"[:at] + letter + "service.restart"[at:])) == "not_allowed"
