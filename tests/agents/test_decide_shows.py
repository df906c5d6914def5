"""What decide shows of the fold to whoever watches it."""

from __future__ import annotations

from streams import telemetry
from tests.agents.test_decide import Stage, some
from tests.sim.scene import FACTS


def test_a_successor_shows_at_once_how_things_stand() -> None:
    """What a snapshot holds is measured before the first fact after it: a kill switch that is on does not look off."""
    stage = some(Stage())
    first = stage.owner()
    stage.story.halt()
    stage.tell()
    stage.work(first)
    stage.snapshot(first)
    telemetry.action_halted(halted=False)
    telemetry.incidents_open(0)
    stage.run(stage.owner("two").load([FACTS]))
    shown = [telemetry.REGISTRY.get_sample_value(f"logmend_{name}") for name in ("action_halted", "incidents_open")]
    assert shown == [1.0, 1.0]
