"""What is asked of an incident: what its service's probes say of the options."""

from __future__ import annotations

import pytest

from streams.core.asking import NOTHING_TO_START
from streams.core.config import Inventory, Policy
from streams.core.inventory import ProbeSpec
from tests.core.world import World, of_kind, spec


@pytest.mark.parametrize(
    ("kind", "ok", "barred"),
    [
        ("process", True, True),
        ("process", False, False),
        ("http", True, True),
        ("http", False, False),
        ("disk", True, False),
        ("", True, False),
    ],
)
def test_a_service_that_runs_is_not_started(kind: str, *, ok: bool, barred: bool) -> None:
    """A start is barred while a probe of its liveness is green, and not when it is red or nobody says."""
    world = World()
    world.apply("policy", Policy(exploration_rate=0.0, coordination=False, prediction=False))
    world.apply("inventory", Inventory(services=(spec("api", probes=(ProbeSpec(kind="process"),)),)))
    if kind:
        world.probe("api", ok=ok, kind=kind)
    (decided,) = of_kind(world.detect("api", "service_dependency"), "commanded")
    (start,) = (option for option in decided.options if option.action == "process.start")
    assert (start.barred == NOTHING_TO_START) == barred
    assert decided.command
    assert (decided.command.action == "process.start") != barred
