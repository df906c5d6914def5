"""The briefs of the three advisors (``advisors.toml``)."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from streams.core.advice import ADVISORS
from streams.core.errors import InvariantError


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What research believes on behalf of an advisor, in outcomes; see the head of ``advisors.toml``."""

    fix: float
    past: float
    runbook: float


class Advisor(Struct, frozen=True, forbid_unknown_fields=True):
    """One advisor: its id is one of ``core.advice.ADVISORS``."""

    id: str
    brief: str
    weights: Weights
    alone: bool = False


class Advisors(Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``advisors.toml``: ``rules`` are told to each of them, ``service`` to whom the decision service asks."""

    rules: str
    service: str
    advisors: tuple[Advisor, ...]

    def asked(self, *, three: bool) -> tuple[Advisor, ...]:
        """Return who is asked: all three, or the one that is asked alone."""
        return tuple(one for one in self.advisors if three or one.alone)


@cache
def advisors() -> Advisors:
    """Return the table. Raises ``InvariantError`` unless it has the three that the fold knows, one of them alone."""
    found = msgspec.convert(tomllib.loads(Path(__file__).with_name("advisors.toml").read_text("utf-8")), Advisors)
    if tuple(one.id for one in found.advisors) != ADVISORS or sum(one.alone for one in found.advisors) != 1:
        raise InvariantError("advisors.toml: there must be the three advisors of the core, one of them asked alone")
    return found
