"""Choices get better by what is learnt: a small version of ``python -m benchmarks.choices``."""

from __future__ import annotations

import pytest

from benchmarks.choices import (
    GAP_LEAST,
    GAP_MOST,
    OPTIMAL_WITHIN,
    POLICY,
    Context,
    after_learning,
    at_random,
    by_score,
    contexts,
    growth,
    play,
    share_optimal,
    until_optimal,
)

CONTEXTS = 24
INCIDENTS = 500


@pytest.fixture(scope="module")
def learnt() -> list[Context]:
    """Twenty-four contexts after five hundred incidents each."""
    world = contexts(CONTEXTS)
    play(world, POLICY, by_score, incidents=INCIDENTS)
    return world


def test_after_learning_almost_all_choices_are_optimal(learnt: list[Context]) -> None:
    """In the last fifth of the incidents at least 89.7 % of the first choices are optimal, more than in the first."""
    assert after_learning(learnt) >= 0.897
    assert after_learning(learnt) > share_optimal(learnt, 0, INCIDENTS // 5)


def test_regret_grows_ever_slower(learnt: list[Context]) -> None:
    """What is lost against always choosing the best grows as time to the power of 0.75 at most."""
    assert growth(learnt, INCIDENTS) < 0.75


def test_random_choices_are_far_below(learnt: list[Context]) -> None:
    """Choosing at random is optimal less than half as often."""
    world = contexts(CONTEXTS)
    play(world, POLICY, at_random, incidents=100)
    assert share_optimal(world, 0, 100) < after_learning(learnt) / 2


def test_a_changed_world_is_noticed_and_learnt() -> None:
    """When the best and the worst option swap, that is said in most contexts, and the new best is found in most."""
    world, changed_at = contexts(12), 200
    play(world, POLICY, by_score, incidents=2 * changed_at, changed_at=changed_at)
    noticed = [context for context in world if any(one >= changed_at for one in context.changes_told)]
    assert len(noticed) > len(world) / 2
    found = [context for context in world if until_optimal(context, changed_at) > 0]
    assert len(found) > len(world) / 2


def test_the_contexts_are_what_they_are_said_to_be() -> None:
    """The best option's value is 0.05 to 0.40 above the second's, so that it alone is optimal."""
    gaps = []
    for context in contexts(120):
        first, second = sorted(context.value.values(), reverse=True)[:2]
        gaps.append(first - second)
        assert all(0.0 <= share <= 1.0 for share in context.success.values())
    assert min(gaps) >= GAP_LEAST > OPTIMAL_WITHIN
    assert max(gaps) <= GAP_MOST
    assert sum(gaps) / len(gaps) == pytest.approx((GAP_LEAST + GAP_MOST) / 2, abs=0.01)
