"""What an experienced operator knows of each pattern (``runbooks.toml``), checked against the actions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.catalogue.actions import actions
from streams.catalogue.patterns import patterns
from streams.core.errors import InvariantError

SIGNS: Final = ("dependency_troubled", "host_troubled", "recurring", "resource_short")
"""What a step may wait for; the head of ``runbooks.toml`` says what each one means."""


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """An action that helps against a pattern: its verb, how often (0..1), what must be seen for it, and why."""

    verb: str
    success: float
    why: str
    signs: tuple[str, ...] = ()

    def applies(self, seen: frozenset[str]) -> bool:
        """Tell whether the step counts where these signs are seen."""
        return not self.signs or not seen.isdisjoint(self.signs)


class Runbook(Struct, frozen=True, forbid_unknown_fields=True):
    """What is mostly behind a pattern, what tells its causes apart, and what helps, best first."""

    pattern: str
    cause: str = ""
    look: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@cache
def runbooks() -> Mapping[str, Runbook]:
    """Return the runbooks by pattern. Raises ``InvariantError`` for one that names what there is not."""
    raw = tomllib.loads(Path(__file__).with_name("runbooks.toml").read_text("utf-8"))
    found = {one.pattern: one for one in msgspec.convert(raw["runbooks"], tuple[Runbook, ...])}
    if found.keys() != {rule.id for rule in patterns().rules}:
        raise InvariantError("runbooks.toml: there must be one runbook for each shipped pattern")
    for one in found.values():
        for step in one.steps:
            _check(one.pattern, step)
    return found


def runbook(pattern: str) -> Runbook:
    """Return the runbook of a pattern, an empty one where a user's own rule has none."""
    return runbooks().get(pattern, Runbook(pattern=pattern))


def _check(pattern: str, step: Step) -> None:
    offered = [one for one in actions().values() if one.verb == step.verb and one.offered]
    if not any(not one.patterns or pattern in one.patterns for one in offered):
        raise InvariantError(f"runbooks.toml: {step.verb} is no action against {pattern}")
    if not set(step.signs) <= set(SIGNS) or not 0 < step.success < 1:
        raise InvariantError(f"runbooks.toml: {pattern}: {step.verb}: a sign that there is not, or no share of success")
