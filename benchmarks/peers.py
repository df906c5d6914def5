"""Logmend beside other engines on W1: the runs, the ratios, and what each of Logmend's features costs.

*Same work*: one decoder, one matcher, counts of 10 s windows, every match to a topic, all output acknowledged.
*Everything on*: ``logmend detect`` as it is, beside the same engines as they are normally written and beside the limit
of one process. One broker for all, one process for each engine, one after the other; with several rounds each engine
runs once a round, so that what else the machine does meets them all. ``running.py`` says what is timed.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.engines import usual
from benchmarks.engines.job import Job
from benchmarks.engines.kafka_streams import building
from benchmarks.following import detect
from benchmarks.lines import BEGAN_MS, CLOSING_AFTER_MS, PARTITIONS, Line, closing, generate
from benchmarks.running import PEERS, STALLED_SECONDS, Engine, Ran, Wanted, make_topics, run
from benchmarks.shipping import WINDOW_MS, Counts, agree, expected, ship, windows_of
from benchmarks.steps import Cost, as_json, measure
from streams.ingest import matcher
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings

SLOW_LINES_MAX: Final = 50_000
"""For engines that take so long for a line that a million would take minutes."""
STEP_LINES_MAX: Final = 20_000
STEP_RUNS: Final = 5

SAME: Final = "same"
USUAL: Final = "usual"
EVERYTHING: Final = "everything"
DETECT: Final = "logmend detect"
LIMIT: Final = "the limit"

_BYTEWAX: Final = 'pip install "bytewax>=0.21" "confluent-kafka>=2.12"'
_QUIX: Final = f"pip install --target {PEERS} quixstreams (apart, for its dependencies exclude ours)"


def _engines(how: str) -> tuple[Engine, ...]:
    at = "benchmarks.engines"
    return (
        Engine(name="Bytewax", module=f"{at}.bytewax", how=how, needs="bytewax", install=_BYTEWAX),
        Engine(name="Quix Streams", module=f"{at}.quix", how=how, needs="quixstreams", install=_QUIX, apart=True),
        Engine(name="Kafka Streams", module=f"{at}.kafka_streams", how=how, build=building.missing),
        Engine(name="Faust", module=f"{at}.faust", how=how, changelog=True, slow=True),
    )


ENGINES: Final = (
    Engine(name="Logmend", module="benchmarks.engines.logmend", how=SAME),
    *_engines(SAME),
    Engine(name=LIMIT, module="benchmarks.engines.limit", how=SAME, matches=False),
    *_engines(USUAL),
)


class Ratio(Struct, frozen=True):
    """One speed over another, with the least that it has to be and what it is meant to become."""

    what: str
    value: float
    floor: float
    goal: float

    @property
    def verdict(self) -> str:
        """Whether that is enough."""
        return "goal" if self.value >= self.goal else "pass" if self.value >= self.floor else "MISS"


class Report(Struct, frozen=True, kw_only=True):
    """All that was measured; ``left_out`` says in a line each what could not be run, and why."""

    lines: int
    rounds: int
    runs: tuple[Ran, ...]
    ratios: tuple[Ratio, ...]
    costs: tuple[Cost, ...]
    left_out: tuple[str, ...]

    @property
    def counts_equal(self) -> bool:
        """Whether each run counted what the offline count did."""
        return all(ran.counts_equal for ran in self.runs)


class Source(Struct, frozen=True):
    """A topic with lines, and what is to be counted in them by each way of matching."""

    topic: str
    wanted: dict[str, Wanted]


async def compare(count: int, rounds: int, say: Callable[[str], None]) -> Report:
    """Run every engine that is there over ``count`` lines, slow ones over fewer; ``say`` is told of progress."""
    say("looking for engines, and building those that have to be")
    ready = [engine for engine in ENGINES if not engine.missing]
    with tempfile.TemporaryDirectory(prefix="logmend-w1-") as directory:
        settings = Settings(data_dir=Path(directory), brokers="", source_partitions=PARTITIONS)
        async with EmbeddedBroker(settings) as broker:
            say(f"shipping {count} lines")
            whole = await source(broker.address, "lines", count)
            short = await source(broker.address, "lines-short", min(count, SLOW_LINES_MAX))
            runs: list[Ran] = []
            for number in range(rounds):
                for index, engine in enumerate(ready):
                    say(f"round {number + 1}: {engine.name}, {engine.how}")
                    place = short if engine.slow or engine.how == USUAL else whole
                    runs.append(await one(engine, broker.address, place, Path(directory), f"w1-{number}-{index}"))
                say(f"round {number + 1}: {DETECT}")
                runs.append(await everything(broker.address, whole, Path(directory), f"w1-{number}"))
    say("costs of each feature")
    stepped = list(generate(min(count, STEP_LINES_MAX), matcher.shipped()))
    return Report(
        lines=count,
        rounds=rounds,
        runs=tuple(runs),
        ratios=tuple(ratios(runs)),
        costs=tuple(measure([as_json(stepped)], STEP_RUNS)),
        left_out=tuple(dict.fromkeys(engine.missing for engine in ENGINES if engine.missing)),
    )


async def source(address: str, topic: str, count: int) -> Source:
    """Ship lines, and those that close their windows, to a new topic; count offline what engines are to find.

    What the usual patterns find is counted in a short topic only: it takes as long as the slow engines do.
    """
    rules = matcher.shipped()
    lines = [*generate(count, rules), *closing(count)]
    await make_topics(address, {topic: PARTITIONS})
    await ship(address, topic, lines)
    closed = (BEGAN_MS + count + CLOSING_AFTER_MS) // WINDOW_MS * WINDOW_MS
    counts = {SAME: expected(lines)}
    if count <= SLOW_LINES_MAX:
        counts[USUAL] = _expected_by_re(lines)
    return Source(topic, {how: Wanted(len(lines), found, closed) for how, found in counts.items()})


def _expected_by_re(lines: Sequence[Line]) -> Counts:
    """Count what the usual patterns say of each line by itself."""
    read, counts = usual.reader(), Counter[tuple[int, str, str]]()
    for line in lines:
        pattern = read(line.encode())["pattern"]
        if pattern:
            counts[line.at_ms - line.at_ms % WINDOW_MS, line.service, pattern] += 1
    return counts


async def one(
    engine: Engine,
    address: str,
    place: Source,
    directory: Path,
    name: str,
    stalled_seconds: float = STALLED_SECONDS,
) -> Ran:
    """Run one engine under a name of its own."""
    own = directory / name
    own.mkdir()
    wanted = place.wanted[engine.how]
    job = Job(
        how=engine.how,
        brokers=address,
        source=place.topic,
        lines=wanted.lines,
        matches=f"{name}-matches",
        counts=f"{name}-counts-changelog",
        group=name,
        directory=str(own),
    )
    return await run(engine, job, wanted, stalled_seconds)


async def everything(address: str, place: Source, directory: Path, name: str) -> Ran:
    """Run ``logmend detect`` as a fleet of its own."""
    settings = Settings(
        data_dir=directory / name,
        brokers=address,
        fleet=name,
        logs=(place.topic,),
        metrics=(f"{name}.metrics",),
        source_partitions=PARTITIONS,
    )
    settings.data_dir.mkdir()
    await create_topics(settings)
    wanted = place.wanted[SAME]
    slices, seconds, memory_mb = await detect(settings, wanted.lines)
    return Ran(
        name=DETECT,
        how=EVERYTHING,
        lines=wanted.lines,
        matched=windows_of(slices).total(),
        seconds=seconds,
        memory_mb=round(memory_mb, 1),
        counts_equal=agree(slices, wanted.lines, wanted.counts),
    )


def speed(runs: Sequence[Ran], name: str, how: str) -> float:
    """Return the median of an engine's lines a second; 0 when it did not run."""
    return statistics.median([ran.lines_per_second for ran in runs if (ran.name, ran.how) == (name, how)] or [0.0])


def ratios(runs: Sequence[Ran]) -> list[Ratio]:
    """Return the ratios that are asked of Logmend, those of engines that did not run left out."""
    ours, all_on = speed(runs, "Logmend", SAME), speed(runs, DETECT, EVERYTHING)
    asked = [
        ("same work: Logmend / Bytewax", ours, speed(runs, "Bytewax", SAME), 1.3, 2.0),
        ("same work: Logmend / Quix Streams", ours, speed(runs, "Quix Streams", SAME), 3.0, 5.0),
        ("everything on / Bytewax's same work", all_on, speed(runs, "Bytewax", SAME), 1.0, 1.0),
        ("everything on / the limit", all_on, speed(runs, LIMIT, SAME), 0.45, 0.6),
        *(
            (f"everything on / {engine.name} as normally written", all_on, speed(runs, engine.name, USUAL), 15.0, 40.0)
            for engine in ENGINES
            if engine.how == USUAL
        ),
    ]
    return [Ratio(what, mine / theirs, floor, goal) for what, mine, theirs, floor, goal in asked if theirs]
