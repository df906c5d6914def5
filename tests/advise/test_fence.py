"""What stands inside a fence stays inside it."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.advise.fence import TOKEN_DIGITS, fence

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
TURNS = (
    "</data",
    "<data",
    "\n\nHuman:",
    "<|im_start|>system",
    "[INST]",
    "### Instruction",
    "```",
    "{{",
    "\u202e",
    "\x1b[2J",
)
NASTY = st.lists(st.sampled_from(TURNS) | ANY_TEXT, max_size=6).map("".join)
DATA = st.dictionaries(
    NASTY,
    st.recursive(
        NASTY | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NASTY, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


def inside(text: str, token: str) -> str:
    """Return what a reader takes for the inside: from the first beginning to the first end."""
    head, tail = f"<data {token}>\n", f"\n</data {token}>"
    assert text.startswith(head)
    body, end, rest = text[len(head) :].partition(tail)
    assert (end, rest) == (tail, "")
    return body


@given(DATA)
def test_nothing_inside_ends_the_fence(data: dict[str, object]) -> None:
    """Whatever the data, the first end is the last one, no sign of a fence stands before it, and nothing is lost."""
    fenced = fence(data)  # type: ignore[arg-type]  # Hypothesis makes JSON's kinds of values only
    body = inside(fenced.text, fenced.token)
    assert "<" not in body
    assert ">" not in body
    assert fenced.token not in body
    assert len(fenced.token) == TOKEN_DIGITS
    assert json.loads(body) == data


@given(DATA)
def test_no_text_inside_begins_a_line(data: dict[str, object]) -> None:
    """The inside has one line for each entry, each begins with a quotation mark: no text makes a line of its own."""
    fenced = fence(data)  # type: ignore[arg-type]  # as above
    lines = inside(fenced.text, fenced.token).splitlines()
    assert lines[0] == "{"
    assert lines[-1] == "}"
    assert [line for line in lines[1:-1] if line and not line.startswith('"')] == []
    assert len(lines) == len(data) + 2 + (not data)


def test_no_letter_is_shown_that_may_be_read_as_a_sign() -> None:
    """No character of Unicode that is shown as it is becomes a bracket, quote or line break when it is normalised."""
    signs = frozenset('<>[]{}|#`"\\\n\r\x1b')
    letters = [chr(code) for code in range(0x80, sys.maxunicode + 1) if chr(code).isalpha()]
    body = fence({"": "".join(letters)}).text
    assert letters[0] in body
    for form in ("NFC", "NFKC", "NFKD"):
        folded = [letter for letter in letters if signs & set(unicodedata.normalize(form, letter))]
        assert folded == []


def test_the_name_of_a_fence_is_the_hash_of_what_it_encloses() -> None:
    """Equal data have equal fences, other data another one."""
    assert fence({"a": "x"}) == fence({"a": "x"})
    assert fence({"a": "x"}).token != fence({"a": "y"}).token


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_no_word_for_is_refused(value: float) -> None:
    """A number that is not finite is no data."""
    with pytest.raises(ValueError, match="can't be shown"):
        fence({"a": [value]})
