"""Real processes, a real broker, faults of all kinds: the same oracle as in the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.settings import Settings
from tests.chaos import workers
from tests.chaos.faults import KILLS, ONCE, ZOMBIES
from tests.chaos.load import Rates
from tests.chaos.run import Plan, chaos, settings_in

pytestmark = [pytest.mark.broker, pytest.mark.chaos]


LONG = {
    *("rolling restart", "topic made anew", "detect comes and goes", "decide stays dead", "disk full", "clock +1 h"),
    *("broker killed", "deadly record"),
}
"""These wait for many starts, are much like another or have tests of their own (``tests/broker``, ``test_wary``);
``make chaos`` plays them, and the simulator does."""
PLAYED = tuple(one for one in ONCE if one.name not in LONG)


async def test_faults_lose_double_and_change_nothing(formatted: Path) -> None:
    """Each kind of kill, a zombie and the short ones of the other faults under load leave a log that adds up."""
    plan = Plan(kills=len(KILLS), zombies=1, once=PLAYED, every_seconds=0.3, rates=Rates(500, 20.0))
    report = await chaos(settings_in(formatted, session_timeout_ms=2_000), plan)
    assert report.violations == []
    assert not [one for one in report.died if "InvariantError" in one and "was made anew" not in one]
    assert {one.name for one in report.faults} >= {one.name for one in (*KILLS, *PLAYED) if not one.needs_disk}
    assert sum(one.name in {zombie.name for zombie in ZOMBIES} for one in report.faults) == 1
    assert sum(one.flight.total for one in report.faults) > 0
    assert report.effects > 0
    assert report.lost > 0


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
