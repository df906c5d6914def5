from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import telemetry
from streams.core.errors import InvariantError
from streams.ports import Headers, Record, TopicPartition, Unread
from streams.runtime.host import Host, due, run_bare
from streams.runtime.lease import Lease
from streams.runtime.transport import Batch, Fetch
from streams.runtime.watchdog import Progress

LOGS = TopicPartition("logs", 0)
FACTS = TopicPartition("facts", 0)
INBOX = TopicPartition("logmend.inbox.people", 0)


class Line(NamedTuple):
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = b""
    headers: Headers = ()


def lines(where: TopicPartition, *offsets: int) -> list[Record]:
    """Return records of a partition at these offsets."""
    return [Line(where.topic, where.partition, offset) for offset in offsets]


class Recorder:
    """An engine that remembers; starts where it is told."""

    def __init__(self, starts: dict[TopicPartition, int]) -> None:
        self.starts = starts
        self.loads: list[Sequence[TopicPartition]] = []
        self.got: list[tuple[TopicPartition, list[int]]] = []
        self.idles = 0
        self.running = 0
        self.pause = 0.0
        self.error: Exception | None = None

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        assert not self.running
        self.running += 1
        await asyncio.sleep(self.pause)
        self.loads.append(partitions)
        self.running -= 1
        return {where: self.starts[where] for where in partitions}

    async def process(self, batch: Batch) -> None:
        assert not self.running
        self.running += 1
        await asyncio.sleep(self.pause)
        if self.error:
            raise self.error
        self.got.extend((where, [record.offset for record in records]) for where, records in batch)
        self.running -= 1

    async def idle(self) -> None:
        assert not self.running
        self.idles += 1

    def offsets(self, where: TopicPartition) -> list[int]:
        return [offset for at, offsets in self.got if at == where for offset in offsets]


class Seeks:
    """Numbers the seeks, as the consumer's thread does."""

    def __init__(self) -> None:
        self.made: list[dict[TopicPartition, int]] = []

    async def __call__(self, positions: Mapping[TopicPartition, int]) -> int:
        self.made.append(dict(positions))
        return len(self.made)


def hosted(engine: Recorder, holes_in: tuple[str, ...] = ("logs",)) -> Host:
    """Return a host that raises what its engine raises."""
    return Host(engine, "test", Lease("test", 10**9), Progress(), holes_in, fail=lambda _stage, _error: None)


@pytest.mark.parametrize(
    ("offsets", "expected", "found"),
    [
        ((5, 6, 7), 5, [5, 6, 7]),
        ((3, 4, 5, 6), 5, [5, 6]),
        ((3, 4), 5, []),
        ((), 5, []),
        ((5, 8, 9), 5, [5, 8, 9]),
        ((7, 8), 5, [7, 8]),
    ],
)
def test_what_is_below_the_position_is_dropped(offsets: tuple[int, ...], expected: int, found: list[int]) -> None:
    """In a producers' topic, gaps pass."""
    assert [record.offset for record in due(lines(LOGS, *offsets), expected, holes=True)] == found


@pytest.mark.parametrize("offsets", [(6, 7), (5, 7), (3, 4, 6), (5, 6, 6)])
def test_a_gap_in_a_topic_of_ours_stops_the_process(offsets: tuple[int, ...]) -> None:
    """Also one that is hidden behind repeats."""
    with pytest.raises(InvariantError, match=r"facts/0: .* some are missing"):
        due(lines(FACTS, *offsets), 5, holes=False)


@pytest.mark.parametrize(
    ("first", "last", "after", "whole"),
    [(5, 7, (8, 9), True), (4, 7, (8,), True), (5, 7, (9,), False), (6, 7, (), False)],
)
def test_what_can_not_be_read_is_no_gap(first: int, last: int, after: tuple[int, ...], *, whole: bool) -> None:
    """In an inbox it stands for all of its offsets; one that is missing beside it stops the process."""
    records = [Unread(*INBOX, last, 0, first, "unreadable batch: x"), *lines(INBOX, *after)]
    if whole:
        assert due(records, 5, holes=False) == records
    else:
        with pytest.raises(InvariantError, match="some are missing"):
            due(records, 5, holes=False)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.lists(st.integers(0, 4), min_size=12, max_size=12),
)
def test_every_offset_comes_once_and_in_order_however_fetches_overlap(sizes: list[int], repeats: list[int]) -> None:
    """A fetch may begin below the position; it never begins above."""

    async def run() -> None:
        engine = Recorder({FACTS: 0})
        host = hosted(engine)
        await host.load([FACTS], Seeks())
        end = 0
        for size, repeat in zip(sizes, repeats, strict=False):
            start, end = max(end - repeat, 0), end + size
            await host.process(Fetch(1, [(FACTS, lines(FACTS, *range(start, end)))]))
        assert engine.offsets(FACTS) == list(range(end))
        assert host.positions == {FACTS: end}

    asyncio.run(run())


async def test_a_fetch_from_before_the_seek_is_dropped() -> None:
    """Its stamp is another number, even if its offsets would fit."""
    engine = Recorder({LOGS: 5})
    host = hosted(engine)
    await host.load([LOGS], Seeks())
    await host.process(Fetch(0, [(LOGS, lines(LOGS, 5, 6))]))
    await host.process(Fetch(1, [(LOGS, lines(LOGS, 5))]))
    assert engine.offsets(LOGS) == [5]


async def test_a_partition_that_comes_before_its_load_is_skipped() -> None:
    """The others of the same fetch are worked on."""
    engine = Recorder({FACTS: 0})
    host = hosted(engine)
    await host.load([FACTS], Seeks())
    await host.process(Fetch(1, [(LOGS, lines(LOGS, 0)), (FACTS, lines(FACTS, 0))]))
    assert engine.got == [(FACTS, [0])]


async def test_nothing_is_worked_on_after_a_release() -> None:
    """Neither records nor idle calls: another process may own the partitions."""
    engine = Recorder({FACTS: 0})
    host = hosted(engine)
    await host.load([FACTS], Seeks())
    await host.release()
    await host.process(Fetch(1, [(FACTS, lines(FACTS, 0))]))
    await asyncio.sleep(0.2)
    await host.idle_when_quiet()
    assert engine.got == []
    assert engine.idles == 0


async def test_nothing_is_said_of_a_partition_that_is_anothers_now() -> None:
    """A lag that was measured before the release would stand in the metrics for ever."""
    host = hosted(Recorder({FACTS: 0, LOGS: 0}))
    await host.load([FACTS, LOGS], Seeks())
    host.measured({FACTS: (0, 9), LOGS: (0, 7)})
    labels = {"topic": "facts", "partition": "0"}
    assert telemetry.REGISTRY.get_sample_value("logmend_lag_records", labels) == 9
    await host.load([LOGS], Seeks())
    assert telemetry.REGISTRY.get_sample_value("logmend_lag_records", labels) is None


async def test_a_process_without_partitions_loads_nothing() -> None:
    """A standby's engine is not called."""
    engine = Recorder({})
    host = hosted(engine)
    await host.load([], Seeks())
    assert engine.loads == []


async def test_calls_never_overlap_and_a_release_waits_for_the_batch() -> None:
    """The recorder asserts that it is alone; after the release the batch is complete."""
    engine = Recorder({FACTS: 0})
    engine.pause = 0.01
    host = hosted(engine)
    seeks = Seeks()
    await host.load([FACTS], seeks)
    work = [asyncio.ensure_future(host.process(Fetch(1, [(FACTS, lines(FACTS, 0, 1))])))]
    work.append(asyncio.ensure_future(host.idle_when_quiet()))
    await asyncio.sleep(0.001)
    await host.release()
    assert engine.offsets(FACTS) == [0, 1]
    engine.starts = {FACTS: 2}
    work.append(asyncio.ensure_future(host.load([FACTS], seeks)))
    work.append(asyncio.ensure_future(host.process(Fetch(2, [(FACTS, lines(FACTS, 2))]))))
    await asyncio.gather(*work)
    assert engine.offsets(FACTS) == [0, 1, 2]


async def test_a_cancelled_batch_runs_to_its_end() -> None:
    """Faust cancels agents when it stops; half a batch must not be left behind."""
    engine = Recorder({FACTS: 0})
    engine.pause = 0.01
    host = hosted(engine)
    await host.load([FACTS], Seeks())
    work = asyncio.ensure_future(host.process(Fetch(1, [(FACTS, lines(FACTS, 0))])))
    await asyncio.sleep(0.001)
    work.cancel()
    await host.stop()
    assert engine.offsets(FACTS) == [0]
    assert host.positions == {FACTS: 1}


async def test_a_stopped_host_takes_no_more() -> None:
    """What comes after the stop is left to the next start."""
    engine = Recorder({FACTS: 0})
    host = hosted(engine)
    await host.load([FACTS], Seeks())
    await host.stop()
    await host.process(Fetch(1, [(FACTS, lines(FACTS, 0))]))
    assert engine.got == []


async def test_an_engine_that_fails_is_given_nothing_more() -> None:
    """The failure is reported with its stage, and the position does not move."""
    failures: list[tuple[str, str]] = []
    engine = Recorder({FACTS: 0})
    fail = lambda stage, error: failures.append((stage, f"{error}"))  # noqa: E731 - a test double
    host = Host(engine, "decide", Lease("test", 10**9), Progress(), fail=fail)
    await host.load([FACTS], Seeks())
    engine.error = ValueError("disk full")
    with pytest.raises(ValueError, match="disk full"):
        await host.process(Fetch(1, [(FACTS, lines(FACTS, 0))]))
    assert failures == [("decide", "disk full")]
    assert host.positions == {FACTS: 0}


async def test_a_position_that_retention_deleted_is_loaded_again() -> None:
    """The engine decides what a lost range means; positions and stamp are new afterwards."""
    engine = Recorder({LOGS: 0})
    host = hosted(engine)
    seeks = Seeks()
    await host.load([LOGS], seeks)
    engine.starts = {LOGS: 40}
    await host.process(Fetch(1, (), out_of_range=True))
    await host.process(Fetch(2, [(LOGS, lines(LOGS, 40))]))
    assert engine.loads == [[LOGS], [LOGS]]
    assert seeks.made == [{LOGS: 0}, {LOGS: 40}]
    assert engine.offsets(LOGS) == [40]


async def test_an_engine_without_input_is_called_often() -> None:
    """Idle is due 0.15 s after the last call."""
    engine = Recorder({FACTS: 0})
    host = hosted(engine)
    await host.load([FACTS], Seeks())
    await host.idle_when_quiet()
    assert engine.idles == 0
    await asyncio.sleep(0.16)
    await host.idle_when_quiet()
    assert engine.idles == 1


async def test_markers_at_the_end_are_no_lag() -> None:
    """What was fetched counts as reached, unless a fetch still waits."""
    engine = Recorder({LOGS: 7})
    host = hosted(engine)
    await host.load([LOGS], Seeks())
    host.measured({LOGS: (8, 8)})
    assert host.progress.lags[LOGS].position == 8
    host.handed()
    host.measured({LOGS: (8, 8)})
    assert host.progress.lags[LOGS].position == 7


class Script:
    """A poller that gives scripted fetches and sets ``stop`` at the last."""

    def __init__(self, fetches: list[Batch], stop: asyncio.Event) -> None:
        self.fetches = fetches
        self.stop = stop

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Batch:
        if len(self.fetches) == 1:
            self.stop.set()
        return self.fetches.pop(0)


async def test_a_bare_loop_gives_the_engine_everything_until_it_is_stopped() -> None:
    """The batch in hand at the stop is still worked on."""
    engine = Recorder({LOGS: 2, FACTS: 0})
    stop = asyncio.Event()
    script = Script([[(LOGS, lines(LOGS, 2, 3))], [], [(FACTS, lines(FACTS, 0)), (LOGS, lines(LOGS, 4))]], stop)
    await run_bare(engine, script, [LOGS, FACTS], stop)
    assert engine.loads == [[FACTS, LOGS]]
    assert engine.got == [(LOGS, [2, 3]), (FACTS, [0]), (LOGS, [4])]


async def test_a_bare_loop_raises_what_the_engine_raises() -> None:
    """A gap in a topic of ours among them."""
    engine = Recorder({FACTS: 0})
    stop = asyncio.Event()
    with pytest.raises(InvariantError):
        await run_bare(engine, Script([[(FACTS, lines(FACTS, 1))]], stop), [FACTS], stop)
