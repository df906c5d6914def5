"""What another installation learnt is applied here: believed a little, and replaced by what is applied later."""

from __future__ import annotations

import pytest

from streams.catalogue import strategies
from streams.core.config import Inventory
from streams.core.experience import Experience, LessonSpec
from streams.core.fold import Fold
from tests.core.world import World, spec

RESTART = "process.restart"


def lessons(successes: int, failures: int) -> Experience:
    """Return what was learnt elsewhere of restarts after crashes."""
    found = LessonSpec(
        pattern="process_crash",
        service_type="process",
        action=RESTART,
        successes=successes,
        failures=failures,
    )
    return Experience(lessons=(found,))


def expected(*applied: Experience) -> float:
    """Return the success that is expected of a restart once a service crashes, after others' lessons were applied."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api", mode="auto"),)))
    for one in applied:
        world.apply("lessons", one)
    world.fold = Fold.restore(world.fold.snapshot(), strategies())
    decided = world.detect("api", "process_crash", severity="error")
    asked = next(one for one in decided if one.options)
    return next(option.expected_success for option in asked.options if option.action == RESTART)


def test_what_failed_elsewhere_is_expected_to_help_less_here() -> None:
    """Twenty failures elsewhere lower what is expected of an action; a snapshot keeps them."""
    assert expected(lessons(0, 20)) < expected() < expected(lessons(20, 0))


def test_what_is_applied_later_takes_the_place_of_what_was() -> None:
    """Applying the same file twice says it once, and an empty one takes it back."""
    assert expected(lessons(0, 20), lessons(0, 20)) == pytest.approx(expected(lessons(0, 20)))
    assert expected(lessons(0, 20), Experience()) == expected()
