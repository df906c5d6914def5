"""Taking commands in: in order, once, and never past a hole; and what heartbeats tell of the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from aiokafka.errors import OffsetOutOfRangeError

from streams.codec import encode
from streams.core.errors import InvariantError
from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.workers.intake import Intake
from streams.workers.journal import Journal
from streams.workers.pulse import Pulse
from tests.workers.kit import HOST, TOPICS, FileLog, command


class CutLog(FileLog):
    """A log whose first ``earliest`` records retention has deleted, and whose last ``lost`` are gone."""

    earliest = 0
    lost = 0

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return what is left."""
        return self.earliest, len(self.records(where.topic)) - self.lost

    async def poll(self, positions: Mapping[TopicPartition, int]) -> list[tuple[TopicPartition, list[Fetched]]]:
        """Return what is new; an offset that is not there is an error, as on Kafka."""
        for where, offset in positions.items():
            earliest, end = await self.bounds(where)
            if not earliest <= offset <= end:
                raise OffsetOutOfRangeError({where: offset})
        return await super().poll(positions)


@pytest.fixture
def log(tmp_path: Path) -> CutLog:
    """Return an empty log."""
    return CutLog(tmp_path / "topics")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Yield a new journal."""
    opened = Journal.open(tmp_path / "pool")
    yield opened
    opened.close()


def send(log: FileLog, *seqs: int, host: str = HOST) -> list[Command]:
    """Append commands, each naming the one before it."""
    sent = [command(ServiceSpec(name="api", host=host), "process.restart", seq, seq - 1) for seq in seqs]
    for one in sent:
        log.put(Outgoing(TOPICS.commands, encode(one), one.host.encode()))
    return sent


async def taken(intake: Intake) -> list[int]:
    """Return the seqs of what is taken in at once."""
    return [entry.command.seq for entry in await intake.take()]


async def test_commands_are_taken_in_once(log: CutLog, journal: Journal) -> None:
    """Repeats and other hosts' commands are passed over; a new intake goes on where the journal stands."""
    intake = Intake(log, TOPICS.commands, journal, HOST)
    await intake.begin()
    send(log, 0)
    send(log, 1, host="elsewhere")
    send(log, 2)
    send(log, 0)
    assert await taken(intake) == [0, 2]
    send(log, 3)
    again = Intake(log, TOPICS.commands, journal, HOST)
    await again.begin()
    assert await taken(again) == [3]
    assert await taken(again) == []


async def test_what_retention_deleted_is_passed_over(log: CutLog, journal: Journal) -> None:
    """Commands that were deleted before they were read have expired: the next one begins the chain."""
    intake = Intake(log, TOPICS.commands, journal, HOST)
    await intake.begin()
    send(log, 0, 1, 2, 3)
    log.earliest = 3
    assert await taken(intake) == []
    assert await taken(intake) == [3]


async def test_a_topic_that_was_cut_stops_the_intake(log: CutLog, journal: Journal) -> None:
    """When the topic ends before what was read of it, nothing is taken any more."""
    intake = Intake(log, TOPICS.commands, journal, HOST)
    await intake.begin()
    send(log, 0, 1)
    assert await taken(intake) == [0, 1]
    log.lost = 1
    with pytest.raises(InvariantError, match="commands end at 1, but 2 was read"):
        await intake.take()


@pytest.mark.parametrize(
    ("measured", "skew_ms"),
    [
        (((40, 50), (3, 5)), 3),
        (((3, 5), (40, 50)), 3),
        (((3, 5), (900, 50)), 900),
        (((3, 5), (-900, 2)), -900),
    ],
    ids=["a closer look", "a slower one", "a clock that was set", "and seen at once"],
)
def test_the_closest_look_at_the_clock_counts(log: CutLog, measured: tuple[tuple[int, int], ...], skew_ms: int) -> None:
    """Of looks (skew, doubt) that may all be true the closest one counts; one that contradicts it is believed."""
    pulse = Pulse(log, TOPICS.heartbeats, HOST)
    for found in measured:
        pulse._measured(*found)
    assert pulse.skew_ms == skew_ms
