"""What a line costs as a fleet grows: more services, more patterns, more partitions, a second process.

The lines are W1's (6 % match a pattern), the same text each time; what changes is one thing at a time:

* services: 64, 640, 6 400 and 64 000. In each second 64 of them write some 16 lines each, in the next second the next
  64, so that a slice has as many rows (tallies: lines by service and second) whatever the number of services is;
* in turn: as many services, each line from the next one. Then rows grow, which is what is asked for and no overhead: of
  64 services 16 lines share a row, and from 6 400 on each line has its own. ``tallies`` a line says so;
* patterns: the shipped catalogue (24), and with generated rules 240 and 2 400, read from a rule file and compiled with
  the shipped ones as ``logmend apply`` has it done; none of them matches a line, as most rules match none;
* partitions of the topic: 1, 4, 16, and one or two processes of detect: on a broker only.

Offline, in this thread's processor time: cutting slices (``Slicer.cut``), and encoding them and their evidence as
detect does. Rounds go through all variants in turn, and the best of each counts; a round goes on with the services
behind those of the last, as they would come. On a broker: one run each, detect in processes of its own that stand still
while lines are shipped; processor time of all its processes, over the lines between the first tenth and the last.

    python -m benchmarks.growth                  all of it
    python -m benchmarks.growth --offline        without a broker
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.growth_offline import LINES, RATIO_MAX, ROUNDS, Cost, kept, offline
from benchmarks.growth_online import LINES as LINES_ONLINE
from benchmarks.growth_online import Measured, online
from benchmarks.plots import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def print_offline(costs: Sequence[Cost]) -> None:
    """Print the table of what a line costs in this process."""
    head = f"{'offline':>10} {'size':>7} {'cut us':>8} {'encode us':>10}"
    print(f"{head} {'us/line':>8} {'ratio':>7} {'tallies':>8} {'bytes':>7}")
    for one in costs:
        print(
            f"{one.axis:>10} {one.size:>7} {one.cut_us:8.2f} {one.encode_us:10.2f} {one.total_us:8.2f} "
            f"{one.ratio:7.2f} {one.tallies_per_line:8.2f} {one.fact_bytes_per_line:7.1f}"
        )
    print(f"{costs[0].lines} lines, {costs[0].matched} matched; bar: services and patterns at most {RATIO_MAX}")


def print_online(runs: Sequence[Measured]) -> None:
    """Print the table of what a line costs detect."""
    if not runs:
        return
    print(
        f"\n{'detect':>10} {'size':>7} {'us/line':>8} {'ratio':>7} {'lines/slice':>12} {'lines':>9} {'in slices':>10}"
    )
    for one in runs:
        print(
            f"{one.axis:>10} {one.size:>7} {one.line_us:8.2f} {one.ratio:7.2f} {one.lines_per_slice:12.1f} "
            f"{one.lines:>9} {one.lines_in_slices:>10}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when the limit is not kept or lines are missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--lines", type=int, default=LINES, help="lines of a round offline")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--offline", action="store_true", help="without a broker")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="a directory for growth.json and growth.png")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="logmend-growth-") as directory:
        costs = offline(given.lines, given.rounds, Path(directory))
    runs = [] if given.offline else asyncio.run(online(LINES_ONLINE))
    report = {"offline": msgspec.to_builtins(costs), "online": msgspec.to_builtins(runs)}
    if given.json:
        print(msgspec.json.encode(report).decode())
    else:
        print_offline(costs)
        print_online(runs)
    if given.out:
        save(given.out, "growth", report, partial(plot, costs), (8, 5))
    return 0 if kept(costs) and all(one.lines == one.lines_in_slices for one in runs) else 1


def plot(costs: Sequence[Cost], figure: Figure) -> None:
    """Draw the cost of a line beside what grows."""
    axes = figure.subplots()
    for axis in dict.fromkeys(one.axis for one in costs):
        of = [one for one in costs if one.axis == axis]
        axes.plot([one.size for one in of], [one.total_us for one in of], marker="o", label=axis)
    axes.set(xscale="log", ylim=(0, None), xlabel="services, or patterns", ylabel="us a line (cut and encode)")
    axes.legend()


if __name__ == "__main__":
    sys.exit(main())
