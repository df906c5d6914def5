"""The fold over long histories of everything: it goes on from any snapshot, and nothing that can be said stops it."""

from __future__ import annotations

import math

import pytest

from tests.core.chronicle import Chronicle

TOLD = {
    "advice_settled",
    "advised",
    "alerted",
    "anomaly_began",
    "assessed",
    "commanded",
    "forecast",
    "health_changed",
    "incident_closed",
    "phase_entered",
    "planned",
    "predicted",
    "rate_surged",
    "template_joined",
    "template_new",
    "tie_found",
    "verification_failed",
    "verified",
}
"""What a history has to tell of, for its bytes to say something of what remembers it."""


def test_restored_at_any_time_it_decides_the_same_bytes() -> None:
    """A fold that is restored again and again decides, and holds in the end, what one decides that never stopped."""
    told: set[str] = set()
    for seed in range(4):
        world = Chronicle(seed, restores=0.05)
        world.live(90)
        assert world.again.snapshot() == world.fold.snapshot()
        told |= {one.kind for one in world.decisions}
    assert told >= TOLD


@pytest.mark.parametrize("seed", range(6))
def test_numbers_that_nobody_means_stop_nothing(seed: int) -> None:
    """Whatever the numbers and times in a fact, a decision comes of it that every reader can hold."""
    world = Chronicle(100 + seed, restores=0.01, absurd=0.3)
    world.live(40)
    assert world.again.snapshot() == world.fold.snapshot()
    for one in world.decisions:
        assert all(math.isfinite(figure.value) for figure in one.figures)
        assert -(1 << 63) <= one.at_ms < 1 << 63
