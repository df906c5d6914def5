"""The canary becomes a decision, and nothing else."""

from __future__ import annotations

import msgspec

from streams.core.canary import SERVICE
from streams.core.config import Inventory
from streams.core.events import Tally
from tests.core.test_fold import a_world
from tests.core.world import World, detection, kinds, spec


def test_the_canary_becomes_one_decision() -> None:
    """It names the line, the pattern and the time of the line, and nobody is asked for anything."""
    world = a_world("api")
    (decided,) = world.detect(SERVICE, "out_of_memory")
    assert (decided.kind, decided.service, decided.pattern, decided.at_ms) == (
        "canary_heard",
        SERVICE,
        "out_of_memory",
        world.ms,
    )
    assert [(one.topic, one.offset) for one in decided.causes] == [("logs", 0)]


def test_the_canary_leaves_no_trace_in_what_is_observed() -> None:
    """No service, rate, template, vital sign or incident is made of it, and no timer is open."""
    world = a_world("api")
    before = seen(world)
    for _ in range(30):
        world.detect(SERVICE, "out_of_memory")
        world.ms += 60_000
    assert seen(world) == before
    assert not world.fold.timer_open


def test_figures_under_its_name_are_those_of_no_service() -> None:
    """Metrics are anybody's to send, too: none of that name is followed, assessed or told of."""
    world = a_world("api")
    before = seen(world)
    for _ in range(5):
        assert world.sample(SERVICE, cpu=99.0, error_rate=100.0) == []
        world.ms += 60_000
    assert seen(world) == before


def test_a_canary_from_the_future_is_of_now() -> None:
    """A stamp that lies ahead would have the canary heard for as long as that, whatever has stopped meanwhile."""
    world = a_world("api")
    (decided,) = world.detect(SERVICE, "out_of_memory", at_ms=world.ms + 86_400_000)
    assert decided.at_ms == world.fold.canary_at_ms == world.ms


def seen(world: World) -> bytes:
    """Return all that the fold remembers, but for places, times and numbers of decisions."""
    state = world.fold._state
    left = {"directory", "clock", "watermarks", "book", "canary_ms", "canary_at_ms"}
    return msgspec.msgpack.encode([getattr(state, name) for name in state.__struct_fields__ if name not in left])


def test_an_inventory_does_not_make_the_canary_a_service() -> None:
    """A service of that name in mode auto is not acted on."""
    world = a_world("api")
    world.apply("inventory", Inventory(services=(spec(SERVICE),)))
    assert kinds(world.detect(SERVICE, "process_crash")) == ["canary_heard"]


def test_a_flood_under_its_name_is_one_decision_in_ten_seconds() -> None:
    """Whoever sends lines under the canary's name can't fill the log of decisions."""
    world = a_world("api")
    decided = []
    for _ in range(100):
        decided += world.detect(SERVICE, "out_of_memory")
        world.ms += 200
    assert kinds(decided) == ["canary_heard"] * 2


def test_lines_beside_the_canary_count_as_ever() -> None:
    """What other services say in the same slice is detected and acted on."""
    world = a_world("api")
    found = [detection(name, "process_crash", world.ms) for name in (SERVICE, "api")]
    tallies = [
        Tally(at_ms=world.ms, service=name, severity="critical", pattern="process_crash", template="", count=1)
        for name in (SERVICE, "api")
    ]
    decided = world.slice(detections=tuple(found), tallies=tuple(tallies))
    assert [(one.kind, one.service) for one in decided] == [
        ("canary_heard", SERVICE),
        ("incident_opened", "api"),
        ("commanded", "api"),
    ]
