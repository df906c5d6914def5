"""An incident that advisors are asked about: in phase 2, where one is asked, or in phase 3, where three are."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from streams.core.advice import ROOT_CAUSE
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from tests.core.world import World, of_kind, spec

POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=0,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    coordination=False,
)
RESTART, START, CLEAN = "process.restart", "process.start", "process.rollback_config"


def a_world(*names: str, present: bool = True, **policy: Any) -> World:
    """Return a world with advisors (all three unless named), and a service whose first attempt has failed."""
    world = World()
    world.apply("policy", replace(POLICY, **policy))
    world.apply("inventory", Inventory(services=(spec("api"), spec("db"))))
    if present:
        world.advisors(*names)
    fail(world, world.detect("api", "configuration_error"))
    return world


def fail(world: World, decided: list[Decision]) -> None:
    """Let the command that was just decided fail."""
    world.outcome(of_kind(decided, "commanded")[-1].id, ok=False)


def heal(world: World) -> list[Decision]:
    """Let the newest command help, and return what is decided until its incident is closed."""
    decided = world.outcome(of_kind(world.decisions, "commanded")[-1].id)
    decided += world.wait(5)
    decided += world.normal("api")
    return decided + world.wait(2)


def in_phase_3(**policy: Any) -> World:
    """Return a world with an incident in phase 3, three advisors asked."""
    world = a_world(**policy)
    world.opine(ROOT_CAUSE, START, 0.1)
    return world


def settled(world: World) -> list[str]:
    """Return what came of each question."""
    return [one.reason for one in of_kind(world.decisions, "advice_settled")]


def phases(world: World) -> list[str]:
    """Return the reasons of phases 2 and 3."""
    return [one.reason for one in of_kind(world.decisions, "phase_entered")]


def last(world: World, kind: str) -> Decision:
    """Return the newest decision of a kind."""
    return of_kind(world.decisions, kind)[-1]
