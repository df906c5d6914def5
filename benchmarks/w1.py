"""W1: how many lines a second one detect process takes from Kafka, with everything on, and whether it counts right.

One million JSON lines (``benchmarks.lines``) are shipped to an embedded broker; then one ``logmend detect`` matches
them, redacts evidence and appends slices, all acknowledged. Its counts by 10 s window, service and pattern must equal
those of the stateless matcher.

    python -m benchmarks.w1                    the whole of it
    python -m benchmarks.w1 --offline          only the slicer, in this process, without a broker
    python -m benchmarks.w1 --peers            beside other engines (benchmarks/peers.py), with ratios and costs
    python -m benchmarks.w1 --peers --rounds 3 --out DIR      with the spread; a plot and raw JSON go to DIR
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks import peers, reporting
from benchmarks.following import detect
from benchmarks.lines import PARTITIONS, generate
from benchmarks.shipping import Counts, agree, expected, fetches, ship, windows_of
from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.runtime.address import bootstrap
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings
from streams.topics import Topics

LINES: Final = 1_000_000


class Result(Struct, kw_only=True):
    """What was measured. ``memory_mb`` is the proportional set size of the detect process."""

    lines: int
    matched: int
    seconds: float
    lines_per_second: int
    microseconds_per_line: float
    slices: int
    counts_equal: bool
    memory_mb: float = 0.0
    shipped_per_second: int = 0


def result(lines: int, seconds: float, slices: Sequence[Slice], wanted: Counts) -> Result:
    """Put figures together; ``counts_equal`` also asks that every line was counted."""
    return Result(
        lines=lines,
        matched=windows_of(slices).total(),
        seconds=round(seconds, 3),
        lines_per_second=round(lines / seconds),
        microseconds_per_line=round(seconds / lines * 1e6, 3),
        slices=len(slices),
        counts_equal=agree(slices, lines, wanted),
    )


def offline(count: int) -> Result:
    """Cut fetches that are in memory already; making them is not timed."""
    rules = matcher.shipped()
    slicer = Slicer(rules, Topics())
    slices: list[Slice] = []
    seconds = 0.0
    for batch in fetches(generate(count, rules)):
        began = time.perf_counter()
        cut = slicer.cut("logs", batch[0].partition, 1, batch, batch[0].offset)
        seconds += time.perf_counter() - began
        slices += cut.slices
    return result(count, seconds, slices, expected(generate(count, rules)))


async def online(count: int) -> Result:
    """Ship lines to an embedded broker, run one detect process over them, and read the facts that it appended."""
    rules = matcher.shipped()
    with tempfile.TemporaryDirectory(prefix="logmend-w1-") as directory:
        settings = Settings(data_dir=Path(directory), brokers="", source_partitions=PARTITIONS)
        async with EmbeddedBroker(settings):
            await create_topics(settings)
            began = time.perf_counter()
            await ship(bootstrap(settings), "logs", generate(count, rules))
            shipped = time.perf_counter() - began
            slices, seconds, memory_mb = await detect(settings, count)
    found = result(count, seconds, slices, expected(generate(count, rules)))
    found.memory_mb, found.shipped_per_second = round(memory_mb, 1), round(count / shipped)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when counts differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.w1", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--offline", action="store_true", help="only the slicer, without a broker")
    parser.add_argument("--peers", action="store_true", help="beside other engines")
    parser.add_argument("--rounds", type=int, default=1, help="of --peers: how often each engine runs")
    parser.add_argument("--out", type=Path, help="of --peers: directory for a plot and raw JSON")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.peers:
        report = asyncio.run(peers.compare(given.lines, given.rounds, lambda said: print(said, file=sys.stderr)))
        print(msgspec.json.encode(report).decode() if given.json else reporting.tables(report))
        if given.out:
            reporting.write(report, given.out)
        return 0 if report.counts_equal else 1
    found = offline(given.lines) if given.offline else asyncio.run(online(given.lines))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        for name, value in msgspec.to_builtins(found).items():
            print(f"{name:>22}  {value}")
    return 0 if found.counts_equal else 1


if __name__ == "__main__":
    sys.exit(main())
