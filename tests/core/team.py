"""A service whose team is called, comes up, looks and acts: in a few calls."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.core.config import Inventory, Policy
from streams.core.events import Decision, Option
from tests.core.world import World, spec

POLICY = Policy(
    verify_after_ms=3_000,
    stay_away_ms=5_000,
    cooldown_ms=2_000,
    lateness_ms=1_000,
    unverified_after_ms=20_000,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    command_ttl_ms=20_000,
    action_timeout_ms=5_000,
)
UNSURE = "performance_degradation"
"""Its rule names a strategy that these services have no action for."""
CALLED = ["planned", "spawned", "spawned", "spawned", "looked"]


def a_world(*services: str, fields: dict[str, Any] | None = None, **policy: Any) -> World:
    """Return a world with these services; one named ``api`` when none is."""
    world = World()
    world.apply("policy", msgspec.structs.replace(POLICY, **policy))
    specs = [spec(name, **(fields or {})) for name in services or ("api",)]
    world.apply("inventory", Inventory(services=tuple(specs)))
    return world


def call(world: World, service: str = "api", pattern: str = "database_connection") -> list[Decision]:
    """Break a service so that its team is called at once; return what was decided after the incident was opened."""
    return world.detect(service, pattern, severity="critical")[1:]


def of(decisions: list[Decision], kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in decisions if one.kind == kind]


def bring_up(world: World) -> list[Decision]:
    """Report everybody of the last plan as running."""
    plan = of(world.decisions, "planned")[-1].id
    names = [name_of(one) for one in of(world.decisions, "spawned") if one.refers_to == plan]
    return [decision for name in names for decision in world.specialist(name, "running")]


def name_of(decision: Decision) -> str:
    """Return the specialist that a decision is about."""
    return decision.reason.partition(" ")[0]


def finish_looks(world: World, findings: dict[str, float] | None = None) -> list[Decision]:
    """End every look that has not ended, until there is no further one; return what was decided."""
    decided: list[Decision] = []
    while True:
        ended = {one.refers_to for one in of(world.decisions, "command_ended")}
        left = [one for one in of(world.decisions, "looked") if one.id not in ended]
        if not left:
            return decided
        for one in left:
            for code, value in (findings or {}).items():
                world.found(one.id, code, value)
            decided += world.outcome(one.id)


def held(world: World) -> list[str]:
    """Return the names of all specialists that are not known to be gone."""
    state = world.fold._state
    state.roster.needs(state.clock.now_ms)
    return list(state.roster.held)


def explored(world: World, code: str, value: float, pattern: str = UNSURE) -> Decision:
    """Return the decision to act, after every look told of the same finding."""
    call(world, pattern=pattern)
    bring_up(world)
    return of(finish_looks(world, findings={code: value}), "commanded")[0]


def option(decision: Decision, action: str) -> Option:
    """Return an option of a decision."""
    return next(one for one in decision.options if one.action == action)


def acted(
    world: World, service: str = "api", pattern: str = "database_connection", kind: str = "commanded"
) -> Decision:
    """Bring a plan to its act, or to the request for it; return that decision."""
    call(world, service, pattern)
    bring_up(world)
    return of(finish_looks(world), kind)[-1]


def heal(world: World) -> list[Decision]:
    """Let a service stay well until its action is verified."""
    world.wait(2)
    world.normal("api")
    decided = world.wait(8)
    world.ms += 4_000
    return decided + world.normal("api")
