"""Which services get into trouble together, and which of two leads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.num import draw
from streams.core.together import KEPT, WINDOW_MS, Onsets, _at_least

DAY_MS = 86_400_000
TIMES = st.lists(st.integers(0, DAY_MS), max_size=60)


def watched(**times: list[int]) -> Onsets:
    """Return onsets by service, watched since time 0."""
    onsets = Onsets(0)
    for service, known in times.items():
        for at_ms in known:
            onsets.add(service, at_ms)
    return onsets


def at_random(name: str, count: int) -> list[int]:
    """Return times within a day that look random and are the same everywhere."""
    return [int(DAY_MS * draw(f"{name} {at}")) for at in range(count)]


def test_one_that_follows_another_is_tied_and_led() -> None:
    """A cart that fails a minute after its database, eight times a day, is led by it."""
    database = at_random("database", 8)
    ties = watched(cart=[at_ms + 60_000 for at_ms in database], database=database).ties(DAY_MS, 3.0)
    assert [(tie.first, tie.second, tie.meetings, tie.lag_ms, tie.leads) for tie in ties] == [
        ("database", "cart", 8, 60_000, True)
    ]


def test_two_that_fail_at_once_are_tied_and_none_leads() -> None:
    """Services whose trouble begins at the same moment are tied, without a leader."""
    times = at_random("rack", 8)
    (tie,) = watched(one=times, two=times).ties(DAY_MS, 3.0)
    assert not tie.leads


def test_strangers_have_no_tie() -> None:
    """Among twenty services that fail at random, none of the 190 pairs is taken for a tie."""
    onsets = watched(**{f"service-{at}": at_random(f"stranger {at}", 10) for at in range(20)})
    assert onsets.ties(DAY_MS, 2.0) == []


def test_what_fails_all_the_time_is_no_leader() -> None:
    """A service in trouble every ten minutes meets everybody, and that is chance."""
    onsets = watched(noisy=list(range(0, DAY_MS, 600_000)), other=at_random("other", 6))
    assert onsets.ties(DAY_MS, 1.0) == []


@given(TIMES, st.randoms())
def test_order_does_not_matter(times: list[int], chance: object) -> None:
    """Onsets that are told late are remembered as if they had been told in time."""
    shuffled = sorted(times, key=lambda _: chance.random())  # type: ignore[attr-defined] # Hypothesis gives a Random
    assert watched(one=shuffled).times == watched(one=times).times


@given(TIMES)
def test_what_is_remembered_is_bounded(times: list[int]) -> None:
    """Of each service the newest onsets are kept, and no more than there may be."""
    held = watched(one=times).times.get("one", [])
    assert held == sorted(times)[-KEPT:]


@given(TIMES, TIMES)
def test_no_more_meetings_than_onsets(mine: list[int], theirs: list[int]) -> None:
    """An onset meets one other at most, and only within the window."""
    for tie in watched(one=mine, two=theirs).ties(DAY_MS, 0.0):
        assert tie.meetings <= min(len(mine), len(theirs), KEPT)
        assert 0 <= tie.lag_ms <= WINDOW_MS


@pytest.mark.parametrize(("count", "expected"), [(0, 2.0), (1, 0.5), (3, 0.1), (5, 9.0)])
def test_the_tail_is_poissons(count: int, expected: float) -> None:
    """The probability of so many or more is one minus that of fewer."""
    fewer = math.fsum(math.exp(-expected) * expected**at / math.factorial(at) for at in range(count))
    assert _at_least(count, expected) == pytest.approx(1.0 - fewer)


def test_two_in_trouble_all_the_time_are_no_tie() -> None:
    """Where chance has two services meet hundreds of times in minutes, that they do is no surprise."""
    mine, theirs = list(range(0, 600_000, 15_000)), list(range(7_000, 607_000, 15_000))
    (tie,) = watched(one=mine, two=theirs).ties(607_000, 0.0)
    assert (tie.meetings, tie.surprise) == (KEPT - 1, 0.0)
    assert tie.expected > 700.0
