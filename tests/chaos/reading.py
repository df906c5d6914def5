"""Everything that is in the topics of a fleet, as the oracle takes it."""

from __future__ import annotations

from streams.catalogue import strategies
from streams.core.config import RuleSet
from streams.ingest import matcher
from streams.ingest.slicer import Slicer
from streams.ports import Log, Record, TopicPartition
from streams.settings import Settings
from tests.chaos.target import Target
from tests.sim.oracle import Recording


def partitions(settings: Settings) -> tuple[list[TopicPartition], list[TopicPartition]]:
    """Return the source partitions, and those of our own topics."""
    topics = settings.topics
    logs = [TopicPartition(name, n) for name in topics.logs for n in range(settings.source_partitions)]
    inboxes = [TopicPartition(name, 0) for name in topics.inboxes]
    ours = [topics.facts, topics.decisions, topics.commands, topics.evidence, topics.dlq]
    return [*logs, *inboxes], [TopicPartition(name, 0) for name in ours]


async def record(log: Log, settings: Settings, target: Target) -> Recording:
    """Read all topics to their ends."""
    sources, ours = partitions(settings)
    records: dict[TopicPartition, list[Record]] = {}
    earliest: dict[TopicPartition, int] = {}
    for where in (*sources, *ours):
        earliest[where], end = await log.bounds(where)
        records[where] = await read_all(log, where, earliest[where], end)
    facts = len(records[ours[0]])
    shipped = matcher.merged(RuleSet())

    def slicer(rules_sha256: str) -> Slicer:
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
