"""Panes, windows and sessions of event time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.rates import (
    HELD_PANES,
    MEMORY_MINUTES,
    MINUTE_PANES,
    PANE_MS,
    SESSION_GAP_MS,
    SESSIONS_HELD,
    SETTLE_MINUTES,
    Rate,
    Session,
    extend,
)

FIRST = 1_000 * MINUTE_PANES
MINUTE_MS = MINUTE_PANES * PANE_MS


def minutes(*lines: int) -> Rate:
    """Return a rate of so many lines in each of some minutes in a row, all in its first pane."""
    rate = Rate()
    for number, count in enumerate(lines):
        rate.add(FIRST + number * MINUTE_PANES, count)
    return rate


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(1, 9)), min_size=1, max_size=60), st.integers(1, 12))
def test_a_window_is_the_sum_of_the_panes_in_it(told: list[tuple[int, int]], width: int) -> None:
    """Whatever the order in which lines come, a window holds those of its panes that were held when they came."""
    rate, kept = Rate(), Counter[int]()
    for pane, lines in told:
        if rate.add(FIRST + pane, lines):
            kept[FIRST + pane] += lines
    for end in range(rate.newest - HELD_PANES + width, rate.newest + width):
        assert rate.lines(end, width) == sum(kept[pane] for pane in range(end - width + 1, end + 1))
    assert len(rate.panes) <= HELD_PANES


def test_a_late_line_revises_its_window() -> None:
    """A line that is five minutes late changes the minute that it belongs to, and no other."""
    rate = minutes(3, 0, 0, 0, 0, 4)
    assert rate.add(FIRST + 2, 5)
    assert [rate.minute(1_000 + number) for number in range(6)] == [8, 0, 0, 0, 0, 4]


def test_a_line_older_than_what_is_held_is_refused() -> None:
    """A line six minutes older than the newest pane changes nothing, and the caller hears that."""
    rate = minutes(0, 0, 0, 0, 0, 0, 1)
    before = list(rate.panes)
    assert not rate.add(FIRST, 1)
    assert rate.panes == before


def test_a_hopping_window_ends_with_any_pane() -> None:
    """The largest minute around a late line is found although it ends in the middle of a minute of the clock."""
    rate = Rate()
    for pane, lines in ((0, 1), (5, 7), (6, 8), (20, 1)):
        rate.add(FIRST + pane, lines)
    assert rate.peak(FIRST + 5) == 15
    assert rate.peak(FIRST + 20) == 1


def test_usual_is_the_mean_of_minutes_that_are_over() -> None:
    """Neither the present minute nor the one before it, which late lines still change, is usual yet."""
    rate = minutes(100, 4, 6, 8, 90, 90)
    assert (rate.known, rate.usual) == (3, 6.0)


def test_minutes_without_a_line_count() -> None:
    """A rate that was silent for an hour is usually lower than before."""
    rate = minutes(*([60] * 20))
    usual = rate.usual
    rate.add(FIRST + 80 * MINUTE_PANES, 1)
    assert rate.known == MEMORY_MINUTES
    assert rate.usual < usual / 2


def test_a_wild_minute_teaches_little() -> None:
    """One minute of a thousand times the usual lines does not make that usual."""
    rate = minutes(*([10] * (SETTLE_MINUTES + 5)), 10_000, 10, 10)
    assert rate.usual < 13


def test_a_lasting_change_becomes_usual() -> None:
    """Ten times as many lines for three hours are what is usual then."""
    rate = minutes(*([10] * 60), *([100] * 180))
    assert 90 < rate.usual <= 100


def test_the_slope_is_that_of_a_line() -> None:
    """A rate that grows by seven lines a minute has that slope."""
    rate = minutes(0, 7, 14, 21, 28)
    assert rate.slope(rate.newest) == 7.0


def test_a_pause_ends_a_session() -> None:
    """Lines further apart than the gap are of two sessions, lines closer than it of one."""
    sessions: list[Session] = []
    for at_ms in (1_000, 1_000 + SESSION_GAP_MS, 1_001 + 2 * SESSION_GAP_MS):
        assert extend(sessions, at_ms, 2)
    second_ms = 1_001 + 2 * SESSION_GAP_MS
    assert sessions == [Session(1_000, 1_000 + SESSION_GAP_MS, 4), Session(second_ms, second_ms, 2)]


def test_a_late_line_joins_two_sessions() -> None:
    """A line in the pause between two sessions, closer than the gap to both, makes them one."""
    sessions: list[Session] = []
    for at_ms in (0, 100_000, 50_000):
        assert extend(sessions, at_ms, 1)
    assert sessions == [Session(0, 100_000, 3)]


def test_a_line_before_all_held_sessions_is_refused() -> None:
    """With as many sessions as are held, one that lies before them is told to be late."""
    sessions: list[Session] = []
    for number in range(1, SESSIONS_HELD + 2):
        extend(sessions, number * 1_000_000, 1)
    before = list(sessions)
    assert not extend(sessions, 1_000_000, 1)
    assert sessions == before


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, (SESSIONS_HELD - 1) * (SESSION_GAP_MS + 1)), min_size=1, max_size=30))
def test_sessions_do_not_depend_on_the_order(times: list[int]) -> None:
    """Where no more sessions fit than are held, lines in any order make the same ones, with pauses between them."""
    here: list[Session] = []
    there: list[Session] = []
    assert all(extend(here, at_ms, 1) for at_ms in times)
    assert all(extend(there, at_ms, 1) for at_ms in sorted(times))
    assert here == there
    assert all(left.end_ms + SESSION_GAP_MS < right.begin_ms for left, right in pairwise(here))


def test_lines_from_before_1970_begin_a_rate() -> None:
    """A rate may begin with any pane, the one just before 1970 too, and goes on from there."""
    for pane in (-1, -MINUTE_PANES, -(1 << 50), 0):
        rate = Rate()
        assert rate.add(pane, 3)
        assert rate.add(pane + 1, 4)
        assert rate.lines(pane + 1) == 7
