"""What was under way when a process was killed, worked out afterwards from where each topic ended at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
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


class Kill(Struct):
    """A kill: when (seconds since the start), who, and where everything ended just before."""

    at_seconds: float
    name: str
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


async def ends_of(log: Log, where: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the ends of partitions at about the same moment."""
    asked = list(where)
    bounds = await asyncio.gather(*(log.bounds(one) for one in asked))
    return {one: end for one, (_, end) in zip(asked, bounds, strict=True)}


def archived(directory: Path) -> dict[str, int]:
    """Return the first offset of each topic that is not archived."""
    found = manifest.load(directory)
    return {name: max(found.stream(name).position, 0) for name in ARCHIVED}


def in_flight(recording: Recording, kill: Kill) -> Flight:
    """Return what was under way at a kill."""
    topics = recording.topics

    def before(topic: str) -> list[Record]:
        where = TopicPartition(topic, 0)
        return recording.between(where, 0, kill.ends[where])

    ledger = Ledger()
    for record in before(topics.facts):
        try:
            ledger.judge(decode_fact(record.value or b""))
        except (InputError, InvariantError):
            continue
    sources = [
        recording.between(where, max(ledger.holding(*where).to_offset, 0), kill.ends[where])
        for where in recording.sources
    ]
    decisions = [decode_decision(record.value or b"") for record in before(topics.decisions)]
    folded = max((one.facts_offset for one in decisions), default=-1)
    commands = [(record, decode_command(record.value or b"")) for record in before(topics.commands)]
    sent = max((one.seq for _, one in commands), default=-1)
    events = [decode_inbox(record.value or b"") for record in before(topics.inbox_workers)]
    over = {event.command_id for event in events if isinstance(event, OutcomeReported)}
    pairs = zip(decisions, before(topics.decisions), strict=True)
    return Flight(
        source_bytes=sum(_bytes(records) for records in sources),
        fact_bytes=_bytes([record for record in before(topics.facts) if record.offset > folded]),
        decision_bytes=_bytes([record for one, record in pairs if one.seq > sent]),
        command_bytes=_bytes([record for record, one in commands if one.id not in over]),
        archive_bytes=sum(
            _bytes([record for record in before(getattr(topics, name)) if record.offset >= kill.archived[name]])
            for name in ARCHIVED
        ),
    )


def _bytes(records: Sequence[Record]) -> int:
    return sum(len(record.value or b"") for record in records)
