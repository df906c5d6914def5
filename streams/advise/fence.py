"""A fence around what a model is shown: nothing that stands inside can close it, or be taken for ours.

Names of services and templates of lines come from whoever writes logs. They are put into one JSON object in which every
character beyond letters, digits and a few signs is written as its number: a text inside can't hold the sign that the
fence begins with, a quotation mark, a line break, or what models take for the turn of somebody else. The fence also
bears the hash of what it encloses, so a text would have to hold the hash of itself to look like its end.
"""

from __future__ import annotations

import hashlib
import json
import math
import string
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

Plain = str | int | float | bool | None | Mapping[str, "Plain"] | Sequence["Plain"]
"""What can be fenced: JSON's own kinds of values."""

MARK: Final = "<"
"""Begins both ends of a fence, and stands nowhere inside."""
TOKEN_DIGITS: Final = 32
"""128 bits of the hash."""
_KEPT: Final = frozenset(string.ascii_letters + string.digits + " .,:;_-/*=()+%@!?")


class Fenced(Struct, frozen=True, kw_only=True):
    """Fenced data: ``text`` is what a model is shown, ``token`` the name of the fence."""

    token: str
    text: str


def fence(data: Mapping[str, Plain]) -> Fenced:
    """Return data inside a fence, one line for each of its entries; ``json.loads`` of the inside gives it back.

    Raises ``ValueError`` for a float that is not finite, which JSON has no word for.
    """
    body = "{\n" + ",\n".join(f"{_quoted(name)}: {_encoded(value)}" for name, value in data.items()) + "\n}"
    token = hashlib.sha256(body.encode()).hexdigest()[:TOKEN_DIGITS]
    return Fenced(token=token, text=f"{MARK}data {token}>\n{body}\n{MARK}/data {token}>")


def _encoded(value: Plain) -> str:
    match value:
        case str():
            return _quoted(value)
        case bool() | int() | None:
            return json.dumps(value)
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} can't be shown")
            return repr(value)
        case Mapping():
            return "{" + ", ".join(f"{_quoted(name)}: {_encoded(one)}" for name, one in value.items()) + "}"
        case _:
            return "[" + ", ".join(map(_encoded, value)) + "]"


def _quoted(text: str) -> str:
    return (
        '"' + "".join(one if one in _KEPT or (one.isalpha() and one > "\x7f") else _escaped(one) for one in text) + '"'
    )


def _escaped(one: str) -> str:
    """Return a character as JSON writes it in ASCII; beyond 16 bits as two halves."""
    pairs = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[at]:02x}{pairs[at + 1]:02x}" for at in range(0, len(pairs), 2))
