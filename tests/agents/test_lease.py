from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.lease import GuardedLog, Lease

ONE = (Outgoing("facts", b"1"),)


class Ended(BaseException):
    """Stands in for the end of the process."""


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowLog:
    """Queues records in one turn of the loop and sends them in a later one, as a producer does."""

    def __init__(self) -> None:
        self.queued: list[Outgoing] = []
        self.sent: list[Outgoing] = []

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        self.queued.extend(records)
        sender = asyncio.Event()
        asyncio.get_running_loop().call_soon(sender.set)
        await sender.wait()
        self.sent.extend(self.queued)
        return range(len(records))

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        return ()

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        return 0, 0


def end() -> None:
    """End the test's process."""
    raise Ended


def lease(clock: Clock) -> Lease:
    """Return a lease of 4.5 s."""
    return Lease("test", 6_000, clock=clock, end=end)


@pytest.mark.parametrize(("slept_seconds", "ends"), [(0.0, False), (4.5, False), (4.6, True), (3600.0, True)])
def test_a_stamp_older_than_three_quarters_of_the_session_ends_the_process(slept_seconds: float, ends: bool) -> None:  # noqa: FBT001 - a table's column
    """Exactly 0.75 sessions still pass."""
    clock = Clock()
    held = lease(clock)
    clock.now += slept_seconds
    if ends:
        with pytest.raises(Ended):
            held.check()
    else:
        held.check()


def test_a_woken_process_does_not_renew_its_own_lease() -> None:
    """The first act of a woken loop may be the touch: it ends the process too."""
    clock = Clock()
    held = lease(clock)
    clock.now += 12
    with pytest.raises(Ended):
        held.touch()


def test_a_touch_renews_the_lease() -> None:
    """Ten touches of 3 s each outlast any session."""
    clock = Clock()
    held = lease(clock)
    for _ in range(10):
        clock.now += 3
        held.touch()
    held.check()


async def test_nothing_is_queued_when_the_lease_is_lost_before_an_append() -> None:
    """The check comes first."""
    clock, log = Clock(), SlowLog()
    guarded = GuardedLog(log, lease(clock), lambda: None)
    clock.now += 12
    with pytest.raises(Ended):
        await guarded.append(ONE)
    assert log.queued == []


async def test_what_is_queued_is_not_sent_when_the_process_slept_meanwhile() -> None:
    """The second check comes after the records are queued and before the sender's turn."""
    clock, log = Clock(), SlowLog()
    guarded = GuardedLog(log, lease(clock), lambda: None)
    append = log.append

    async def sleepy(records: Sequence[Outgoing]) -> Sequence[int]:
        clock.now += 12
        return await append(records)

    log.append = sleepy  # type: ignore[method-assign]
    with pytest.raises(Ended):
        await guarded.append(ONE)
    assert log.queued == list(ONE)
    assert log.sent == []


async def test_each_answer_of_the_broker_is_told() -> None:
    """Append, read and bounds each count once."""
    answers: list[int] = []
    guarded = GuardedLog(SlowLog(), lease(Clock()), lambda: answers.append(1))
    where = TopicPartition("facts", 0)
    assert list(await guarded.append(ONE)) == [0]
    await guarded.read(where, 0, 1)
    await guarded.bounds(where)
    assert len(answers) == 3
