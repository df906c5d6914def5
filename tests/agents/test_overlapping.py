"""Batches that overlap: cut and written in turn, one ahead at most, and nothing after one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streams.agents.detect import DetectEngine, SupersededError
from streams.codec import decode_fact
from streams.core.config import RuleSet
from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.host import Host
from streams.runtime.kafka import AHEAD_RECORDS_MIN
from streams.runtime.lease import Lease
from streams.runtime.overlapping import Overlapping
from streams.runtime.watchdog import Progress
from streams.topics import Topics
from tests.ingest.given import Given, redactor

TOPICS = Topics()
LOGS = TopicPartition("logs", 0)
FACTS = TopicPartition(TOPICS.facts, 0)
MANY = AHEAD_RECORDS_MIN


class SlowLog:
    """A log that acknowledges an append of detect's only when it is let."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Outgoing]] = {}
        self.appended: list[str] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.slow = False
        self.asked = 0

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append, and wait."""
        offsets = []
        for record in records:
            topic = self.topics.setdefault(record.topic, [])
            topic.append(record)
            offsets.append(len(topic) - 1)
        self.appended += sorted({record.topic for record in records})
        if self.slow:
            self.waiting.append(asyncio.get_running_loop().create_future())
            await self.waiting[-1]
        return offsets

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return where a topic begins and ends; that of lines has some."""
        self.asked += 1
        return 0, 10 * MANY if where == LOGS else len(self.topics.get(where.topic, []))

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return what was appended."""
        return [
            Given(record.value, offset=start + number, topic=where.topic)
            for number, record in enumerate(self.topics.get(where.topic, [])[start:end])
        ]

    def slices(self) -> list[tuple[int, int]]:
        """Return the ranges of all slices, in order."""
        facts = [decode_fact(record.value or b"") for record in self.topics[TOPICS.facts]]
        return [(one.from_offset, one.to_offset) for one in facts if isinstance(one, Slice)]


class Counting(Slicer):
    """A slicer that notes what it cuts."""

    cuts: list[int]

    def cut(self, *given: object, **named: object) -> object:  # type: ignore[override]  # whatever a slicer takes
        """Cut, and note the first offset."""
        self.cuts.append(given[3][0].offset)  # type: ignore[index]  # the records
        return super().cut(*given, **named)  # type: ignore[arg-type]


async def begun() -> tuple[SlowLog, Overlapping, list[int]]:
    """Return a log that waits from now on, detect that has its partition, and the first offsets of what is cut."""
    log = SlowLog()
    cuts: list[int] = []

    def slicer_for(_: RuleSet) -> Slicer:
        slicer = Counting(matcher.shipped(), TOPICS, redactor())
        slicer.cuts = cuts
        return slicer

    detect = Overlapping(DetectEngine(log, TOPICS, slicer_for, "one", lambda: "nonce"))
    await detect.load([LOGS])
    log.slow = True
    log.appended.clear()
    return log, detect, cuts


def batch(number: int, lines: int = MANY) -> list[tuple[TopicPartition, Sequence[Record]]]:
    """Return a batch of so many lines, of which one is detected."""
    values = (b"Out of memory: Killed process 7 (java)", *[b"hello"] * (lines - 1))
    return [(LOGS, [Given(value, offset=number * lines + place) for place, value in enumerate(values)])]


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_batch_is_cut_while_the_output_of_one_is_acknowledged() -> None:
    """Cut at once, appended only when the first one's slices are acknowledged; then in the order of offsets."""
    log, detect, cuts = await begun()
    await detect.process(batch(0))
    await turns()
    second = asyncio.ensure_future(detect.process(batch(1)))
    await turns()
    assert cuts == [0, MANY]
    assert log.appended == [TOPICS.evidence]
    assert not second.done()
    while log.waiting:
        log.waiting.pop().set_result(None)
        await turns()
    await second
    assert log.appended == [TOPICS.evidence, TOPICS.facts, TOPICS.evidence, TOPICS.facts]
    assert log.slices() == [(0, MANY), (MANY, 2 * MANY)]


async def test_a_little_batch_is_cut_when_the_one_before_is_written() -> None:
    """While there is little, cutting only keeps the loop from sending what is cut already."""
    log, detect, cuts = await begun()
    await detect.process(batch(0, 1))
    second = asyncio.ensure_future(detect.process(batch(1, 1)))
    await turns()
    assert (cuts, log.appended) == ([0], [TOPICS.evidence])
    log.slow = False
    log.waiting.pop().set_result(None)
    await second
    await detect.settle()
    assert (cuts, log.slices()) == ([0, 1], [(0, 1), (1, 2)])


async def test_what_an_append_has_shown_is_not_asked_for() -> None:
    """While detect appends it knows where the facts end; it asks again once a while has passed without."""
    log, detect, _ = await begun()
    log.slow = False
    await detect.process(batch(0, 1))
    asked = log.asked
    await detect.idle()
    assert log.asked == asked
    await detect.idle()
    assert log.asked > asked


async def test_no_more_than_one_batch_is_ahead() -> None:
    """The call for a third batch is not reached before the first is acknowledged."""
    log, detect, cuts = await begun()
    await detect.process(batch(0))
    second = asyncio.ensure_future(detect.process(batch(1)))
    await turns()
    assert not second.done()
    log.slow = False
    log.waiting.pop().set_result(None)
    await second
    await detect.idle()
    assert cuts == [0, MANY]
    assert log.slices() == [(0, MANY), (MANY, 2 * MANY)]


async def test_nothing_is_written_after_a_batch_that_failed() -> None:
    """The error of a batch is raised by the call that follows, and what was cut meanwhile is never appended."""
    log, detect, _ = await begun()
    await detect.process(batch(0))
    second = asyncio.ensure_future(detect.process(batch(1)))
    await turns()
    log.waiting.pop().set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        await second
    await turns()
    await detect.settle()
    assert log.appended == [TOPICS.evidence]


async def test_a_batch_that_comes_after_one_that_failed_is_refused() -> None:
    """Detect itself writes nothing behind a hole, whoever calls it."""
    log, _, _ = await begun()
    engine = DetectEngine(log, TOPICS, lambda _: Slicer(matcher.shipped(), TOPICS, redactor()), "one", lambda: "nonce")
    log.slow = False
    await engine.load([LOGS])
    log.appended.clear()
    log.slow = True
    first, second = (asyncio.ensure_future(engine.process(batch(offset))) for offset in (0, 1))
    await turns()
    log.waiting.pop().set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        await first
    with pytest.raises(SupersededError):
        await second
    assert log.appended == [TOPICS.evidence]


async def test_a_host_lets_go_only_of_what_is_durable() -> None:
    """Before others may take its partitions, a host waits for the batch under way."""
    log, detect, _ = await begun()
    host = Host(detect, "detect", Lease("detect", 10**9), Progress())
    await detect.process(batch(0))
    await turns()
    releasing = asyncio.ensure_future(host.release())
    await turns()
    assert not releasing.done()
    log.slow = False
    log.waiting.pop().set_result(None)
    await releasing
    assert log.slices() == [(0, MANY)]


class Held:
    """An engine whose batches end when they are told to; ``said`` is what it was asked to do."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ends: list[asyncio.Future[None]] = []

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Note it."""
        self.said.append("load")
        return dict.fromkeys(partitions, 0)

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Wait to be told, and note when nobody waits for the batch any more."""
        self.said.append(f"process {len(batch)}")
        self.ends.append(asyncio.get_running_loop().create_future())
        try:
            await self.ends[-1]
        except asyncio.CancelledError:
            self.said.append("dropped")
            raise

    async def idle(self) -> None:
        """Note it."""
        self.said.append("idle")


async def test_what_was_begun_behind_a_batch_that_failed_is_dropped() -> None:
    """It does not go on behind the back of a host that ends for the error."""
    held = Held()
    overlapping = Overlapping(held)
    await overlapping.process([])
    second = asyncio.ensure_future(overlapping.process(batch(1)))
    await turns()
    held.ends[0].set_exception(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        await second
    await turns()
    assert held.said == ["process 0", "process 1", "dropped"]


@pytest.mark.parametrize("call", ["load", "idle", "settle"])
async def test_the_error_of_a_batch_is_raised_by_whatever_follows(call: str) -> None:
    """Once, and the engine is asked for nothing more."""
    held = Held()
    overlapping = Overlapping(held)
    await overlapping.process([])
    await turns()
    held.ends[0].set_exception(ConnectionError("gone"))
    following = {"load": lambda: overlapping.load([LOGS]), "idle": overlapping.idle, "settle": overlapping.settle}
    with pytest.raises(ConnectionError):
        await following[call]()
    assert held.said == ["process 0"]
    await overlapping.settle()


async def test_an_idle_moment_waits_for_the_batch_under_way() -> None:
    """What follows a moment without records is of a log that has all that was cut."""
    held = Held()
    overlapping = Overlapping(held)
    await overlapping.process([])
    idling = asyncio.ensure_future(overlapping.idle())
    await turns()
    assert held.said == ["process 0"]
    held.ends[0].set_result(None)
    await idling
    assert held.said == ["process 0", "idle"]


async def test_a_load_waits_for_the_batch_under_way() -> None:
    """Positions are asked for when all that was cut is in the log."""
    log, detect, _ = await begun()
    await detect.process(batch(0))
    await turns()
    loading = asyncio.ensure_future(detect.load([LOGS]))
    await turns()
    assert not loading.done()
    log.slow = False
    log.waiting.pop().set_result(None)
    assert await loading == {LOGS: MANY}
