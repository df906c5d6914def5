"""What is remembered of advisors: presence, calibration, questions, and how much of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.advice import ADVISORS, PROVEN_FIX, ROOT_CAUSE
from streams.core.advisors import (
    BINS,
    FORGETTING,
    HOSTS_MAX,
    PRESENT_MS,
    QUESTIONS_MAX,
    Advisors,
    Question,
    is_confidence,
)


def test_whoever_reported_is_there_for_three_minutes() -> None:
    """Silence for three minutes is absence; until then nothing has to be said again."""
    advisors = Advisors()
    advisors.report("h1", ADVISORS, 1_000)
    assert [advisors.there(now_ms) for now_ms in (1_000, 1_000 + PRESENT_MS - 1, 1_000 + PRESENT_MS)] == [3, 3, 0]


def test_a_report_of_nobody_is_absence_at_once() -> None:
    """A process that has lost its provider says so, and nobody is asked any more."""
    advisors = Advisors()
    advisors.report("h1", ADVISORS, 0)
    advisors.report("h1", (), 1)
    assert advisors.there(1) == 0


def test_an_advisor_on_two_hosts_is_one_advisor() -> None:
    """Two processes that answer for the same two advisors are two of three; one of them may go."""
    advisors = Advisors()
    advisors.report("h1", (PROVEN_FIX, ROOT_CAUSE), 0)
    advisors.report("h2", (ROOT_CAUSE,), 0)
    assert advisors.there(0) == 2
    advisors.report("h1", (), 0)
    assert advisors.there(0) == 1


def test_only_the_three_that_are_known_count() -> None:
    """A name that no advisor has is nobody, and does not take a place."""
    advisors = Advisors()
    advisors.report("h1", ("oracle", "", ROOT_CAUSE * 9), 0)
    assert (advisors.there(0), advisors.present) == (0, {})


def test_hosts_have_a_limit_and_silent_ones_make_room() -> None:
    """However many hosts report, a few are remembered; when one falls silent there is room again."""
    advisors = Advisors()
    for number in range(100):
        advisors.report(f"h{number}", ADVISORS, 0)
    assert len(advisors.present) == HOSTS_MAX
    advisors.report("new", (ROOT_CAUSE,), PRESENT_MS)
    assert list(advisors.present) == ["new"]


def test_questions_have_a_limit_and_the_oldest_goes() -> None:
    """A question that many others followed is unknown."""
    advisors = Advisors()
    question = Question(incident="i", service="s", host="h", pattern="p", category="c", severity="error")
    for number in range(QUESTIONS_MAX + 5):
        advisors.note(f"1-{number}-0", question)
    assert len(advisors.questions) == QUESTIONS_MAX
    assert next(iter(advisors.questions)) == "1-5-0"


@pytest.mark.parametrize("stated", [0.0, 0.33, 1.0])
def test_without_outcomes_a_confidence_is_worth_what_is_stated(stated: float) -> None:
    """An advisor that nothing is known of is taken at its word."""
    assert Advisors().worth(ROOT_CAUSE, stated) == pytest.approx(stated)


def test_an_overconfident_advisor_loses_trust_where_it_is_overconfident() -> None:
    """Nine failures at 0.9 halve what 0.9 is worth, and leave 0.5 of it and others' 0.9 alone."""
    advisors = Advisors()
    for _ in range(9):
        advisors.learn(ROOT_CAUSE, 0.9, success=False)
    assert advisors.worth(ROOT_CAUSE, 0.9) < 0.5
    assert advisors.worth(ROOT_CAUSE, 0.5) == 0.5
    assert advisors.worth(PROVEN_FIX, 0.9) == 0.9


def test_what_a_confidence_is_worth_tends_to_what_comes_of_it() -> None:
    """Stated 0.9 and right every second time is worth about 0.5 after a hundred outcomes."""
    advisors = Advisors()
    for number in range(100):
        worth = advisors.learn(ROOT_CAUSE, 0.9, success=number % 2 == 0)
    assert worth == pytest.approx(0.5, abs=0.08)


def test_another_model_is_believed_within_some_forty_outcomes() -> None:
    """What was learnt of an advisor fades: after 200 failures, 40 successes bring it above one half again."""
    advisors = Advisors()
    for _ in range(200):
        advisors.learn(ROOT_CAUSE, 0.9, success=False)
    assert advisors.records[ROOT_CAUSE][BINS - 1].failures < 1 / FORGETTING
    for _ in range(40):
        worth = advisors.learn(ROOT_CAUSE, 0.9, success=True)
    assert worth > 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -0.001, 1.001])
def test_what_is_no_share_is_no_confidence(value: float) -> None:
    """A number outside 0..1, or none at all, can't be calibrated."""
    assert not is_confidence(value)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), max_size=200), st.floats(0.0, 1.0))
def test_any_outcomes_leave_a_share(outcomes: list[tuple[float, bool]], stated: float) -> None:
    """Whatever came of whatever was stated, what a confidence is worth is in 0..1."""
    advisors = Advisors()
    for confidence, success in outcomes:
        assert 0.0 <= advisors.learn(ROOT_CAUSE, confidence, success=success) <= 1.0
    assert 0.0 <= advisors.worth(ROOT_CAUSE, stated) <= 1.0
