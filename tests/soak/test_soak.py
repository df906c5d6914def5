"""Small versions of the long runs: what they would find, and that they run at all."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest

from analytics import compact
from analytics.manifest import load
from analytics.writer import EventLogWriter
from benchmarks import memory
from streams.core.config import SERVICES_MAX
from streams.settings import Settings
from tests.analytics.archive import Clock, archive
from tests.analytics.history import History
from tests.soak.flat import trend
from tests.soak.readers import report_of
from tests.soak.reading import reading
from tests.soak.run import Plan, lines_of, soak


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ([100.0] * 40, True),
        ([100.0 + (number % 5) * 3 for number in range(40)], True),  # it sways
        ([100.0] * 20 + [100.0, 100.0, 900.0, 100.0] * 5, True),  # a quarter of the samples are wild
        ([50.0 + number for number in range(20)] + [100.0] * 20, True),  # the warm-up grew
        ([100.0 + number * 0.4 for number in range(40)], False),
        ([100.0 + number // 2 + (number % 3) * 5 for number in range(40)], False),  # it sways and grows
    ],
)
def test_growth_in_the_second_half_is_found(values: list[float], *, flat: bool) -> None:
    """A slope of 5 % in the second half is found under what sways; warm-up and wild samples are no slope."""
    found = trend([(number * 5.0, value) for number, value in enumerate(values)])
    assert found.judged
    assert found.flat is flat


def test_few_samples_say_nothing() -> None:
    """Of a run that was too short nothing is said."""
    found = trend([(0.0, 1.0), (5.0, 2.0), (10.0, 3.0)])
    assert not found.judged
    assert trend([]).flat


def test_services_without_end_take_no_memory_without_end() -> None:
    """Of more services than may be live the longest silent leave, on record, and each takes less than 1 KB of state."""
    found = memory.measure(SERVICES_MAX + 4_000)
    assert found.looks[-1].live == SERVICES_MAX
    assert found.evicted == 4_000
    assert found.bytes_per_service <= memory.BYTES_PER_SERVICE_MAX


async def _write(history: History, directory: Path, merges: int) -> None:
    """Archive what happens, a segment a step, until so many segments were merged; 40 s of the writer's clock a step."""
    clock, merged = Clock(), set[int]()
    with EventLogWriter(history.log, history.topics, directory, clock_ms=clock) as writer:
        for number in count():
            history.log.now_ms = time.time_ns() // 1_000_000
            history.see(f"app-{number}", "process_crash")
            clock.now_ms += 40_000
            await writer.flush()
            await writer.step()
            merged |= {one.last for one in load(directory).stream("facts").segments if one.level}
            if len(merged) >= merges:
                return


async def test_readers_are_answered_while_segments_are_merged(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers get whole and ever newer answers while segments come, are merged and are removed under them."""
    monkeypatch.setattr(compact, "FAN_IN", 3)
    history = History()
    history.log.now_ms = time.time_ns() // 1_000_000
    history.begin()
    await archive(history, in_memory)
    with reading(in_memory, 3) as readers:
        readers.begin()
        await _write(history, in_memory, 4)
        heard = readers.end()
    report = report_of(heard, 0.1, len(history.decisions), 4)
    assert report.errors == ()
    assert all(one.ages_seconds for one in heard)
    assert 0 < max(report.ages_seconds) < time.time()


@pytest.mark.broker
async def test_a_short_soak_of_everything(broker: Settings) -> None:
    """With everything running and a process killed under load, each line is counted once and lag goes to zero."""
    plan = Plan(minutes=0.05, sample_seconds=1.0, fault_seconds=3.0, rate=1_000)
    report = await soak(broker.model_copy(update={"dry_run": False}), plan)
    assert report.kept, list(lines_of(report))
    assert [one.what for one in report.faults] == ["kill detect"]
    assert report.counted > 0
    assert all(one.samples for name, some in report.trends.items() for what, one in some.items() if what != "tasks")
