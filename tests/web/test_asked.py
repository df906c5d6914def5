"""What became of tasks, in whatever order facts and decisions are read."""

from __future__ import annotations

import pytest

from streams.core.events import OutcomeReported
from streams.web.asked import Asked
from tests.core.asking import task
from tests.core.world import World


@pytest.mark.parametrize("outcome_first", [True, False])
def test_who_did_a_task_is_known(*, outcome_first: bool) -> None:
    """The outcome is a fact, the end a decision, and either may be read first: the worker is known in the end."""
    world = World()
    world.probe("api", ok=True)
    (given,) = task(world)
    (ended,) = world.outcome(given.id, code="alive")
    outcome = OutcomeReported(
        command_id=given.id,
        command_seq=0,
        host="h1",
        worker="critic_001",
        status="done",
        ok=True,
        code="alive",
        effect="none",
        started_ms=0,
        finished_ms=0,
        skew_ms=0,
    )
    asked = Asked("inbox")
    asked.take(given)
    if outcome_first:
        assert asked.took(outcome)
    asked.take(ended)
    if not outcome_first:
        assert asked.took(outcome)
    found = asked.tasks["t1"]
    assert (found.status, found.worker) == ("completed", "critic_001")
