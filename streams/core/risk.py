"""How risky an action is on a service as it stands now, and what the incident means to users, business and technology.

Both are read from ``catalogue/strategies.toml`` and the inventory alone. What no table knows can't be undone, may lose
anything and may reach everybody on its host: it is as risky as can be (SPEC C3).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from streams.core.fleet import Reach
from streams.core.num import stored


class HarmRow(Struct, frozen=True, forbid_unknown_fields=True):
    """What a verb may do to a service that still works, each 0..1; ``data`` and ``security`` also to one that is down.

    ``interrupts``: how much of its service its users miss. ``data``: how much may be lost. ``security``: how far it may
    open what was closed.
    """

    verb: str
    interrupts: float
    data: float
    security: float


class RiskTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of SPEC C3."""

    irreversible: float
    """Risk of what can't be undone, whatever else it does."""
    blast_max: float
    """Risk of an action that disturbs any number of other services ..."""
    blast_half: float
    """... of which so many are half of it."""
    harms: tuple[HarmRow, ...]
    severities: Mapping[str, float]
    """How much of what a service is for is missing, by severity."""

    def harm(self, verb: str) -> HarmRow:
        """Return the row of a verb; the worst there is for one without."""
        return next((row for row in self.harms if row.verb == verb), HarmRow(verb, 1.0, 1.0, 1.0))


class Standing(Struct, frozen=True, kw_only=True):
    """How a service stands: what depends on it, who shares its host, and whether it is down already."""

    reach: Reach = Reach()
    down: bool = False


class Risk(Struct, frozen=True, kw_only=True):
    """Risk of an action in its dimensions, each 0..1."""

    reversibility: float
    blast: float
    availability: float
    data: float
    security: float

    @property
    def overall(self) -> float:
        """Return the chance that any of them strikes, if each were a chance of its own (noisy-or)."""
        left = 1.0
        for value in (self.reversibility, self.blast, self.availability, self.data, self.security):
            left *= 1.0 - value
        return stored(1.0 - left)

    def figures(self) -> dict[str, float]:
        """Return all dimensions and the whole, by the names of ``kinds.FIGURES``."""
        return {
            "risk": self.overall,
            "risk_reversibility": self.reversibility,
            "risk_blast": self.blast,
            "risk_availability": self.availability,
            "risk_data": self.data,
            "risk_security": self.security,
        }


def assess(table: RiskTable, verb: str, *, reversible: bool, blast_radius: str, standing: Standing) -> Risk:
    """Return the risk of an action; one whose ``blast_radius`` is none of the three counts as ``host``.

    Interrupting a service disturbs all that depend on it. What is down already can't be interrupted.
    """
    harm, reach = table.harm(verb), standing.reach
    interrupts = 0.0 if standing.down or blast_radius == "none" else harm.interrupts
    others = reach.dependents if interrupts > 0.0 else 0
    if blast_radius not in {"none", "service"}:
        others += reach.neighbours
    return Risk(
        reversibility=0.0 if reversible else table.irreversible,
        blast=stored(table.blast_max * others / (others + table.blast_half)),
        availability=interrupts,
        data=harm.data,
        security=harm.security,
    )


def impact(table: RiskTable, severity: str, reach: Reach) -> dict[str, float]:
    """Return what an incident of this severity means, by the names of ``kinds.FIGURES``.

    Nothing is known of a service that the inventory does not have.
    """
    if not reach.technology:
        return {}
    weight = table.severities.get(severity, 1.0)
    return {
        "impact_users": stored(weight * reach.users),
        "impact_business": stored(weight * reach.business),
        "impact_technology": stored(weight * reach.technology),
        "dependents": float(reach.dependents),
    }
