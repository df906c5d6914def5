"""Many metrics of one thing: what is normal together, and what is not although each metric alone is."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.jointly import STATES, Group
from streams.core.num import draw

ROWS = st.lists(st.lists(st.floats(allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=60)


def rows(count: int, metrics: int = 6, name: str = "rows") -> list[list[float]]:
    """Return noise, the same everywhere."""
    return [[draw(f"{name} {at} {metric}") for metric in range(metrics)] for at in range(count)]


def surprises(group: Group, seen: list[list[float]]) -> list[float]:
    """Return what a group says of each row."""
    return [group.see(row).surprise for row in seen]


def test_a_row_that_is_off_in_half_of_its_metrics_stands_out() -> None:
    """Three metrics of six that jump at once are further away than anything before."""
    seen = rows(600)
    seen[500][:3] = [5.0, 5.0, 5.0]
    said = surprises(Group(), seen)
    assert said[500] == max(said[:501])


def test_a_known_state_is_normal() -> None:
    """A thing that alternates between two loads is not abnormal in either."""
    seen = [[one + 50 * (at // 90 % 2) for one in row] for at, row in enumerate(rows(3_000))]
    group = Group()
    said = surprises(group, seen)
    strange = surprises(group, [[one + 25 for one in row] for row in rows(3)])
    assert max(strange) > max(said[-80:-10])


def test_an_incident_does_not_soon_become_the_rule() -> None:
    """After twenty abnormal rows the next still is further away than nine of ten normal ones."""
    seen = rows(400)
    incident = [[8.0 + one for one in row] for row in rows(20, name="incident")]
    group = Group()
    normal = sorted(surprises(group, seen)[100:])
    assert surprises(group, incident)[-1] > normal[len(normal) * 9 // 10]


def test_what_is_not_measured_is_never_abnormal() -> None:
    """A row of nothing but missing values is as normal as can be, and doesn't change what is known."""
    group = Group()
    surprises(group, rows(300))
    levels = [track.level.mean for track in group.tracks]
    assert surprises(group, [[math.nan] * 6] * 20)[-1] < 0.2
    assert [track.level.mean for track in group.tracks] == levels


@given(ROWS, ROWS)
def test_nothing_is_known_ahead(before: list[list[float]], after: list[list[float]]) -> None:
    """What is said of a row does not depend on any that follow."""
    assert surprises(Group(), before + after)[: len(before)] == surprises(Group(), before)


@given(ROWS)
def test_the_score_is_a_share(seen: list[list[float]]) -> None:
    """Whatever comes, the score is in 0..1 and nothing is negative."""
    group = Group()
    for row in seen:
        found = group.see(row)
        assert 0.0 <= found.score <= 1.0
        assert found.surprise >= 0.0
        assert found.rarity >= 0.0


def test_states_are_bounded_and_stored() -> None:
    """A group never knows more states than it may, and goes on from its bytes as if nothing had happened."""
    group = Group()
    surprises(group, rows(4_000, metrics=2))
    assert len(group.states) == STATES
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(group), type=Group)
    assert surprises(again, rows(50, 2, "more")) == surprises(group, rows(50, 2, "more"))


def test_a_row_of_another_length_is_our_fault() -> None:
    """Metrics have an order that stays: a row that is too short is refused."""
    group = Group()
    group.see([1.0, 2.0])
    with pytest.raises(ValueError, match="shorter"):
        group.see([1.0])
