"""The corpus through a real broker, compressed as producers compress, and a real detect process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer

from streams.runtime.admin import create_topics
from streams.settings import Settings
from tests.producers.accepting import accepted, records_of
from tests.producers.corpus import SCHEMAS, Placed, cases, interleaved, tallies_of, wanted_of
from tests.producers.test_corpus import owned, owners, tallied
from tests.registry.serving import serving

pytestmark = pytest.mark.broker

CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}
RECORD_BYTES_MAX = 8 * 1024 * 1024


async def produce(settings: Settings, topic: str, codec: str | None, records: Sequence[Placed]) -> list[int]:
    """Append records of all producers in turn, in batches that mix them; return when the broker says it took each."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.brokers,
        compression_type=codec,
        linger_ms=50,
        max_batch_size=256 * 1024,
        max_request_size=RECORD_BYTES_MAX,
    ) as producer:
        sent = [
            await producer.send(topic, entry.value, key=entry.key_bytes, headers=list(entry.header_bytes))
            for entry, _ in records
        ]
        return [metadata.timestamp for metadata in await asyncio.gather(*sent)]


async def produce_in_all(settings: Settings, records: Sequence[Placed]) -> dict[str, list[int]]:
    """Append the records to one topic for each codec; return the append times by topic."""
    await create_topics(settings)
    return {
        topic: await produce(settings, topic, codec, records)
        for topic, codec in zip(settings.logs, CODECS.values(), strict=True)
    }


def test_every_format_in_every_codec(broker: Settings) -> None:
    """The corpus comes to the same services, times, severities and patterns in every codec, each line once."""
    records = interleaved(cases())
    with serving() as registry:
        for number, text in SCHEMAS.items():
            registry.schema(number, text.decode())
        topics = tuple(f"{broker.fleet}.{codec}" for codec in CODECS)
        settings = broker.model_copy(update={"logs": topics, "schema_registry": registry.address})
        appended = asyncio.run(produce_in_all(settings, records))
        slices = accepted(settings)
    rejected = [placed.entry for placed in records if placed.entry.reject]
    for topic, times in appended.items():
        found = [piece for piece in slices if piece.source == topic]
        assert tallied(found) == tallies_of(records, times, topic), topic
        assert owned(found) == owners(wanted_of(records, times), topic), topic
        assert Counter(r.reason for piece in found for r in piece.rejects) == Counter(e.reject for e in rejected), topic
    dead = Counter(record.value for record in records_of(settings, settings.topics.dlq, 1))
    assert dead == Counter([entry.value or b"" for entry in rejected] * len(CODECS))
