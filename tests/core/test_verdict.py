"""How alike diagnoses are, and what comes of one or three of them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.advice import ADVISORS, PROVEN_FIX, ROOT_CAUSE, UNUSUAL_CAUSES
from streams.core.verdict import AGREE_MIN, AGREED, DISAGREED, SILENT, UNSURE, Diagnosis, settle, similarity

RESTART: dict[str, Any] = {"action": "process.restart", "strategy": "restart"}
START: dict[str, Any] = {"action": "process.start", "strategy": "restart"}
ROLLBACK: dict[str, Any] = {"action": "process.rollback_config", "strategy": "rollback"}
DATABASE: dict[str, Any] = {"suspect": "db", "cause": "database_lock", "category": "database"}
POOL: dict[str, Any] = {"suspect": "db", "cause": "database_connection", "category": "database"}
MEMORY: dict[str, Any] = {"suspect": "api", "cause": "out_of_memory", "category": "memory"}


def says(advisor: str = PROVEN_FIX, confidence: float = 0.8, **fields: Any) -> Diagnosis:
    """Return a diagnosis that is worth what it states."""
    return Diagnosis(advisor=advisor, stated=confidence, confidence=confidence, **{**RESTART, **fields})


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({**RESTART, **DATABASE}, {**RESTART, **DATABASE}, 1.0),
        ({**RESTART, **DATABASE}, {**START, **DATABASE}, 0.8),
        ({**RESTART, **DATABASE}, {**RESTART, **POOL}, 0.85),
        ({**RESTART, **DATABASE}, {**ROLLBACK, **DATABASE}, 0.6),
        ({**RESTART, **DATABASE}, {**RESTART, **MEMORY}, 0.4),
        ({**RESTART, **DATABASE}, {**ROLLBACK, **POOL}, 0.45),
        ({**RESTART, **DATABASE}, {**ROLLBACK, **MEMORY}, 0.0),
        (RESTART, {**RESTART, **DATABASE}, 1.0),
        (RESTART, {**ROLLBACK, **DATABASE}, 0.0),
        ({**RESTART, "suspect": "db"}, {**ROLLBACK, **DATABASE}, 0.428571429),
    ],
)
def test_likeness_weighs_what_both_know(one: dict[str, Any], other: dict[str, Any], alike: float) -> None:
    """Action 0.4, suspect 0.3, cause 0.3, half for a related one, over the parts that both name; in either order."""
    assert similarity(says(**one), says(**other)) == similarity(says(**other), says(**one)) == alike


def test_the_same_origin_agrees_and_the_same_action_for_another_reason_does_not() -> None:
    """Agreement is by diagnosis: what is thought to be the matter counts more than what is proposed."""
    assert similarity(says(**RESTART, **DATABASE), says(**ROLLBACK, **DATABASE)) >= AGREE_MIN
    assert similarity(says(**RESTART, **DATABASE), says(**RESTART, **MEMORY)) < AGREE_MIN


@pytest.mark.parametrize(("confidence", "kind"), [(0.5, AGREED), (0.49, UNSURE)])
def test_one_opinion_is_the_verdict(confidence: float, kind: str) -> None:
    """Of one advisor its own action and confidence, as it stands; below the least confidence it is too unsure."""
    verdict = settle([says(ROOT_CAUSE, confidence)], 1, 0.5)
    assert (verdict.kind, verdict.action, verdict.confidence) == (kind, "process.restart", confidence)
    assert (verdict.agreed, verdict.asked, verdict.agreement) == (1, 1, 1.0)


def test_nobody_with_an_opinion_is_silence() -> None:
    """All abstained, or nobody answered: there is no verdict, whoever was asked."""
    assert settle([], 1, 0.5).kind == settle([], 3, 0.5).kind == SILENT


def test_one_of_three_is_no_consensus_and_no_disagreement() -> None:
    """A single opinion of three that were asked agrees with nobody, and nobody is against it: as if none had come."""
    assert settle([says(confidence=1.0)], 3, 0.0).kind == SILENT


def test_two_of_three_agree_and_the_third_lowers_their_confidence() -> None:
    """Two of the same mind carry the verdict; with a third against them it is two thirds as sure as without."""
    pair = [says(PROVEN_FIX, 0.9, **DATABASE), says(ROOT_CAUSE, 0.9, **DATABASE)]
    alone = settle(pair, 3, 0.5)
    against = settle([*pair, says(UNUSUAL_CAUSES, 0.9, **{**ROLLBACK, **MEMORY})], 3, 0.5)
    assert (str(alone), alone.confidence) == ("2 of 3: process.restart", 0.9)
    assert (str(against), against.confidence) == ("2 of 3: process.restart", 0.6)


def test_three_of_three() -> None:
    """Three that agree are three of three, with the likeness of the two that differ most."""
    verdict = settle([says(name, 0.8, **(DATABASE if name == ROOT_CAUSE else POOL)) for name in ADVISORS], 3, 0.5)
    assert (str(verdict), verdict.agreement, verdict.confidence) == ("3 of 3: process.restart", 0.85, 0.8)


def test_none_agreed() -> None:
    """Three diagnoses without a common part leave nothing to act on, and say so."""
    three = [
        says(PROVEN_FIX, 1.0, **{**RESTART, **DATABASE}),
        says(UNUSUAL_CAUSES, 1.0, **{**ROLLBACK, **MEMORY}),
        says(ROOT_CAUSE, 1.0, action="process.retry", strategy="retry", suspect="web"),
    ]
    verdict = settle(three, 3, 0.0)
    assert (verdict.kind, verdict.action, verdict.agreed, str(verdict)) == (DISAGREED, "", 0, "none agreed")


def test_of_one_origin_and_two_actions_the_surer_is_taken() -> None:
    """Who agrees on the origin only adds confidence by as much as the diagnoses are alike."""
    pair = [says(PROVEN_FIX, 0.6, **{**ROLLBACK, **DATABASE}), says(ROOT_CAUSE, 0.9, **{**RESTART, **DATABASE})]
    verdict = settle(pair, 3, 0.5)
    assert (verdict.action, verdict.strategy) == ("process.restart", "restart")
    assert verdict.confidence == pytest.approx((0.9 + 0.6 * 0.6) / 2)


def test_two_that_are_unsure_agree_on_nothing_to_do() -> None:
    """Agreement without confidence is too unsure, and still says how many agreed and on what."""
    verdict = settle([says(PROVEN_FIX, 0.3), says(ROOT_CAUSE, 0.4)], 3, 0.5)
    assert (verdict.kind, str(verdict), verdict.agreed, verdict.action) == (UNSURE, UNSURE, 2, "process.restart")


DIAGNOSES = st.builds(
    says,
    confidence=st.floats(0.0, 1.0),
    action=st.sampled_from(["a.one", "a.two", "a.three"]),
    strategy=st.sampled_from(["restart", "rollback"]),
    suspect=st.sampled_from(["", "api", "db"]),
    cause=st.sampled_from(["", "p", "q"]),
    category=st.sampled_from(["", "c", "d"]),
)


@given(st.lists(DIAGNOSES, max_size=3), st.floats(0.0, 1.0))
def test_any_opinions_give_a_verdict_within_bounds(drawn: list[Diagnosis], least: float) -> None:
    """Whatever is said in whatever order: one verdict, of somebody's action, as sure as its surest voice at most."""
    heard = [
        Diagnosis(**{name: getattr(one, name) for name in one.__struct_fields__ if name != "advisor"}, advisor=advisor)
        for one, advisor in zip(drawn, ADVISORS, strict=False)
    ]
    verdicts = [settle(order, 3, least) for order in permutations(heard)]
    verdict = verdicts[0]
    assert all(one == verdict for one in verdicts)
    assert verdict.action in {"", *(one.action for one in heard)}
    assert 0.0 <= verdict.confidence <= max((one.confidence for one in heard), default=0.0) + 1e-9
    assert (verdict.agreed >= 2) == (verdict.kind in {AGREED, UNSURE})
    assert verdict.kind != AGREED or verdict.confidence >= least
