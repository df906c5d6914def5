"""What the event log costs: rows a second written and merged, and bytes for each decision.

A fleet's facts, decisions, commands and evidence are made by the real fold (services that are measured every minute and
break in turn), as encoded records, and held in memory: what is timed is the event log's own work, fetched by its own
reader's size. The real writer (``analytics.writer``) archives them, to the disk that ``--dir`` is on, fsync and all:

* at once: after an outage, in segments as large as they become;
* as it comes: ``--segment-rows`` records at a time, over all streams, which is what 5 s bring at 2 000 lines a second;
* merged: the segments of the second way, by the writer's own steps, until nothing is left to merge; a row counts each
  time that it is written again.

Rows are records of Kafka's; seconds are of the wall, and beside them of the processors, all threads together. Bytes are
those of the files of decisions alone, and of everything, over the number of decisions.

    python -m benchmarks.writing                 300 recoveries, some 34 000 records
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from analytics.manifest import STREAMS, Manifest, load
from analytics.writer import EventLogWriter
from benchmarks.plots import save
from benchmarks.queries import measure
from streams.ports import Fetched, TopicPartition
from tests.analytics.history import History
from tests.analytics.memory_log import MemoryLog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECOVERIES: Final = 300
SEGMENT_ROWS: Final = 300
FETCH_RECORDS: Final = 1_000
SERVICES: Final = ("shop", "cart", "mail")
PATTERNS: Final = ("process_crash", "database_lock", "out_of_memory")
WAYS: Final = ("at once", "as it comes", "merged")


class Held(MemoryLog):
    """A history's log, read by the fetch; ``ends`` says how many records of each topic are there by now."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.records = history.log.records
        self.ends = {where: len(records) for where, records in self.records.items()}

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Fetched]:
        """Return one fetch."""
        return self.records.get(where, [])[start : min(end, start + FETCH_RECORDS)]

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest offset, offset after the last record)."""
        return 0, self.ends.get(where, 0)

    def until(self, stamp_ms: int) -> None:
        """Let there be what was appended until a time."""
        for where, records in self.records.items():
            end = self.ends[where]
            while end < len(records) and records[end].timestamp <= stamp_ms:
                end += 1
            self.ends[where] = end


class Written(Struct, frozen=True, kw_only=True):
    """One way of writing: rows that were written, what that took, and what is there afterwards."""

    way: str
    rows: int
    seconds: float
    processor_seconds: float
    rows_per_second: int
    segments: int
    bytes_per_decision: float
    """Of all files."""
    bytes_of_decisions: float
    """Of the files of decisions, for each."""


class Result(Struct, frozen=True, kw_only=True):
    """What was measured; ``archived`` and ``decisions`` are what the manifest says, each way."""

    records: int
    decisions: int
    whole: bool
    """Whether each way archived every record, to the same head of the chain."""
    ways: tuple[Written, ...]


def fleet(recoveries: int) -> History:
    """Return a fleet whose services are measured, break and heal in turn."""
    history = History()
    history.begin()
    for number in range(recoveries):
        history.heal(SERVICES[number % len(SERVICES)], PATTERNS[number // len(SERVICES) % len(PATTERNS)])
        measure(history, number)
    return history


def standing() -> int:
    """Return the writer's clock, in milliseconds since 1970: it stands, so nothing is cut or let go by age."""
    return 1_900_000_000_000


class Timer:
    """Seconds of the wall and of all threads' processors since it was made."""

    def __init__(self) -> None:
        self._wall, self._busy = time.perf_counter(), time.process_time()

    def written(self, way: str, rows: int, manifest: Manifest, decisions: int) -> Written:
        """Return what was written since."""
        seconds, busy = time.perf_counter() - self._wall, time.process_time() - self._busy
        segments = [segment for name in STREAMS for segment in manifest.stream(name).segments]
        of_decisions = sum(segment.size for segment in manifest.stream("decisions").segments)
        return Written(
            way=way,
            rows=rows,
            seconds=round(seconds, 3),
            processor_seconds=round(busy, 3),
            rows_per_second=round(rows / seconds) if rows else 0,
            segments=len(segments),
            bytes_per_decision=round(sum(segment.size for segment in segments) / decisions, 1),
            bytes_of_decisions=round(of_decisions / decisions, 1),
        )


async def at_once(history: History, directory: Path, decisions: int) -> Written:
    """Archive everything that there is."""
    timer = Timer()
    with EventLogWriter(Held(history), history.topics, directory, clock_ms=standing) as writer:
        rows = await writer.flush()
    return timer.written(WAYS[0], rows, load(directory), decisions)


async def as_it_comes(history: History, directory: Path, decisions: int, segment_rows: int) -> tuple[Written, Written]:
    """Archive piece by piece, then merge what that left."""
    log, rows = Held(history), 0
    log.ends = dict.fromkeys(log.ends, 0)
    stamps = sorted(record.timestamp for records in log.records.values() for record in records)
    timer = Timer()
    with EventLogWriter(log, history.topics, directory, clock_ms=standing) as writer:
        for stamp_ms in (*stamps[segment_rows::segment_rows], stamps[-1]):
            log.until(stamp_ms)
            rows += await writer.flush()
        written = timer.written(WAYS[1], rows, load(directory), decisions)
        timer, again = Timer(), 0
        before = load(directory)
        while True:
            await writer.step()
            after = load(directory)
            if (moved := _merged(before, after)) == 0:
                break
            again, before = again + moved, after
        return written, timer.written(WAYS[2], again, before, decisions)


def _merged(before: Manifest, after: Manifest) -> int:
    """Return how many records are in segments that were not there before."""
    return sum(
        segment.last + 1 - segment.first
        for name in STREAMS
        for segment in set(after.stream(name).segments) - set(before.stream(name).segments)
    )


async def run(recoveries: int, segment_rows: int, directory: Path) -> Result:
    """Measure all ways of writing one history."""
    history = fleet(recoveries)
    held = history.log.records
    decisions = len(held[TopicPartition(history.topics.decisions, 0)])
    first = await at_once(history, directory / "at-once", decisions)
    others = await as_it_comes(history, directory / "as-it-comes", decisions, segment_rows)
    archives = [load(directory / name) for name in ("at-once", "as-it-comes")]
    topics = {getattr(history.topics, name) for name in STREAMS}
    records = sum(len(rows) for where, rows in held.items() if where.topic in topics)
    whole = all(sum(max(one.stream(name).position, 0) for name in STREAMS) == records for one in archives)
    heads = {one.stream("decisions").head for one in archives}
    return Result(records=records, decisions=decisions, whole=whole and len(heads) == 1, ways=(first, *others))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 when something was not archived."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writing", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--recoveries", type=int, default=RECOVERIES)
    parser.add_argument("--segment-rows", type=int, default=SEGMENT_ROWS)
    parser.add_argument("--dir", type=Path, help="where to write; a directory that is removed again without it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="a directory for writing.json and writing.png")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="logmend-writing-", dir=given.dir) as directory:
        found = asyncio.run(run(given.recoveries, given.segment_rows, Path(directory)))
    if given.json:
        print(msgspec.json.encode(found).decode())
    else:
        print_table(found)
    if given.out:
        save(given.out, "writing", found, partial(plot, found), (9, 3))
    return 0 if found.whole else 1


def print_table(found: Result) -> None:
    """Print a row for each way of writing."""
    head = f"{'':>12} {'rows':>8} {'seconds':>8} {'processor s':>12} {'rows/s':>8} {'segments':>9}"
    print(f"{head} {'bytes/decision':>15} {'its own':>8}")
    for one in found.ways:
        print(
            f"{one.way:>12} {one.rows:>8} {one.seconds:8.2f} {one.processor_seconds:12.2f} {one.rows_per_second:>8} "
            f"{one.segments:>9} {one.bytes_per_decision:15.1f} {one.bytes_of_decisions:8.1f}"
        )
    print(f"{found.records} records, {found.decisions} of them decisions; all archived each way: {found.whole}")


def plot(found: Result, figure: Figure) -> None:
    """Draw the two figures that matter."""
    left, right = figure.subplots(1, 2)
    names = [one.way for one in found.ways]
    left.barh(names, [one.rows_per_second for one in found.ways])
    left.set(xlabel="rows a second")
    right.barh(names, [one.bytes_per_decision for one in found.ways])
    right.set(xlabel="bytes for each decision, all files")


if __name__ == "__main__":
    sys.exit(main())
