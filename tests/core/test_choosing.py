"""Chance with known probabilities: what may be chosen, how often, and that it can be recomputed."""

from __future__ import annotations

from math import fsum

import hypothesis.strategies as st
from hypothesis import given

from streams.core.choosing import NOT_EXPLORED, best_of, choose, with_probabilities
from streams.core.events import Option

shares = st.floats(0.0, 1.0)


def option(score: float, *, action: str = "a", risk: float = 0.1, strategy: str = "retry") -> Option:
    """Return an option that scores so much."""
    return Option(
        strategy=strategy,
        action=action,
        expected_success=0.5,
        cost=0.0,
        risk=risk,
        score=score,
        probability=0.0,
        barred="",
    )


options = st.builds(option, st.floats(-1.0, 1.0), risk=shares, strategy=st.sampled_from(["retry", "escalate"]))


@given(st.lists(st.tuples(options, st.floats(0.0, 0.25)), min_size=1, max_size=12), shares)
def test_probabilities_are_a_distribution_and_exploration_has_its_share(
    scored: list[tuple[Option, float]], rate: float
) -> None:
    """They add up to one, and all that is not best has the rate together at most, and none where it is too risky."""
    found = with_probabilities([one for one, _ in scored], [variance for _, variance in scored], rate)
    best = max(range(len(found)), key=lambda place: found[place].score)
    others = [one for place, one in enumerate(found) if place != best]
    assert abs(fsum(one.probability for one in found) - 1.0) < 1e-8
    assert fsum(one.probability for one in others) <= rate + 1e-8
    assert all(one.probability == 0.0 for one in others if one.risk > 0.5 or one.strategy == "escalate")
    assert all((one.probability == 0.0) == (one.barred == NOT_EXPLORED) for one in others)


def test_what_is_surely_worse_is_not_explored() -> None:
    """An option explores as long as it may be better, and not when both are known well."""
    unsure = with_probabilities([option(0.6), option(0.5)], [0.02, 0.02], 0.05)
    sure = with_probabilities([option(0.6), option(0.5)], [0.0001, 0.0001], 0.05)
    assert unsure[1].probability == 0.05
    assert sure[1].probability < 1e-4


def test_of_two_that_may_be_better_the_likelier_is_explored_more() -> None:
    """The share of exploration follows the chance to be better."""
    near, far = with_probabilities([option(0.6), option(0.5), option(0.3)], [0.02] * 3, 0.05)[1:]
    assert near.probability > 2 * far.probability > 0


def test_options_are_chosen_as_often_as_their_probability_says() -> None:
    """Over many decisions, what is drawn by hash has the recorded frequencies."""
    found = with_probabilities([option(0.6, action="a"), option(0.55, action="b")], [0.05, 0.05], 0.2)
    drawn = [choose(found, f"1-{number}-0").action for number in range(20_000)]
    assert abs(drawn.count("b") / len(drawn) - found[1].probability) < 0.01
    assert drawn == [choose(found, f"1-{number}-0").action for number in range(20_000)]


def test_of_equals_the_first_is_best() -> None:
    """The catalogue's order decides between equal scores."""
    assert best_of([option(0.5, action="a"), option(0.5, action="b")]).action == "a"
