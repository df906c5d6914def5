"""The figures of seed 001 (SEED_TABLES section 5) with ours beside, each with how it was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from analytics.views import EventLog
from lab.in_process import Figures
from lab.scenarios.frame import Table
from lab.stopwatch import Times
from streams.catalogue.actions import actions
from streams.core.events import Decision

STRATEGIES: Final = {"retry": 0.783, "fallback": 0.941, "rollback": 0.897, "restart": 0.962}
"""Success by strategy, of seed 001."""
LEFT_OUT: Final = "without its figures of prediction: nothing is predicted here"
IN_ONE: Final = "in one process, without a broker"
ON_KAFKA: Final = "in this run, on Kafka"
RATE_MIN: Final = 0.95
"""Of the errors a second that are claimed: the share that was really shipped."""


class Figure(Struct, frozen=True, kw_only=True):
    """One figure: the seed's, ours, whether ours is better (None: nothing to compare), and how it was measured."""

    figure: str
    seed: str
    ours: str
    better: bool | None
    measured: str


class Storm(Struct, frozen=True, kw_only=True):
    """Errors that were shipped at a steady rate, and how many of them were counted in the end."""

    per_second: int
    seconds: int
    took_seconds: float
    """How long it really took to ship them; longer than ``seconds`` when Kafka did not take them that fast."""
    shipped: int
    counted: int
    behind_seconds: float | None
    """How long after the last one was shipped the last one was counted; None when some never were."""


def alone(found: Figures) -> tuple[Figure, ...]:
    """Return the figures of the closed loop."""
    each = f"{IN_ONE}: {found.errors:,} errors one after the other"
    one_line = f"{IN_ONE}: a line's bytes to those of fact and evidence"
    six = f"{IN_ONE}: all six speak of it, one action heals it {found.six_healed} of {found.six_times} times"
    share = found.recovered / found.errors if found.errors else 0.0
    return (
        _times("error to strategy", (4.7, 8.2), found.error_to_strategy, f"{each}, line to decision"),
        _times("recovery in process", (37.2, 48.9), found.recovery, f"{each}, line to outcome"),
        _mean("start", 15.3, found.start, f"{IN_ONE}: slicer, fold, policy, inventory"),
        Figure(
            figure="  before it: the rules, once",
            seed="",
            ours=f"{found.rules_ms:.1f} ms",
            better=None,
            measured=IN_ONE,
        ),
        _mean("  or after a restart", None, found.restore, f"{IN_ONE}: from the snapshot to a fold that decides"),
        _mean("error report", 23.7, found.error_report, one_line),
        _mean("health sample", 8.9, found.health_sample, "processors, memory, all file systems, sensors of this host"),
        _mean(
            "one error over six components", 87.3, found.six_components, six, done=found.six_healed == found.six_times
        ),
        _mean("rollback", 25.0, found.rollback_1mb, "a checkpoint of 1 MB put back"),
        Figure(
            figure=f"of {found.errors:,} errors recovered",
            seed="95.7%",
            ours=f"{share:.1%}",
            better=share > 0.957,
            measured=f"{each}, works again and verified",
        ),
        _all("errors at once", found.at_once, found.at_once_recovered, found.at_once_ms),
        _all("recoveries in parallel", found.in_parallel, found.in_parallel_recovered, found.in_parallel_ms),
        Figure(
            figure="memory overhead",
            seed="< 50 MB",
            ours=f"{found.memory_mb:.1f} MB",
            better=found.memory_mb < 50.0,
            measured=f"{IN_ONE}: rules, slicer, fold after {found.errors:,} errors",
        ),
        Figure(
            figure="load average meanwhile",
            seed="",
            ours=f"{found.load_average:.2f}",
            better=None,
            measured="of the last minute; a busy machine shows by the wall clock",
        ),
    )


def _times(name: str, seed: tuple[float, float], ours: Times, measured: str) -> Figure:
    """Return a figure of mean and maximum: the mean by the wall clock, the maximum of processor time (``Times``)."""
    return Figure(
        figure=f"{name}, mean / max",
        seed=f"{seed[0]:g} / {seed[1]:g} ms",
        ours=f"{ours.mean:.2f} / {ours.cpu_max:.2f} ms",
        better=ours.mean < seed[0] and ours.cpu_max < seed[1],
        measured=f"{measured}; mean by the wall clock, max of processor time (by the wall clock {ours.max:.2f} ms)",
    )


def _mean(name: str, seed: float | None, ours: Times, measured: str, *, done: bool = True) -> Figure:
    return Figure(
        figure=name,
        seed="" if seed is None else f"{seed:g} ms",
        ours=f"{ours.mean:.2f} ms",
        better=None if seed is None else done and ours.mean < seed,
        measured=measured,
    )


def _all(name: str, count: int, recovered: int, milliseconds: float) -> Figure:
    return Figure(
        figure=name,
        seed=str(count),
        ours=f"{recovered} of {count}",
        better=recovered == count,
        measured=f"{IN_ONE}: all healed in {milliseconds:.0f} ms",
    )


def on_kafka(log: EventLog, seq: int) -> Figure:
    """Return what actions in process took in the run, from decision ``seq`` on; specialists were at work meanwhile."""
    sql = """
        SELECT avg(r.total_ms), max(r.total_ms), count(*)
        FROM recoveries AS r JOIN decisions AS d ON d.id = r.command
        WHERE d.seq >= $seq AND list_contains($actions, r.action)
    """
    ids = [action for action, spec in actions().items() if spec.in_process]
    mean, most, count = log.query(sql, {"seq": seq, "actions": ids}).row(0)
    return Figure(
        figure="recovery on Kafka, mean / max",
        seed="",
        ours=f"{mean:.1f} / {most:.0f} ms" if count else "-",
        better=None,
        measured=f"{ON_KAFKA}: decision to outcome of {count} actions, while others and specialists are at work",
    )


def of_storm(storm: Storm) -> Figure:
    """Return the figure of errors at a steady rate: all are counted, and they did come at that rate."""
    rate = storm.shipped / max(storm.took_seconds, storm.seconds)
    behind = "" if storm.behind_seconds is None else f", the last {storm.behind_seconds:.2f} s after it was shipped"
    return Figure(
        figure=f"{storm.seconds} s at {storm.per_second:,} errors/s",
        seed="no failure",
        ours=f"{storm.counted:,} of {storm.shipped:,} counted",
        better=storm.counted == storm.shipped and rate >= RATE_MIN * storm.per_second,
        measured=f"{ON_KAFKA}: shipped at {rate:,.0f}/s{behind}",
    )


def by_strategy(decisions: Sequence[Decision], called_for: Collection[str]) -> tuple[Figure, ...]:
    """Return the share of actions of each of the seed's strategies that were verified to have helped.

    A strategy that was never tried has no figure; one that the breakages call for is worse then.
    """
    tried, helped = Counter[str](), Counter[str]()
    verified = {one.refers_to for one in decisions if one.kind == "verified"}
    for one in decisions:
        if one.kind == "commanded":
            tried[one.strategy] += 1
            helped[one.strategy] += one.id in verified
    return tuple(
        Figure(
            figure=f"success of {strategy}",
            seed=f"{seed:.1%}",
            ours=f"{helped[strategy] / tried[strategy]:.1%}" if tried[strategy] else "-",
            better=helped[strategy] / tried[strategy] > seed if tried[strategy] else _untried(strategy, called_for),
            measured=f"{ON_KAFKA}: {helped[strategy]} of {tried[strategy]} verified"
            if tried[strategy]
            else f"{ON_KAFKA}: it was the best option for none",
        )
        for strategy, seed in STRATEGIES.items()
    )


def _untried(strategy: str, called_for: Collection[str]) -> bool | None:
    return False if strategy in called_for else None


def of_errors(opened: Sequence[Decision], classified: int, count: int) -> tuple[Figure, ...]:
    """Return how many breakages were seen as what they are, and what and who had the most incidents."""
    ((category, times),) = Counter(one.category for one in opened).most_common(1) or [("none", 0)]
    ((component, errors),) = Counter(one.service for one in opened).most_common(1) or [("none", 0)]
    return (
        Figure(
            figure="errors classified",
            seed="92.1%",
            ours=f"{classified / count:.1%}",
            better=classified / count > 0.921,
            measured=f"{ON_KAFKA}: {classified} of {count} breakages seen as their own pattern",
        ),
        Figure(
            figure="most frequent category",
            seed="performance, 34.2%",
            ours=f"{category}, {times / max(len(opened), 1):.1%}",
            better=None,
            measured=f"{ON_KAFKA}: of {len(opened)} incidents",
        ),
        Figure(
            figure="component with most errors",
            seed="shader_pipeline",
            ours=f"{component}, {errors}",
            better=None,
            measured=f"{ON_KAFKA}: incidents",
        ),
    )


def table_of(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table."""
    words = {True: "better", False: "NOT better", None: ""}
    return Table(
        title=f"Seed 001 and ours ({LEFT_OUT})",
        columns=("figure", "seed 001", "ours", "", "measured"),
        rows=tuple((one.figure, one.seed, one.ours, words[one.better], one.measured) for one in figures),
    )
