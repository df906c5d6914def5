"""``python -m tests.soak.readers``: fifty readers for five minutes while the log is written and compacted.

Lines that each open an incident come fifty times a second through a real broker, detect, decide and dispatch; the
event-log writer archives what follows and merges its segments; readers, each a process of its own, ask once a second.
It fails when any question has no answer, an answer has a hole or is behind an earlier one, the newest decision in an
answer is ever older than ten seconds, or nothing was merged meanwhile.

    python -m tests.soak.readers --readers 50 --minutes 5
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from analytics.manifest import load
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.settings import Settings
from tests.chaos.fleet import Fleet
from tests.chaos.recovery import speak
from tests.soak.reading import Heard, quantile, reading

FRESH_SECONDS_MAX: Final = 10.0
MERGED_FROM_MINUTES: Final = 1.5
"""Twelve segments of five seconds are merged: a shorter run may see none."""
LOOK_SECONDS: Final = 0.5
ROLES: Final = ("detect", "decide", "dispatch", "eventlog")
FIRST_SEGMENT_SECONDS_MAX: Final = 60.0


class Report(Struct, frozen=True, kw_only=True):
    """What all readers heard together; ``merged`` are the merged segments of decisions that came meanwhile."""

    readers: int
    minutes: float
    decisions: int
    merged: int
    questions: int
    errors: tuple[str, ...]
    ages_seconds: tuple[float, ...]
    answer_seconds: tuple[float, ...]

    @property
    def kept(self) -> bool:
        """Whether everything was answered, rightly and freshly, while segments were merged."""
        merged = self.merged > 0 or self.minutes < MERGED_FROM_MINUTES
        return merged and not self.errors and 0 < max(self.ages_seconds, default=0.0) < FRESH_SECONDS_MAX


def report_of(heard: list[Heard], minutes: float, decisions: int, merged: int) -> Report:
    """Put together what all readers heard."""
    return Report(
        readers=len(heard),
        minutes=minutes,
        decisions=decisions,
        merged=merged,
        questions=sum(one.questions for one in heard),
        errors=tuple(error for one in heard for error in one.errors),
        ages_seconds=tuple(round(age, 3) for one in heard for age in one.ages_seconds),
        answer_seconds=tuple(round(each, 4) for one in heard for each in one.answer_seconds),
    )


async def measure(settings: Settings, count: int, minutes: float) -> Report:
    """Run readers over what a fleet on the broker of ``settings`` writes."""
    directory = settings.data_dir / "log"
    await create_topics(settings)
    fleet = Fleet(settings, ROLES)
    speaking = asyncio.create_task(speak(settings))
    try:
        await fleet.start()
        async with asyncio.timeout(FIRST_SEGMENT_SECONDS_MAX):
            while not load(directory).stream("decisions").segments:  # noqa: ASYNC110 - a file says nothing by itself
                await asyncio.sleep(LOOK_SECONDS)
        with reading(directory, count) as readers:
            await asyncio.to_thread(readers.begin)
            merged = await _merged(directory, minutes * 60)
            heard = await asyncio.to_thread(readers.end)
        decisions = load(directory).stream("decisions").last_seq + 1
    finally:
        speaking.cancel()
        fleet.end()
    died = [Heard(errors=[f"ended by itself: {one}"]) for one in fleet.died]
    return report_of([*heard, *died], minutes, decisions, merged)


async def _merged(directory: Path, seconds: float) -> int:
    """Return, when the time is over, how many merged segments of decisions were seen that were not there before."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    known = {one.last for one in load(directory).stream("decisions").segments if one.level}
    seen = set(known)
    while loop.time() < end:
        await asyncio.sleep(LOOK_SECONDS)
        seen |= {one.last for one in load(directory).stream("decisions").segments if one.level}
    return len(seen - known)


def lines_of(report: Report) -> list[str]:
    """Return a report as text."""
    asked = f"{report.readers} readers, {report.minutes:g} minutes: {report.questions} questions"
    written = f"{report.decisions} decisions in the end, {report.merged} merged segments of decisions came meanwhile"
    rows = [f"{asked}, {written}", f"{'seconds':30} {'p50':>7} {'p99':>7} {'max':>7}"]
    for what, values in (("age of the newest decision", report.ages_seconds), ("to an answer", report.answer_seconds)):
        p50, p99, most = (quantile(values, share) for share in (0.5, 0.99, 1.0))
        rows.append(f"{what:30} {p50:7.2f} {p99:7.2f} {most:7.2f}")
    rows += sorted(set(report.errors))[:20]
    rows.append(f"{len(report.errors)} errors")
    return rows


async def _alone(directory: Path, count: int, minutes: float) -> Report:
    """Measure on a broker of its own."""
    settings = Settings(data_dir=directory, source_partitions=4, host="soak-host")
    async with EmbeddedBroker(settings) as broker:
        return await measure(settings.model_copy(update={"brokers": broker.address}), count, minutes)


def main() -> int:
    """Measure, print, and write where it is asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.readers", description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, help="a directory for readers.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logmend-readers-", ignore_cleanup_errors=True) as directory:
        report = asyncio.run(_alone(Path(directory), given.readers, given.minutes))
    print(*lines_of(report), sep="\n")  # noqa: T201 - this command's output
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "readers.json").write_bytes(msgspec.json.encode(report))
    return int(not report.kept)


if __name__ == "__main__":
    sys.exit(main())
