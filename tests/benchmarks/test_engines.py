"""Every engine of W1 that is installed finds in a few thousand lines what an offline count does."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import peers, reporting
from benchmarks.engines.kafka_streams import building
from benchmarks.peers import Report, Source
from benchmarks.running import Engine, Ran, Wanted

pytestmark = pytest.mark.broker

LINES = 3_000
BOTH_WAYS = "Bytewax"
"""Each engine runs once, and this one as normally written, too: most files are the same for both."""


async def _short_of(place: Source, engine: Engine, brokers: str, directory: Path) -> Ran:
    """Run an engine that is asked for one line more than there is."""
    wanted = place.wanted[engine.how]
    more = Counter(wanted.counts)
    more[next(iter(sorted(more)))] += 1
    asked = Source(place.topic, {engine.how: Wanted(wanted.lines, more, wanted.closed)})
    return await peers.one(engine, brokers, asked, directory, f"{place.topic}-short", stalled_seconds=2)


@pytest.fixture(scope="module")
def ready() -> list[Engine]:
    """Return the engines that are there; one that is to be built is built for it, once on a machine."""
    asked = [engine for engine in peers.ENGINES if engine.how == peers.SAME or engine.name == BOTH_WAYS]
    return [engine for engine in asked if not engine.missing]


@pytest.fixture(scope="module")
def runs(broker_address: str, tmp_path_factory: pytest.TempPathFactory, ready: list[Engine]) -> tuple[list[Ran], Ran]:
    """Run all engines at once, for each mostly waits; the last one is asked for a line that does not exist."""
    directory, topic = tmp_path_factory.mktemp("engines"), f"w1-{uuid.uuid4().hex[:8]}"

    async def all_of_them() -> tuple[list[Ran], Ran]:
        place = await peers.source(broker_address, topic, LINES)
        short = _short_of(place, ready[0], broker_address, directory)
        each = [
            peers.one(engine, broker_address, place, directory, f"{topic}-{number}")
            for number, engine in enumerate(ready)
        ]
        *found, dropped = await asyncio.gather(*each, peers.everything(broker_address, place, directory, topic), short)
        return found, dropped

    return asyncio.run(all_of_them())


def test_all_engines_count_the_same(runs: tuple[list[Ran], Ran], ready: list[Engine]) -> None:
    """Each match once at its topic, and each window's counts as the offline count has them."""
    found, _ = runs
    assert {(ran.name, ran.how) for ran in found if not ran.counts_equal} == set()
    assert len(found) == len(ready) + 1


def test_a_line_that_is_missed_is_seen(runs: tuple[list[Ran], Ran]) -> None:
    """One line fewer than was asked for, and the counts are not equal."""
    found, dropped = runs
    assert (dropped.matched, dropped.counts_equal) == (found[0].matched, False)


def test_without_a_compiler_kafka_streams_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of Java is asked for where there is no JDK; a line says how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    building.missing.cache_clear()
    told = {engine.missing for engine in peers.ENGINES if engine.name == "Kafka Streams"}
    building.missing.cache_clear()
    assert [line.startswith("Kafka Streams is left out: install a JDK") for line in told] == [True]


def test_ratios_are_judged_by_floor_and_goal() -> None:
    """Below the floor is a miss, from the goal on it says so; what did not run has no ratio."""
    runs = [_ran("Logmend", 10.0), _ran("Bytewax", 15.0), _ran("Quix Streams", 80.0)]
    assert [(ratio.value, ratio.verdict) for ratio in peers.ratios(runs)] == [
        (1.5, "pass"),
        (8.0, "goal"),
        (0.0, "MISS"),
    ]


def _ran(name: str, seconds: float) -> Ran:
    return Ran(name=name, how=peers.SAME, lines=1, matched=1, seconds=seconds, memory_mb=1.0, counts_equal=True)


def test_a_report_is_printed_and_written(runs: tuple[list[Ran], Ran], tmp_path: Path) -> None:
    """It names each engine and what was left out, fails for one wrong count, and comes as JSON and as a plot."""
    found, dropped = runs
    report = Report(lines=LINES, rounds=1, runs=(*found, dropped), ratios=(), costs=(), left_out=("none",))
    assert not report.counts_equal
    printed = reporting.tables(report)
    assert all(ran.name in printed for ran in found)
    assert printed.endswith("none")
    reporting.write(report, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"w1.json", "w1.png"}
