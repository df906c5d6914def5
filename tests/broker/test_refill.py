"""Topics are filled again as they were, and only empty ones are."""

from __future__ import annotations

import pytest

from streams.core.errors import InputError
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.refill import Filling, Stored, refill
from streams.settings import Settings

pytestmark = pytest.mark.broker

AHEAD_MS = 4_000_000_000_000
HEADERS = (("decisions_offset", b"7"),)


async def test_a_filled_topic_is_as_it_was_and_stamps_by_itself_again(broker: Settings) -> None:
    """Offsets, stamps (also ahead of the clock), keys and headers are the old ones; new records get new stamps."""
    await create_topics(broker)
    where = TopicPartition(broker.topics.commands, 0)
    rows = [Stored(n, AHEAD_MS + n, b"k", b"v%d" % n, HEADERS) for n in range(5)]
    await refill(broker, [Filling(where.topic, 5, rows), Filling(broker.topics.evidence, 3, start=3)])
    async with KafkaLog(broker) as log:
        found = await log.read(where, 0, 5)
        assert [Stored(r.offset, r.timestamp, r.key, r.value or b"", tuple(r.headers)) for r in found] == rows
        assert await log.append([Outgoing(where.topic, b"new", b"k")]) == [5]
        (new,) = await log.read(where, 5, 6)
        assert new.timestamp < AHEAD_MS
        assert await log.bounds(TopicPartition(broker.topics.evidence, 0)) == (3, 3)
    with pytest.raises(InputError, match="is not empty"):
        await refill(broker, [Filling(where.topic, 5, rows)])
