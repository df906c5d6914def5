"""What was under way when a fault struck, worked out afterwards from where each topic ended at that moment."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from msgspec import Struct

from analytics import manifest
from streams.codec import decode_command, decode_decision, decode_fact, decode_inbox
from streams.core.errors import InputError, InvariantError
from streams.core.events import OutcomeReported
from streams.core.slices import Ledger
from streams.ports import Log, Record, TopicPartition
from tests.sim.oracle import Recording

ARCHIVED = ("facts", "decisions", "commands", "evidence")


class Moment(Struct):
    """Where everything ended just before a fault."""

    ends: Mapping[TopicPartition, int]
    archived: Mapping[str, int]


class Flight(Struct):
    """Bytes that had been appended and not yet been worked on by the next stage."""

    source_bytes: int
    """Lines and inbox records that are in no slice."""
    fact_bytes: int
    """Facts since the last one that is known to be folded."""
    decision_bytes: int
    """Decisions since the last one whose command was sent."""
    command_bytes: int
    """Commands whose outcome is not in the inbox."""
    archive_bytes: int
    """What the event-log writer had not archived."""

    @property
    def total(self) -> int:
        """Return all of them together."""
        return self.source_bytes + self.fact_bytes + self.decision_bytes + self.command_bytes + self.archive_bytes


async def moment(log: Log, directory: Path, where: Iterable[TopicPartition]) -> Moment:
    """Return where partitions end, at about the same moment, and what is archived."""
    asked = list(where)
    bounds = await asyncio.gather(*(log.bounds(one) for one in asked))
    found = manifest.load(directory)
    return Moment(
        ends={one: end for one, (_, end) in zip(asked, bounds, strict=True)},
        archived={name: max(found.stream(name).position, 0) for name in ARCHIVED},
    )


class _Topic:
    """One of our topics: its records by offset, and how many bytes of values lie before each."""

    def __init__(self, recording: Recording, topic: str) -> None:
        self.where = TopicPartition(topic, 0)
        self.records = recording.of(topic)
        self._before = [0, *accumulate(len(record.value or b"") for record in self.records)]

    def below(self, moment: Moment) -> Sequence[Record]:
        return self.records[: self._index(moment.ends[self.where])]

    def between(self, start: int, moment: Moment) -> int:
        """Return the bytes from an offset to where the topic ended at a moment."""
        end = self._index(moment.ends[self.where])
        return self._before[end] - self._before[min(self._index(start), end)]

    def _index(self, offset: int) -> int:
        return bisect_left(self.records, offset, key=lambda record: record.offset)


def flights(recording: Recording, moments: Sequence[Moment]) -> Iterator[Flight]:
    """Yield what was under way at each of these moments; they ascend."""
    topics = recording.topics
    facts, decisions, commands, inbox = (
        _Topic(recording, name) for name in (topics.facts, topics.decisions, topics.commands, topics.inbox_workers)
    )
    archive = {name: _Topic(recording, getattr(topics, name)) for name in ARCHIVED}
    made = [decode_decision(record.value or b"") for record in decisions.records]
    asked = [decode_command(record.value or b"") for record in commands.records]
    said = [decode_inbox(record.value or b"") for record in inbox.records]
    ledger, read = Ledger(), 0
    for at in moments:
        known = facts.below(at)
        for record in known[read:]:
            _judge(ledger, record)
        read = len(known)
        folded = max((one.facts_offset for one in made[: len(decisions.below(at))]), default=-1)
        sent = asked[: len(commands.below(at))]
        heard = said[: len(inbox.below(at))]
        over = {event.command_id for event in heard if isinstance(event, OutcomeReported)}
        last = max((one.seq for one in sent), default=-1)
        first_unsent = next(
            (r.offset for one, r in zip(made, decisions.records, strict=True) if one.seq > last), 1 << 62
        )
        yield Flight(
            source_bytes=sum(
                len(record.value or b"")
                for where in recording.sources
                for record in recording.between(where, max(ledger.holding(*where).to_offset, 0), at.ends[where])
            ),
            fact_bytes=facts.between(folded + 1, at),
            decision_bytes=decisions.between(first_unsent, at),
            command_bytes=sum(
                len(record.value or b"")
                for one, record in zip(sent, commands.records, strict=False)
                if one.id not in over
            ),
            archive_bytes=sum(archive[name].between(at.archived[name], at) for name in ARCHIVED),
        )


def _judge(ledger: Ledger, record: Record) -> None:
    try:
        ledger.judge(decode_fact(record.value or b""))
    except (InputError, InvariantError):
        return
