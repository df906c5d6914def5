"""Real processes, a real broker, kill -9: the same oracle as in the simulator."""

from __future__ import annotations

import pytest

from streams.settings import Settings
from tests.chaos import workers
from tests.chaos.recovery import restarts, takeover
from tests.chaos.run import Plan, chaos

pytestmark = [pytest.mark.broker, pytest.mark.chaos]


async def test_ten_kills_lose_double_and_change_nothing(broker: Settings) -> None:
    """Ten kills of detect, decide, dispatch, writer and pool under load leave a log that adds up."""
    report = await chaos(broker.model_copy(update={"dry_run": False}), Plan(kills=10, every_seconds=1.5))
    assert report.violations == []
    assert not [one for one in report.died if "InvariantError" in one]
    assert len(report.kills) == 10
    assert sum(flight.total for _, flight in report.kills) > 0
    assert report.effects > 0


async def test_kills_in_the_pool_lose_and_double_nothing(broker: Settings) -> None:
    """Kills of manager and workers under load: what may be repeated is done once, what may not is done or in doubt."""
    settings = broker.model_copy(update={"dry_run": False})
    report = await workers.campaign(settings, workers.Plan(kills=6, every_seconds=0.5))
    assert sum(report.killed.values()) == 6
    assert not report.broken
    assert {kind: one.other for kind, one in report.counts.items()} == dict.fromkeys(workers.KINDS, 0)
    assert report.counts["restart"].done > 0
    assert report.counts["fallback"].done > 0
    assert report.counts["call"].done > 0


async def test_a_killed_decide_comes_back(broker: Settings) -> None:
    """After kill -9 the same process, started again, decides further."""
    assert len(await restarts(broker, 1)) == 1


async def test_the_standby_takes_over(broker: Settings) -> None:
    """When the active decide does not come back, the other one decides further."""
    assert await takeover(broker) > 0
