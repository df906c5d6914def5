"""The benchmark of latency counts right: every line is in a slice, every critical one has its own command."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from benchmarks.latency import PARTS, Quantiles, Result, Way, quantiles, run
from benchmarks.recovery import HOST, serving
from benchmarks.steady import STEP_SECONDS, Plan
from streams.runtime.admin import create_topics
from streams.settings import Settings


def test_quantiles_are_durations_that_occurred() -> None:
    """None lies between two that were measured, and the last of a thousand is the 99.9th."""
    assert quantiles([float(ms) for ms in range(1_000)]) == Quantiles(500.0, 990.0, 999.0, 999.0)
    assert quantiles([7.0]) == Quantiles(7.0, 7.0, 7.0, 7.0)


def test_the_parts_of_a_way_come_to_its_total() -> None:
    """No millisecond is counted twice or left out."""
    parts = dict(zip(PARTS, Way("s", 100, 112, 115, 121).parts(), strict=True))
    assert parts == {"line to slice": 12, "slice to decision": 3, "decision to command": 6, "total": 21}


def test_moments_are_drawn_once_for_each_service() -> None:
    """Every service breaks exactly once, within the time of the plan, and the same way in each run."""
    names = [f"s{number}" for number in range(200)]
    plan = Plan(rate=1_000, seconds=2.0, partitions=4, critical=len(names))
    moments = plan.moments(names)
    assert Counter(name for broken in moments.values() for name in broken) == Counter(names)
    assert set(moments) <= set(range(round(plan.seconds / STEP_SECONDS)))
    assert moments == plan.moments(names)


@pytest.mark.broker
def test_every_critical_line_has_its_command(broker: Settings) -> None:
    """Through real detect, decide and dispatch nothing is swallowed, and all lines that were sent are accounted for."""
    settings = broker.model_copy(update={"host": HOST})
    result, ways = asyncio.run(_measured(settings))
    assert (result.lines, result.lines_in_slices, result.critical, result.swallowed) == (800, 800, 8, 0)
    assert result.whole
    assert {way.service for way in ways} == {f"critical-{number:05}" for number in range(8)}
    assert all(part >= 0 for way in ways for part in way.parts())


async def _measured(settings: Settings) -> tuple[Result, list[Way]]:
    await create_topics(settings)
    async with serving(settings, ("detect", "decide", "dispatch")):
        return await run(settings, rate=1_000, seconds=0.8, critical=8, warm_seconds=0.2)
