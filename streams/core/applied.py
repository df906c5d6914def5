"""What all that people apply has in common: typed, closed to unknown keys, checked field by field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from streams.core.errors import InputError


class Applied(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all that is applied: unknown keys are an error, so a typing mistake never passes for a default."""


def one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    """Raise ``InputError`` when a word is none of those that there are."""
    if value not in allowed:
        raise InputError(f"{what} {value!r} is none of {', '.join(allowed)}")


def unique(what: str, names: Iterable[str]) -> None:
    """Raise ``InputError`` naming the first word that is there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{what} {name!r} is there twice")
        seen.add(name)
