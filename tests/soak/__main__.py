"""``python -m tests.soak --minutes 10``: the whole system at 70 % of its maximum, a fault each minute, nothing grows.

It fails when a process holds more memory, descriptors, threads or tasks from minute to minute, when lag does not come
back to zero, a line is lost or counted twice, ``verify`` finds anything, or a process ends that nobody killed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plots import save
from streams.settings import Settings
from tests.soak.run import MEASURES, OURS, Plan, Report, lines_of, soak

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(report: Report, figure: Figure) -> None:
    """Draw what each process held and the lag, with a line at each fault."""
    *panels, last = figure.subplots(len(MEASURES) + 1, 1, sharex=True)
    for axes, what in zip(panels, MEASURES, strict=True):
        for name in (*OURS, "broker"):
            seen = [(one.at_seconds, getattr(one.held[name], what)) for one in report.samples if name in one.held]
            axes.plot(*zip(*((at, value) for at, value in seen if value >= 0), strict=True) or ((), ()), label=name)
        axes.set(ylabel=what, yscale="log")
    for stage in ("detect", "decide", "dispatch"):
        last.plot(*zip(*((one.at_seconds, one.lag[stage]) for one in report.samples), strict=True), label=stage)
    last.set(ylabel="lag (records)", xlabel="s", yscale="symlog")
    for axes in (*panels, last):
        for fault in report.faults:
            axes.axvline(fault.at_seconds, color="0.8", linewidth=0.8, zorder=0)
    panels[0].legend(ncols=6, fontsize="small")
    last.legend()


def main() -> int:
    """Soak, print, and write where it is asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--flood", type=float, default=5.0, help="seconds of the flood by which the maximum is measured"
    )
    parser.add_argument("--out", type=Path, help="a directory for soak.json and soak.png")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logmend-soak-", ignore_cleanup_errors=True) as directory:
        settings = Settings(data_dir=Path(directory), source_partitions=4, host="soak-host", dry_run=False)
        report = asyncio.run(soak(settings, Plan(minutes=given.minutes, flood_seconds=given.flood)))
    print(*lines_of(report), sep="\n")  # noqa: T201 - this command's output
    if given.out:
        save(given.out, "soak", report, partial(plot, report), (9, 13))
    return int(not report.kept)


if __name__ == "__main__":
    sys.exit(main())
