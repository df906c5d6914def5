"""The tables of coordination: which specialists there are, who works together on what, and what findings speak for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

WAYS: Final = ("sequential", "parallel", "hierarchical", "swarm")


class SpecialistRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A specialist: which categories it leads in, what it looks at, and what one of it may hold.

    ``topics`` are those of a service that it can look at, ``verbs`` the actions that it may carry out. ``cpu`` is in
    processors.
    """

    name: str
    categories: tuple[str, ...]
    topics: tuple[str, ...]
    verbs: tuple[str, ...]
    cpu: float
    memory_mb: int
    bandwidth_mbps: int


class TeamRow(Struct, frozen=True, forbid_unknown_fields=True):
    """Who supports the leading specialist on a pattern, and in which ways they may be coordinated, best first.

    ``at_once_from``: from this severity on the team is called before the first attempt; ``""``: only after one failed.
    """

    pattern: str
    support: tuple[str, ...]
    ways: tuple[str, ...]
    at_once_from: str = ""


class FindingRow(Struct, frozen=True, forbid_unknown_fields=True):
    """What a look can find: its code, unit and meaning, and the topic that brings it."""

    code: str
    topic: str
    unit: str
    meaning: str


class HintRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A finding that speaks for a verb: with ``above < value`` (or ``value < below``) its options get ``weight``.

    The weight is in pseudo-successes, as that of a rule.
    """

    finding: str
    verb: str
    weight: float
    above: float | None = None
    below: float | None = None

    def speaks(self, findings: Mapping[str, float]) -> bool:
        """Tell whether what was found speaks for the verb."""
        value = findings.get(self.finding)
        if value is None:
            return False
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)


class Teams(Struct, frozen=True, forbid_unknown_fields=True):
    """All tables of coordination."""

    specialists: tuple[SpecialistRow, ...]
    teams: tuple[TeamRow, ...]
    findings: tuple[FindingRow, ...]
    hints: tuple[HintRow, ...]

    def leader(self, category: str) -> SpecialistRow:
        """Return the specialist that leads in a category; the last one is for what is of none."""
        return next((row for row in self.specialists if category in row.categories), self.specialists[-1])

    def specialist(self, name: str) -> SpecialistRow | None:
        """Return the row of a specialist."""
        return next((row for row in self.specialists if row.name == name), None)

    def team(self, pattern: str) -> TeamRow:
        """Return who works on a pattern; by default the leader alone, in any way."""
        return next((row for row in self.teams if row.pattern == pattern), TeamRow(pattern, (), WAYS))
