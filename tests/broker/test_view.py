"""A view of the facts follows them to their end, from the beginning or from a snapshot. No broker is needed here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest
from aiokafka.errors import OffsetOutOfRangeError

from streams.catalogue import strategies
from streams.codec import encode
from streams.core.errors import InvariantError, OtherVersionError
from streams.core.events import ActionHalted, Fact, Message, Slice, Took
from streams.core.fold import EPOCH, SNAPSHOT_VERSION, Fold
from streams.core.saved import Saved, pack
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.runtime.snapshots import TopicSnapshots
from streams.runtime.view import FactsView
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog

TOPICS = Topics()
FACTS = TopicPartition(TOPICS.facts, 0)
PEOPLE = TOPICS.inbox_people
START_MS = 1_800_000_000_000


def _took(term: int) -> Took:
    return Took(source=PEOPLE, partition=0, term=term, nonce=f"n{term}", owner="test")


def _said(at: int, *, term: int = 1) -> Slice:
    halted = Message(offset=at, append_ms=START_MS, event=ActionHalted(author=f"author {at}", reason="test"))
    return Slice(
        source=PEOPLE,
        partition=0,
        term=term,
        from_offset=at,
        to_offset=at + 1,
        rules_sha256="",
        lines=1,
        at_max_ms=0,
        append_max_ms=START_MS,
        messages=(halted,),
    )


async def _append(log: MemoryLog, *facts: Fact) -> None:
    await log.append([Outgoing(FACTS.topic, encode(fact)) for fact in facts])


async def test_a_view_knows_what_the_facts_say() -> None:
    """Opened on a log it has read all of it; a refresh reads what came after."""
    log = MemoryLog()
    await _append(log, _took(1), _said(0))
    view = await FactsView.open(log, TOPICS)
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 0", 2)
    await _append(log, _said(1))
    await view.refresh()
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 1", 3)


class SlowToSay(MemoryLog):
    """A log whose answer about its bounds is old when it comes: meanwhile a fact was appended, and read by another."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return the bounds as they were before what happens meanwhile."""
        found = await super().bounds(where)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return found


async def test_facts_that_are_read_while_the_broker_answers_are_no_cut() -> None:
    """What comes and is read while the end of the facts is asked for makes no log that was cut."""
    log = SlowToSay()
    await _append(log, _took(1), _said(0))
    view = await FactsView.open(log, TOPICS)

    async def one_more() -> None:
        await _append(log, _said(1))
        await view.refresh()

    log.meanwhile = one_more
    await view.refresh()
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 1", 3)


async def test_a_zombies_facts_do_not_count() -> None:
    """A slice of a term that is over changes nothing."""
    log = MemoryLog()
    await _append(log, _took(1), _said(0), _took(2), _said(1, term=1))
    assert (await FactsView.open(log, TOPICS)).directory.halted_by == "author 0"


async def test_what_is_no_fact_is_passed_over() -> None:
    """A record that can't be decoded counts for nobody: decide rejects it too."""
    log = MemoryLog()
    await _append(log, _took(1))
    await log.append([Outgoing(FACTS.topic, b"rubbish"), Outgoing(FACTS.topic, None)])
    await _append(log, _said(0))
    view = await FactsView.open(log, TOPICS)
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 0", 4)


async def _snapshot(log: MemoryLog, facts: list[Fact]) -> None:
    fold = Fold.new(strategies())
    for offset, fact in enumerate(facts):
        fold.apply(fact, offset, START_MS + offset)
    saved = Saved(fold.directory.facts_offset, -1, fold.snapshot())
    await TopicSnapshots(log, TOPICS.snapshots).save(pack(saved))


async def test_a_view_starts_from_the_newest_snapshot() -> None:
    """Facts below a snapshot are not needed: they may have been deleted."""
    log = MemoryLog()
    facts: list[Fact] = [_took(1), _said(0), _said(1)]
    await _append(log, *facts)
    await _snapshot(log, facts)
    await _append(log, _said(2))
    log.delete_below(FACTS, 3)
    view = await FactsView.open(log, TOPICS)
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 2", 4)


async def test_a_snapshot_of_another_version_stops_the_view() -> None:
    """The state of another version of ours is not passed over: a person is told what to do."""
    log = MemoryLog()
    await _append(log, _took(1))
    old = Saved(1, -1, msgspec.msgpack.encode((SNAPSHOT_VERSION - 1, EPOCH, {})))
    await TopicSnapshots(log, TOPICS.snapshots).save(pack(old))
    with pytest.raises(OtherVersionError, match="name another data directory"):
        await FactsView.open(log, TOPICS)


async def test_missing_facts_stop_the_view() -> None:
    """Facts that were deleted and are in no snapshot are a hole, which is never passed over."""
    log = MemoryLog()
    await _append(log, _took(1), _said(0), _said(1))
    log.delete_below(FACTS, 2)
    with pytest.raises(InvariantError, match="begins at 2, and no snapshot reaches there"):
        await FactsView.open(log, TOPICS)


class Polled(MemoryLog):
    """A log that is waited on; below ``earliest`` it has nothing to give."""

    async def poll(self, positions: Mapping[TopicPartition, int]) -> list[tuple[TopicPartition, list[Fetched]]]:
        """Return what is new."""
        await asyncio.sleep(0)
        ((where, position),) = positions.items()
        if position < self.earliest.get(where, 0):
            raise OffsetOutOfRangeError({where: position})
        return [(where, [one for one in self.records[where] if one.offset >= position])]


async def test_a_view_that_follows_is_up_to_date_by_itself() -> None:
    """While it follows, what is appended is known without a refresh, and a refresh beside it takes nothing twice."""
    log = Polled()
    await _append(log, _took(1), _said(0))
    view = await FactsView.open(log, TOPICS)
    following = asyncio.create_task(view.follow(log))
    await _append(log, _said(1))
    for _ in range(10):
        await asyncio.sleep(0)
    assert view.directory.halted_by == "author 1"
    await _append(log, _said(2))
    await view.refresh()
    assert (view.directory.halted_by, view.directory.facts_offset) == ("author 2", 4)
    following.cancel()


async def test_following_stops_at_missing_facts() -> None:
    """Facts that were deleted before they were read end the view that follows, with the reason."""
    log = Polled()
    await _append(log, _took(1), _said(0))
    view = await FactsView.open(log, TOPICS)
    await _append(log, _said(1), _said(2))
    log.delete_below(FACTS, 3)
    with pytest.raises(InvariantError, match="begins at 3"):
        await view.follow(log)


async def test_a_log_that_lost_its_end_stops_the_view() -> None:
    """A log that ends before what was read of it is another log, or was cut."""
    log = MemoryLog()
    await _append(log, _took(1), _said(0), _said(1))
    view = await FactsView.open(log, TOPICS)
    del log.records[FACTS][2:]
    with pytest.raises(InvariantError, match="ends at 2 and facts up to 3 are known"):
        await view.refresh()
