"""The patterns that Logmend ships (``patterns.toml``): rules in order of specificity, levels, and signs of an error."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from streams.core.config import RuleSpec


class LevelSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Case-sensitive expressions by which a text line states its severity, near its beginning."""

    severity: str
    expressions: tuple[str, ...]


class SignSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Words of a line that looks like an error, and what takes that back."""

    expressions: tuple[str, ...]
    unless: tuple[str, ...] = ()


class PatternCatalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``patterns.toml``. Of two rules that match a line, the earlier one names it.

    ``benign`` takes every match of a shipped rule back: what tests, help texts and settings look like. ``served`` does
    so for all but category security: a request that was served, in an access log.
    """

    rules: tuple[RuleSpec, ...]
    levels: tuple[LevelSpec, ...]
    signs: SignSpec
    benign: tuple[str, ...] = ()
    served: tuple[str, ...] = ()


@cache
def patterns() -> PatternCatalogue:
    """Return the shipped catalogue. A mistake in it raises ``msgspec`` errors as is."""
    raw = tomllib.loads(Path(__file__).with_name("patterns.toml").read_text("utf-8"))
    return msgspec.convert(raw, PatternCatalogue)
