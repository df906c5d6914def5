"""Everything that is in the topics of a fleet, as the oracle takes it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from streams.agents.wary import DeadlyRecordError
from streams.catalogue import strategies
from streams.core.config import RuleSet
from streams.core.events import Reject, Slice
from streams.ingest import matcher
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Log, Record, TopicPartition
from streams.settings import Settings
from tests.chaos.deadly.sitecustomize import WORD
from tests.chaos.target import Target
from tests.sim.oracle import Recording


class Kept(Struct):
    """Records that are in their topic no more: those that retention took, and those of topics that were made anew."""

    taken: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    before: dict[TopicPartition, list[Record]] = field(default_factory=dict)


def partitions(settings: Settings) -> tuple[list[TopicPartition], list[TopicPartition]]:
    """Return the source partitions, and those of our own topics."""
    topics = settings.topics
    logs = [TopicPartition(name, n) for name in topics.logs for n in range(settings.source_partitions)]
    inboxes = [TopicPartition(name, 0) for name in topics.inboxes]
    ours = [topics.facts, topics.decisions, topics.commands, topics.evidence, topics.dlq]
    return [*logs, *inboxes], [TopicPartition(name, 0) for name in ours]


class Refusing(Slicer):
    """What detect says of a record that no slice can be made of: it must be the one that kills, and nothing else."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Return the reject of a deadly record; no slice for any other."""
        if len(records) != 1 or WORD not in (records[0].value or b""):
            return Cut(slices=(), evidence=(), dead=(), lines=0, stamps_replaced=0)
        (record,) = records
        reason = DeadlyRecordError.__name__
        bare = Slice(
            source=source,
            partition=partition,
            term=term,
            from_offset=from_offset,
            to_offset=record.offset + 1,
            rules_sha256="",
            lines=0,
            at_max_ms=0,
            append_max_ms=record.timestamp,
            rejects=(Reject(offset=record.offset, index=0, reason=reason),),
        )
        return Cut(slices=(bare,), evidence=(), dead=((record, reason),), lines=0, stamps_replaced=0)


async def record(log: Log, settings: Settings, target: Target, kept: Kept) -> Recording:
    """Read all topics to their ends; ``kept`` is what is in them no more."""
    sources, ours = partitions(settings)
    records: dict[TopicPartition, list[Record]] = {}
    earliest: dict[TopicPartition, int] = {}
    for where in (*sources, *ours):
        earliest[where], end = await log.bounds(where)
        records[where] = kept.taken.get(where, []) + await read_all(log, where, earliest[where], end)
    facts = len(records[ours[0]])
    shipped = matcher.merged(RuleSet())
    refusing = Refusing(shipped, settings.topics)

    def slicer(rules_sha256: str) -> Slicer:
        if not rules_sha256:
            return refusing
        if rules_sha256 != shipped.rules_sha256:
            raise AssertionError(f"rules {rules_sha256} were never applied")
        return Slicer(shipped, settings.topics)

    return Recording(
        topics=settings.topics,
        sources=sources,
        records=records,
        earliest=earliest,
        slicer=slicer,
        catalogue=strategies(),
        effects=dict(target.effects),
        restores=frozenset({facts // 3, facts // 2}),
        former={where: [records] for where, records in kept.before.items()},
    )


async def read_all(log: Log, where: TopicPartition, start: int, end: int) -> list[Record]:
    """Read records [start, end) of a partition."""
    found: list[Record] = []
    while start < end:
        records = await log.read(where, start, end)
        if not records:
            break
        found += records
        start = records[-1].offset + 1
    return found
