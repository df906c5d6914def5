"""What became of tasks, in whatever order facts and decisions are read."""

from __future__ import annotations

import asyncio

import pytest

from streams.core.events import Decision, OutcomeReported
from streams.web.asked import Asked
from tests.core.asking import task
from tests.core.world import World


def done() -> tuple[Decision, Decision, OutcomeReported]:
    """Return the decisions that gave a task and ended it, and the outcome between them."""
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
    return given, ended, outcome


@pytest.mark.parametrize("outcome_first", [True, False])
def test_who_did_a_task_is_known(*, outcome_first: bool) -> None:
    """The outcome is a fact, the end a decision, and either may be read first: the worker is known in the end."""
    given, ended, outcome = done()
    asked = Asked("inbox")
    asked.take(given)
    if outcome_first:
        assert asked.took(outcome)
    asked.take(ended)
    if not outcome_first:
        assert asked.took(outcome)
    found = asked.tasks["t1"]
    assert (found.status, found.worker) == ("completed", "critic_001")


@pytest.mark.parametrize("waits_from", ["the beginning", "its end"])
async def test_a_result_names_who_did_it_when_the_end_is_read_first(waits_from: str) -> None:
    """Whoever waits for a task gets it with its worker, be the outcome read a moment after the end."""
    given, ended, outcome = done()
    asked = Asked("inbox")
    asked.take(given)
    if waits_from == "its end":
        asked.take(ended)
    waiting = asyncio.ensure_future(asked.result("t1", 30.0))
    await asyncio.sleep(0)
    asked.take(ended)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert asked.took(outcome)
    found = await waiting
    assert found is not None
    assert (found.status, found.worker) == ("completed", "critic_001")
    assert asked.waiters == {}


async def test_a_worker_that_is_never_named_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome that nobody reads does not keep a result back for as long as its caller would wait."""
    monkeypatch.setattr("streams.web.asked.NAMED_S", 0.01)
    given, ended, _ = done()
    asked = Asked("inbox")
    asked.take(given)
    asked.take(ended)
    found = await asked.result("t1", 3_600.0)
    assert found is not None
    assert (found.status, found.worker, asked.waiters) == ("completed", "", {})
