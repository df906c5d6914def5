"""A source that was made anew is read from its start again, once a person has accepted that."""

from __future__ import annotations

import pytest

from streams.core.errors import InvariantError
from streams.core.events import LinesLost, Slice, Took
from streams.core.slices import Ledger, Verdict


def took(term: int) -> Took:
    """Return a taking of logs/0."""
    return Took(source="logs", partition=0, term=term, nonce=f"n{term}", owner="o")


def cut(term: int, start: int, end: int) -> Slice:
    """Return a slice of logs/0."""
    return Slice(
        source="logs",
        partition=0,
        term=term,
        from_offset=start,
        to_offset=end,
        rules_sha256="",
        lines=0,
        at_max_ms=0,
        append_max_ms=0,
    )


def lost(term: int, start: int, end: int) -> LinesLost:
    """Return a loss of logs/0."""
    return LinesLost(source="logs", partition=0, term=term, from_offset=start, to_offset=end)


@pytest.fixture
def ledger() -> Ledger:
    """Return a ledger in which logs/0 was read up to 100, and taken a second time."""
    ledger = Ledger()
    for fact in (took(1), cut(1, 0, 100), took(2)):
        assert ledger.judge(fact) is Verdict.ACCEPTED
    return ledger


def test_a_reset_moves_the_position_back(ledger: Ledger) -> None:
    """After it slices go on from the new start, and what comes twice is a repeat again."""
    assert ledger.judge(lost(2, 100, 0)) is Verdict.ACCEPTED
    assert ledger.judge(cut(2, 0, 10)) is Verdict.ACCEPTED
    assert ledger.judge(cut(2, 0, 10)) is Verdict.REPEATED


def test_a_reset_counts_only_from_the_position_itself(ledger: Ledger) -> None:
    """One that was written when less had been read is a repeat, and moves nothing."""
    assert ledger.judge(lost(2, 90, 0)) is Verdict.REPEATED
    assert ledger.holding("logs", 0).to_offset == 100


def test_a_reset_of_an_older_term_is_a_zombie(ledger: Ledger) -> None:
    """Somebody took the partition since: the reset is void."""
    assert ledger.judge(lost(1, 100, 0)) is Verdict.ZOMBIE


def test_a_slice_never_moves_the_position_back(ledger: Ledger) -> None:
    """Only a loss can: a slice that goes back is a repeat, and one that jumps is a hole."""
    assert ledger.judge(cut(2, 100, 50)) is Verdict.REPEATED
    with pytest.raises(InvariantError):
        ledger.judge(cut(2, 101, 102))
