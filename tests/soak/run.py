"""The course of a soak: the maximum is measured, then 70 % of it is sent for some minutes, with a fault in each."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import cycle, islice
from typing import Final

from msgspec import Struct

from analytics.verify import verify
from streams.codec import decode_fact
from streams.core.canary import SERVICE as CANARY
from streams.core.events import LinesLost, Slice
from streams.core.slices import Ledger, Verdict
from streams.ports import TopicPartition
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.chaos.reading import read_all
from tests.chaos.target import Target
from tests.soak.flat import Trend, trend
from tests.soak.load import FREE, Bulk, trouble
from tests.soak.whole import UP, Held, Whole

SHARE: Final = 0.7
PAUSE_SECONDS: Final = 3.0
"""Less than a lease (three quarters of a session): who was stopped for longer has to end."""
CALM_SECONDS_MAX: Final = 600.0
LOOK_SECONDS: Final = 0.5
CALM_LOOKS: Final = 11
"""Processes measure their lag every five seconds."""
COUNT_LOOK_SECONDS: Final = 0.1
COUNTED_SECONDS: Final = 5.0
"""When no more lines were counted for so long, all were."""
KILLED: Final = ("detect", "decide", "eventlog", "workers", "dispatch", "web")
PAUSED: Final = ("broker", "detect", "decide", "eventlog", "dispatch")
OURS: Final = ("up", *UP)
"""What has to be flat. The broker is shown beside it: its memory maps files that grow with what is said."""
MEASURES: Final = ("pss_mb", "descriptors", "threads", "tasks")


class Plan(Struct, frozen=True):
    """How long: ``minutes`` under load with a fault each ``fault_seconds``, after a flood of ``flood_seconds``.

    With a ``rate`` the maximum is not measured by a flood, and so many lines a second are sent.
    """

    minutes: float = 10.0
    flood_seconds: float = 5.0
    sample_seconds: float = 5.0
    fault_seconds: float = 60.0
    rate: int = 0


class Sample(Struct, frozen=True):
    """What was seen at one moment: records that nobody has worked on, by stage, and what each process held."""

    at_seconds: float
    lag: dict[str, float]
    held: dict[str, Held]


class Fault(Struct, frozen=True):
    """A fault, and when it began."""

    at_seconds: float
    what: str


class Report(Struct, kw_only=True):
    """What was done and seen. ``restarts`` are processes that the supervisor began anew, ``kills`` those we killed."""

    minutes: float
    maximum: int
    """Lines a second."""
    rate: int
    sent: int
    counted: int
    lost: int
    calm_seconds: float
    lag_after: float
    lag_most: float
    restarts: int
    kills: int
    status: int
    findings: list[str]
    faults: list[Fault]
    samples: list[Sample]
    trends: dict[str, dict[str, Trend]]

    @property
    def uneven(self) -> list[str]:
        """What grows, as ``process measure``."""
        return [f"{name} {what}" for name, some in self.trends.items() for what, one in some.items() if not one.flat]

    @property
    def kept(self) -> bool:
        """Whether nothing grows, is lost, doubled or damaged, lag is back to zero, and nobody died by itself."""
        whole = self.sent == self.counted and not self.lost and not self.findings
        ended = self.lag_after == 0 and self.status == 0 and self.restarts == self.kills
        return whole and ended and not self.uneven


class Soak:
    """One soak of a running ``Whole``."""

    def __init__(self, whole: Whole, plan: Plan) -> None:
        self.whole, self.plan = whole, plan
        self.samples: list[Sample] = []
        self.faults: list[Fault] = []
        self.kills = 0
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return round(time.monotonic() - self._began, 1)

    async def maximum(self, bulk: Bulk) -> int:
        """Send a flood, and return how many lines of it a second were sent and worked off.

        What sends is one of those who share the machine, as it is under load: its time counts. When the flood is over
        everything is calm.
        """
        began = seen = time.monotonic()
        first = count = await self._lines()
        bulk.rate(FREE)
        while (now := time.monotonic()) < max(began + self.plan.flood_seconds, seen) + COUNTED_SECONDS:
            if now >= began + self.plan.flood_seconds:
                bulk.rate(0)
            if (lines := await self._lines()) > count:
                count, seen = lines, time.monotonic()
            await asyncio.sleep(COUNT_LOOK_SECONDS)
        await self.calm()
        return int((count - first) / (seen - began))

    async def _lines(self) -> float:
        return await asyncio.to_thread(self.whole.total, "detect", "logmend_lines_total", "logs")

    async def load(self, bulk: Bulk, rate: int) -> None:
        """Send at a rate, look every few seconds, and let a fault happen in the middle of each of its spans."""
        self._began = time.monotonic()
        bulk.rate(rate)
        faults = asyncio.create_task(self._trouble())
        end = self.plan.minutes * 60
        try:
            while self.now < end:
                self.samples.append(await asyncio.to_thread(self.sample))
                await asyncio.sleep(self.plan.sample_seconds)
        finally:
            faults.cancel()
            bulk.rate(0)

    def sample(self) -> Sample:
        """Return what is seen now."""
        return Sample(self.now, self.lag(), self.whole.held())

    def lag(self) -> dict[str, float]:
        """Return the records that no one has worked on, by stage; -1.0 of one that does not answer."""
        return {name: self.whole.total(name, "logmend_lag_records") for name in ("detect", "decide", "dispatch")}

    async def _trouble(self) -> None:
        spans = max(round(self.plan.minutes * 60 / self.plan.fault_seconds), 1)
        courses = _courses(self.whole, spans)
        for number, course in enumerate(courses):
            await asyncio.sleep(max((number + 0.5) * self.plan.fault_seconds - self.now, 0))
            at = self.now
            what = await course()
            self.kills += what.startswith("kill ") and what != "kill a worker"
            self.faults.append(Fault(at, what))

    async def calm(self) -> float:
        """Wait until nothing is left to work on, and return the seconds; raises ``TimeoutError`` when it never is."""
        began, calm = time.monotonic(), 0
        async with asyncio.timeout(CALM_SECONDS_MAX):
            while calm < CALM_LOOKS:
                lag = await asyncio.to_thread(self.lag)
                calm = 0 if any(lag.values()) else calm + 1
                await asyncio.sleep(LOOK_SECONDS)
        return round(time.monotonic() - began - CALM_LOOKS * LOOK_SECONDS, 1)


def _courses(whole: Whole, spans: int) -> Iterator[Callable[[], Awaitable[str]]]:
    """Yield a fault for each span: kills in the first half, then pauses: what was not begun anew has to be flat."""
    half = (spans + 1) // 2
    for name in islice(cycle(KILLED), half):
        yield partial(whole.kill, name)
    for name in islice(cycle((*PAUSED, "")), spans - half):
        yield partial(whole.pause, name, PAUSE_SECONDS) if name else whole.kill_worker


async def counted(log: KafkaLog, settings: Settings) -> tuple[int, int]:
    """Return how many lines but the canary's the accepted slices count, and how many offsets were lost; holes raise."""
    where = TopicPartition(settings.topics.facts, 0)
    ledger, lines, lost = Ledger(), 0, 0
    for record in await read_all(log, where, *await log.bounds(where)):
        fact = decode_fact(record.value or b"")
        if ledger.judge(fact) is Verdict.ACCEPTED and getattr(fact, "source", "") in settings.logs:
            tallies = fact.tallies if isinstance(fact, Slice) else ()
            lines += sum(one.count for one in tallies if one.service != CANARY)
            lost += fact.to_offset - fact.from_offset if isinstance(fact, LinesLost) else 0
    return lines, lost


def trends_of(samples: list[Sample]) -> dict[str, dict[str, Trend]]:
    """Return what each of our processes did by each measure."""
    found = {}
    for name in OURS:
        seen = [(one.at_seconds, one.held[name]) for one in samples if name in one.held]
        found[name] = {
            what: trend([(at, float(getattr(held, what))) for at, held in seen if getattr(held, what) >= 0])
            for what in MEASURES
        }
    return found


async def soak(settings: Settings, plan: Plan) -> Report:
    """Run a plan on a whole system of its own."""
    target, whole, stop = Target(0), Whole(settings), asyncio.Event()
    target.start()
    bulk = None
    try:
        await whole.start()
        bulk = Bulk(whole.settings)
        await bulk.ready()
        course = Soak(whole, plan)
        maximum = 0 if plan.rate else await course.maximum(bulk)
        rate = plan.rate or int(maximum * SHARE)
        speaking = asyncio.create_task(trouble(whole.settings, target, stop))
        await course.load(bulk, rate)
        stop.set()
        sent = await speaking + await bulk.end()
        target.broken.clear()
        calm_seconds = await course.calm()
        lag_after = sum(map(abs, course.lag().values()))
        async with KafkaLog(whole.settings) as log:
            lines, lost = await counted(log, whole.settings)
            audit = await verify(settings.data_dir / "log", log, now_ms=time.time_ns() // 1_000_000)
        restarts = int(whole.total("up", "logmend_restarts_total"))
    finally:
        status = whole.stop()
        target.stop()
        if bulk is not None:
            bulk.kill()
    return Report(
        minutes=plan.minutes,
        maximum=maximum,
        rate=rate,
        sent=sent,
        counted=lines,
        lost=lost,
        calm_seconds=calm_seconds,
        lag_after=lag_after,
        lag_most=max((sum(one.lag.values()) for one in course.samples), default=0.0),
        restarts=restarts,
        kills=course.kills,
        status=status,
        findings=[f"{one.file or 'log'}: {one.message}" for one in audit.findings],
        faults=course.faults,
        samples=course.samples,
        trends=trends_of(course.samples),
    )


def lines_of(report: Report) -> Iterator[str]:
    """Yield a report as a table."""
    measured = f"maximum {report.maximum} lines/s; " if report.maximum else ""
    yield f"{measured}{report.rate} lines/s for {report.minutes:g} minutes"
    yield "in the second half: level, and growth as a share of it"
    yield f"{'':10} " + " ".join(f"{what:>20}" for what in MEASURES)
    for name, some in report.trends.items():
        cells = (f"{one.level:11.1f} {one.growth:+8.1%}" if one.samples else f"{'-':>20}" for one in some.values())
        yield f"{name:10} " + " ".join(cells)
    judged = all(one.judged for some in report.trends.values() for one in some.values() if one.samples)
    yield from (f"grows: {one}" for one in report.uneven)
    if not judged:
        yield "too short to say what is flat"
    done = Counter(one.what for one in report.faults)
    yield "faults: " + (", ".join(f"{what} ({count})" for what, count in done.items()) or "none")
    yield f"{report.kills} kills, {report.restarts} restarts; logmend up ended with status {report.status}"
    after = f"{report.lag_after:.0f} in the end, {report.calm_seconds} s after the load"
    yield f"lag: {report.lag_most:.0f} records at most, {after}"
    yield f"{report.sent} lines were sent, {report.counted} are in slices, {report.lost} offsets were lost"
    yield from report.findings
    yield f"verify: {len(report.findings)} findings"
