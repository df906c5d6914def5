"""W1's report beside other engines: as tables, as raw JSON, and as a plot."""

from __future__ import annotations

import os
import statistics
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.peers import DETECT, EVERYTHING, LIMIT, SAME, USUAL, Report
from benchmarks.plots import save
from benchmarks.running import Ran

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS_HEAD: Final = f"{'feature':<20}{'us each':>10}{'% of lines':>12}{'us a line':>11}"
TITLES: Final = {
    SAME: "Same work: msgspec (in Java Jackson), Hyperscan with the shipped rules, 10 s windows, output acknowledged",
    EVERYTHING: "Everything on: logmend detect beside the limit, and engines as normally written (json, re)",
}


def tables(report: Report) -> str:
    """Return all that was measured, to be printed."""
    parts = [_machine(report)]
    parts.append(_table(TITLES[SAME], [_named(report, ran) for ran in _first(report) if _in_same_work(ran)]))
    rest = [ran for ran in _first(report) if ran.how in {EVERYTHING, USUAL} or ran.name == LIMIT]
    parts.append(_table(TITLES[EVERYTHING], [_named(report, ran) for ran in sorted(rest, key=_order)]))
    parts.append(_costs(report))
    parts.append(_ratios(report))
    parts += [f"{line}" for line in report.left_out]
    return "\n\n".join(parts)


def write(report: Report, directory: Path) -> None:
    """Write the report, and a plot of both tables."""
    save(directory, "w1", report, partial(plot, report), (13, 4.5))


def plot(report: Report, figure: Figure) -> None:
    """Draw a bar for each engine, between its slowest round and its fastest."""
    for axis, how in zip(figure.subplots(1, 2), (SAME, EVERYTHING), strict=True):
        shown = [ran for ran in _first(report) if _in_same_work(ran) == (how == SAME)]
        labels = [ran.name + (" (re, json)" if ran.how == USUAL else "") for ran in shown]
        medians = [statistics.median(_speeds(report, ran)) for ran in shown]
        below = [median - min(_speeds(report, ran)) for median, ran in zip(medians, shown, strict=True)]
        above = [max(_speeds(report, ran)) - median for median, ran in zip(medians, shown, strict=True)]
        axis.barh(labels, medians, xerr=(below, above), color="#4477aa", ecolor="#222222", capsize=3)
        axis.invert_yaxis()
        axis.set_title(TITLES[how].split(":")[0])
        axis.set_xlabel(f"lines a second (median, least and most of {report.rounds})")


def _in_same_work(ran: Ran) -> bool:
    return ran.how == SAME and ran.name != LIMIT


def _order(ran: Ran) -> tuple[bool, bool]:
    return ran.name != DETECT, ran.name != LIMIT


def _first(report: Report) -> list[Ran]:
    """Return one run of each engine, in the order in which they ran."""
    return list({(ran.name, ran.how): ran for ran in reversed(report.runs)}.values())[::-1]


def _speeds(report: Report, of: Ran) -> list[float]:
    return [ran.lines_per_second for ran in report.runs if (ran.name, ran.how) == (of.name, of.how)]


def _machine(report: Report) -> str:
    gigabytes = psutil.virtual_memory().total / 1e9
    return (
        f"W1, {report.lines} lines, {report.rounds} round(s); {os.cpu_count()} processors as the system counts them, "
        f"{gigabytes:.0f} GB; load {os.getloadavg()[0]:.1f} at the end"
    )


def _named(report: Report, of: Ran) -> str:
    """Return an engine's row: medians over its runs; whether all of them counted right."""
    runs = [ran for ran in report.runs if (ran.name, ran.how) == (of.name, of.how)]
    speeds = _speeds(report, of)
    median = statistics.median(speeds)
    spread = f"{min(speeds):.0f}-{max(speeds):.0f}" if len(speeds) > 1 else ""
    equal = "yes" if all(ran.counts_equal for ran in runs) else "NO"
    memory = max(ran.memory_mb for ran in runs)
    name = of.name + (", re and json" if of.how == USUAL else "")
    return f"{name:<28}{of.lines:>9}{median:>10.0f}{1e6 / median:>9.2f}{memory:>8.0f}{equal:>7}  {spread}"


def _table(title: str, rows: list[str]) -> str:
    head = f"{'':<28}{'lines':>9}{'lines/s':>10}{'us/line':>9}{'PSS MB':>8}{'equal':>7}"
    return "\n".join([title, head, *rows])


def _costs(report: Report) -> str:
    rows = [
        f"{cost.step:<20}{cost.each_us:>10.2f}{cost.taken_percent:>12.2f}{cost.line_us:>11.3f}" for cost in report.costs
    ]
    title = "What each feature of Logmend costs: processor time in this process, each step alone (benchmarks.steps)"
    return "\n".join([title, STEPS_HEAD, *rows])


def _ratios(report: Report) -> str:
    rows = [
        f"{ratio.what:<56}{ratio.value:>7.2f}{ratio.floor:>8.2f}{ratio.goal:>7.2f}  {ratio.verdict}"
        for ratio in report.ratios
    ]
    return "\n".join([f"{'ratio':<56}{'is':>7}{'floor':>8}{'goal':>7}", *rows])
