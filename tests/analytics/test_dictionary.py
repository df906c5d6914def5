"""The data dictionary says what every view and column is, and is the one that is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from analytics.dictionary import COMMON, View, markdown, meanings, views

COMMITTED: Final = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


@pytest.fixture(scope="module")
def described() -> tuple[View, ...]:
    """Return all views."""
    return views()


def test_nothing_is_without_a_description(described: tuple[View, ...]) -> None:
    """Every view and every column says what it is."""
    assert [view.name for view in described if not view.about] == []
    assert [(view.name, one.name) for view in described for one in view.columns if not one.meaning] == []


def test_nothing_is_described_that_is_not_there(described: tuple[View, ...]) -> None:
    """Each description is of a column that exists; one for all views is used by one of them at least."""
    there = {view.name: {one.name for one in view.columns} for view in described}
    gone = [(view, name) for view, own in meanings().items() if view != COMMON for name in set(own) - there[view]]
    assert gone == []
    uses = {
        name: sum(name in columns and name not in meanings().get(view, {}) for view, columns in there.items())
        for name in meanings()[COMMON]
    }
    assert [name for name, count in uses.items() if count == 0] == []


def test_no_description_says_the_same_again() -> None:
    """A view's own description differs from the one for all views."""
    common = meanings()[COMMON]
    for view, own in meanings().items():
        assert view == COMMON or [name for name, text in own.items() if common.get(name) == text] == []


def test_the_committed_dictionary_is_up_to_date() -> None:
    """docs/data-dictionary.md is what ``python -m analytics.dictionary`` prints now."""
    assert COMMITTED.read_text("utf-8") == markdown()
