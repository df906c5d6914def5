"""A model's text is an opinion only if it is one flat JSON object of our fields, each within its bounds and lists.

What surrounds the object (a fence of back quotes, a sentence) is passed over as long as there is no brace in it: which
of two objects was meant, or which part of a broken one, is not for us to guess. Ids are compared as they are, letter by
letter: no case is folded and no Unicode is normalised, so what merely looks like an id is none.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

TEXT_CHARS_MAX: Final = 32_768
"""A longer text is none: an opinion is 500 characters, its rationale at most 2 000."""
ID_CHARS_MAX: Final = 256
UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that steer a terminal, turn the order of letters, or can't be seen."""


class Allowed(Struct, frozen=True, kw_only=True):
    """What an opinion may name: ids of the question's options, its services, and patterns. ``""`` always may be."""

    actions: frozenset[str]
    suspects: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()


class Opinion(Struct, frozen=True, kw_only=True):
    """What a model thinks: ``action`` ``""`` abstains; ``confidence`` 0..1; ``rationale`` is one line, not redacted."""

    action: str
    suspect: str
    cause: str
    confidence: float
    rationale: str


class BadAnswer(Struct, frozen=True, kw_only=True):
    """Why a text is none; ``reason`` is one line of ours with nothing of the text in it."""

    code: Literal["bad_answer", "not_allowed"]
    reason: str


Id = Annotated[str, Meta(max_length=ID_CHARS_MAX)]
Share = Annotated[float, Meta(ge=0, le=1)]


class _Written(Struct, forbid_unknown_fields=True):
    action: Id
    confidence: Share
    suspect: Id = ""
    cause: Id = ""
    rationale: str = ""


def read_answer(text: str, allowed: Allowed) -> Opinion | BadAnswer:
    """Return the opinion in a model's text, or why there is none. Takes any text in time linear in its length."""
    if len(text) > TEXT_CHARS_MAX:
        return BadAnswer(code="bad_answer", reason="too long")
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return BadAnswer(code="bad_answer", reason="no JSON object")
    try:
        raw = json.loads(text[begin : end + 1], object_pairs_hook=_flat)
        written = msgspec.convert(raw, _Written)
    except RecursionError:
        return BadAnswer(code="bad_answer", reason="not a flat object")
    except msgspec.ValidationError:
        return BadAnswer(code="bad_answer", reason="not our fields")
    except ValueError:
        return BadAnswer(code="bad_answer", reason="not one JSON object")
    return _checked(written, allowed)


def _checked(written: _Written, allowed: Allowed) -> Opinion | BadAnswer:
    """Compare the ids with the lists; an opinion that names anything else is none."""
    for field, value, ids in (
        ("action", written.action, allowed.actions),
        ("suspect", written.suspect, allowed.suspects),
        ("cause", written.cause, allowed.causes),
    ):
        if value and value not in ids:
            return BadAnswer(code="not_allowed", reason=f"{field} is none of the question's")
    return Opinion(
        action=written.action,
        suspect=written.suspect,
        cause=written.cause,
        confidence=abs(written.confidence),  # -0.0 is 0
        rationale=_line(written.rationale),
    )


def _flat(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Refuse a field that is there twice: an answer that says two things says nothing."""
    if len(fields := dict(pairs)) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _line(text: str) -> str:
    """Return the text as one line of characters that can be seen."""
    seen = "".join(" " if unicodedata.category(letter) in UNSEEN else letter for letter in text)
    return " ".join(seen.split())
