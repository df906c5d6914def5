"""What is put back, where, with what; and that nothing is put back twice, wherever a replay dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.errors import InputError
from streams.ingest.letters import (
    ARE_IN_DOUBT,
    NO_PRODUCERS,
    NO_VALUE,
    PARTLY_READ,
    WERE_PUT_BACK,
    Chosen,
    Which,
    choose,
)
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.runtime import dead_letters
from streams.runtime.dead_letters import DONE, INTENT, REPLAYED, Marks, Replay, read_letter, read_mark, scan
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog

TOPICS = Topics(logs=("logs", "app"))
PARTITIONS = {"logs": 4, "app": 1, "metrics": 2}
DLQ = TopicPartition(TOPICS.dlq, 0)


class DyingError(Exception):
    """The process is killed."""


class Mortal(MemoryLog):
    """A log whose user dies at the n-th append from now: before it, or after some of its records are there."""

    def __init__(self) -> None:
        super().__init__()
        self.appends_left = 1 << 30
        self.records_of_the_last = 0

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append in order, or die."""
        self.appends_left -= 1
        if self.appends_left < 0:
            await super().append(records[: self.records_of_the_last])
            raise DyingError
        return await super().append(records)

    def on(self, topic: str) -> list[Fetched]:
        """Return the records of a topic, in all partitions."""
        return [record for where, records in self.records.items() if where.topic == topic for record in records]


def letter(
    number: int = 0,
    topic: str = "logs",
    *,
    key: bytes | None = None,
    value: bytes | None = b"line",
    reason: str = "binary",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Outgoing:
    """Return a dead letter as detect writes it."""
    place = {"topic": topic, "partition": number % 4, "offset": number, "reason": reason}
    own = tuple((f"logmend.{name}", str(said).encode()) for name, said in place.items())
    return Outgoing(TOPICS.dlq, value, key, 0, (*own, *headers))


def log_of(*letters: Outgoing) -> Mortal:
    """Return a log with dead letters."""
    log = Mortal()
    for each in letters:
        log.put(each)
    return log


def which(reason: str = "", topic: str = "", since_ms: int = 0, offsets: Sequence[int] = ()) -> Which:
    """Return which letters are asked for; all, unless it is said."""
    return Which(reason=reason, topic=topic, since_ms=since_ms, offsets=frozenset(offsets))


def chosen(log: Mortal, asked: Which | None = None, *, again: bool = False) -> Chosen:
    """Return what may be put back."""
    return asyncio.run(choose(log, TOPICS, asked or which(), again=again))


def replay(log: Mortal, asked: Which | None = None, *, by: str = "one", again: bool = False) -> int:
    """Put back what may be; return how many records that were."""

    async def run() -> int:
        found = await choose(log, TOPICS, asked or which(), again=again)
        steps = Replay(log, TOPICS, PARTITIONS, by, found.marks).run(found.offsets)
        return sum([sum(step.values()) async for step in steps])

    return asyncio.run(run())


def marks(log: Mortal) -> Marks:
    """Return what replays said."""

    async def read() -> Marks:
        found = Marks()
        async for record in scan(log, TOPICS):
            found.take(record)
        return found

    return asyncio.run(read())


def test_a_record_comes_back_as_it_was() -> None:
    """Bytes, key and its own headers are those that the producer sent; one header says which letter it was."""
    own = (("service", b"shop"), ("logmend.topic", b"a producer's own"), ("empty", b""))
    log = log_of(letter(9, key=b"shop", value=b"\x00\xff", headers=own))
    assert replay(log) == 1
    (back,) = log.on("logs")
    assert (back.key, back.value) == (b"shop", b"\x00\xff")
    assert back.headers == (*own, (REPLAYED, b"0"))


def test_the_partition_is_that_of_the_key_or_the_one_it_had() -> None:
    """Keys go where Kafka's clients put them; without a key, back, or somewhere when there is no such partition."""
    log = log_of(letter(3, key=b"shop"), letter(3), letter(3, "app"))
    replay(log)
    assert [record.partition for record in log.on("logs") if record.key] == [(murmur2(b"shop") & 0x7FFFFFFF) % 4]
    assert [record.partition for record in log.on("logs") if not record.key] == [3]
    assert [record.partition for record in log.on("app")] == [0]


def test_nothing_is_put_back_twice() -> None:
    """A second replay finds nothing to do, and says what was done before."""
    log = log_of(letter(0), letter(1))
    assert replay(log) == 2
    assert replay(log) == 0
    assert chosen(log).left_out == {WERE_PUT_BACK: 2}
    assert len(log.on("logs")) == 2


def test_a_record_that_dies_again_is_a_letter_of_its_own() -> None:
    """It names the letter that it was, may be put back itself, and then carries one such header."""
    log = log_of(letter(0))
    replay(log)
    (back,) = log.on("logs")
    log.put(letter(1, headers=tuple(back.headers)))
    found = [one for record in log.on(TOPICS.dlq) if (one := read_letter(record))]
    assert [one.replay_of for one in found] == [-1, 0]
    assert replay(log) == 1
    assert log.on("logs")[-1].headers == ((REPLAYED, str(found[1].offset).encode()),)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (which(reason="NO reg"), {1, 2}),
        (which(topic="app"), {2}),
        (which(reason="no reg", topic="logs"), {1}),
        (which(offsets=[0, 2]), {0, 2}),
        (which(since_ms=1), {0, 1, 2}),
        (which(since_ms=1 << 60), set()),
    ],
)
def test_letters_are_chosen_by_reason_topic_time_and_offset(asked: Which, expected: set[int]) -> None:
    """What is not asked for stays where it is."""
    reason = "confluent avro: no registry"
    log = log_of(letter(0), letter(1, reason=reason), letter(2, "app", reason=reason))
    assert chosen(log, asked).offsets == expected
    replay(log, asked)
    assert marks(log).done == expected


def test_what_can_not_be_put_back_is_left_out_with_the_reason() -> None:
    """Inboxes, topics of others and records without a value are not written to by a replay."""
    log = log_of(letter(0, TOPICS.inbox_people), letter(1, "elsewhere"), letter(2, value=None), letter(3, value=b""))
    assert chosen(log).back == {}
    assert chosen(log).left_out == {NO_PRODUCERS: 2, NO_VALUE: 2}
    assert replay(log) == 0
    assert len(log.on(TOPICS.dlq)) == 4


@pytest.mark.parametrize("reason", ["too many lines: from index 50000 on", "partly read: binary"])
def test_a_record_that_was_read_in_part_is_put_back_by_its_offset_only(reason: str) -> None:
    """Some of its lines count already; who wants them twice has to name the letter."""
    log = log_of(letter(0, reason=reason), letter(1))
    assert chosen(log).offsets == {1}
    assert chosen(log).left_out == {PARTLY_READ: 1}
    assert chosen(log, which(offsets=[0])).offsets == {0}


def test_an_offset_without_a_letter_is_an_error() -> None:
    """A typing mistake, or the offset of a mark, is named."""
    log = log_of(letter(0))
    replay(log)
    with pytest.raises(InputError, match="no such dead letter: 1, 77"):
        chosen(log, which(offsets=[0, 1, 77]))


@pytest.mark.parametrize(
    ("appends", "of_the_last", "back", "in_doubt"),
    [
        (0, 0, 0, set()),  # before anything was said
        (0, 1, 0, {0, 1, 2}),  # the intent is there, its acknowledgement never came
        (1, 0, 0, {0, 1, 2}),  # between the intent and the records
        (1, 2, 2, {0, 1, 2}),  # in the midst of the records
        (2, 0, 3, {0, 1, 2}),  # between the records and the completion
        (2, 1, 3, set()),  # the completion is there
    ],
)
def test_a_replay_that_dies_leaves_letters_in_doubt(
    appends: int, of_the_last: int, back: int, in_doubt: set[int]
) -> None:
    """Wherever it dies, the next replay leaves out what may be back already, and --again puts it back."""
    log = log_of(*(letter(number) for number in range(3)))
    log.appends_left, log.records_of_the_last = appends, of_the_last
    with pytest.raises(DyingError):
        replay(log)
    log.appends_left = 1 << 30
    assert (len(log.on("logs")), marks(log).in_doubt) == (back, in_doubt)
    rest = 0 if in_doubt or back else 3
    assert replay(log, by="two") == rest
    if in_doubt:
        assert chosen(log).left_out == {ARE_IN_DOUBT: 3}
        assert replay(log, by="three", again=True) == 3
    assert len(log.on("logs")) == back + (3 if in_doubt else rest)
    assert (marks(log).in_doubt, marks(log).done) == (set(), {0, 1, 2})


def test_steps_bound_what_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large replay goes by steps; those that ended are done when a later one dies."""
    monkeypatch.setattr(dead_letters, "STEP_RECORDS_MAX", 4)
    monkeypatch.setattr(dead_letters, "STEP_BYTES_MAX", 100)
    log = log_of(*(letter(number, value=b"x" * (60 if number >= 8 else 1)) for number in range(10)))
    log.appends_left = 7  # two whole steps and the next intent
    with pytest.raises(DyingError):
        replay(log)
    assert (marks(log).done, marks(log).in_doubt) == (set(range(8)), {8})
    log.appends_left = 1 << 30
    assert replay(log, by="two") == 1
    assert replay(log, by="three", again=True) == 1
    assert [record.headers[-1][1] for record in log.on("logs")] == [b"%d" % n for n in (0, 4, 8, 1, 5, 9, 2, 6, 3, 7)]


def test_of_two_replays_at_once_the_later_yields() -> None:
    """Both chose the same letters; the one whose intent comes second puts nothing back and says so."""
    log = log_of(letter(0), letter(1))
    found = chosen(log)

    async def run(by: str) -> None:
        async for _ in Replay(log, TOPICS, PARTITIONS, by, found.marks).run(found.offsets):
            pass

    asyncio.run(run("first"))
    with pytest.raises(InputError, match="another"):
        asyncio.run(run("second"))
    assert len(log.on("logs")) == 2
    assert (marks(log).done, marks(log).in_doubt) == ({0, 1}, set())


def test_of_two_replays_that_began_at_once_the_later_yields() -> None:
    """An intent alone is enough to claim letters."""
    log = log_of(letter(0), letter(1))
    found = chosen(log)
    log.put(Outgoing(TOPICS.dlq, None, None, 0, ((INTENT, b"1"), ("logmend.by", b"rival"))))

    async def run() -> None:
        async for _ in Replay(log, TOPICS, PARTITIONS, "late", found.marks).run(found.offsets):
            pass

    with pytest.raises(InputError, match="another"):
        asyncio.run(run())
    assert log.on("logs") == []
    assert marks(log).in_doubt == {1}


def test_a_producer_can_not_forge_a_mark() -> None:
    """A letter is a letter whatever headers its producer gave it, and a mark has nothing else in it."""
    forged = ((DONE, b"0,1"), ("logmend.by", b"x"))
    log = log_of(letter(0, headers=forged), letter(1, headers=forged))
    assert (marks(log).done, marks(log).in_doubt) == (set(), set())
    assert chosen(log).offsets == {0, 1}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from([INTENT, DONE, "logmend.topic", "logmend.by", "logmend.offset"]), st.text()),
            st.one_of(st.binary(max_size=20), st.sampled_from([b"1,2", b"-1", b"9" * 30, b"\xd9\xa3"])),
        ),
        max_size=6,
    ),
    st.one_of(st.none(), st.binary(max_size=20)),
)
def test_any_record_in_the_topic_is_read(headers: list[tuple[str, bytes]], value: bytes | None) -> None:
    """Whatever somebody wrote there, it is a letter, a mark, or passed over; none is two things."""
    record = Fetched(TOPICS.dlq, 0, 5, 0, None, value, headers)
    Marks().take(record)
    assert read_letter(record) is None or read_mark(record) is None
