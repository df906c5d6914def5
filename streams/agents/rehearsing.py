"""Another epoch, tried out: whether this release can relive what the older one decided, before there is no way back."""

from __future__ import annotations

from collections.abc import AsyncIterator

from streams.agents.reading import past_of
from streams.codec import decode_fact
from streams.core.errors import InputError, InvariantError
from streams.core.fold import Fold
from streams.ports import Log, Record, TopicPartition
from streams.topics import Topics


async def rehearse(log: Log, topics: Topics, fold: Fold) -> None:
    """Relive all that older epochs decided with a new fold, as decide will; nothing is written.

    Raises ``InputError`` when the fold fails on a fact, ``InvariantError`` when facts or decisions are missing.
    """
    decisions = TopicPartition(topics.decisions, 0)
    past, _, _ = await past_of(log, decisions, *await log.bounds(decisions))
    async for record in _records(log, TopicPartition(topics.facts, 0), past.facts_offset + 1):
        try:
            fact = decode_fact(record.value or b"")
        except InputError:
            fact = None
        try:
            fold.relive(fact, record.offset, record.timestamp, past)
        except (InputError, InvariantError, MemoryError):
            raise
        except Exception as error:
            raise InputError(
                f"this release fails on fact {record.offset}, which the older one decided on "
                f"({type(error).__name__}: {error}): nothing was changed, so go on with the older one"
            ) from error


async def _records(log: Log, where: TopicPartition, end: int) -> AsyncIterator[Record]:
    """Yield all records below an offset; ``InvariantError`` when the first ones are gone."""
    start = 0
    while start < end:
        records = await log.read(where, start, end)
        if not records or records[0].offset != start:
            raise InvariantError(f"{where.topic}: facts from {start} on are missing: run logmend restore")
        for record in records:
            yield record
        start = records[-1].offset + 1
