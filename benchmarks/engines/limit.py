"""The limit of one process of Python: a bare consumer, the decoder and the matcher of *same work*, and nothing else.

Nothing is sent while it reads; its counts follow when it is through, so that they can be compared.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.engines.job import WINDOW_MS, Count, Job

PARTITIONS = 4
FETCH_RECORDS = 20_000


async def run(job: Job) -> None:
    """Read all lines."""
    match, counts, read = job.matching(), Counter[tuple[int, str, str]](), 0
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=job.brokers, auto_offset_reset="earliest", max_partition_fetch_bytes=4 * 1024 * 1024
    )
    await consumer.start()
    consumer.assign([TopicPartition(job.source, number) for number in range(PARTITIONS)])
    while read < job.lines:
        for records in (await consumer.getmany(timeout_ms=250, max_records=FETCH_RECORDS)).values():
            read += len(records)
            for record in records:
                found = match(record.value)
                if found:
                    counts[found.at_ms - found.at_ms % WINDOW_MS, found.service, found.pattern] += 1
    await consumer.stop()
    async with AIOKafkaProducer(bootstrap_servers=job.brokers, linger_ms=5) as producer:
        for key, count in counts.items():
            await producer.send(job.counts, msgspec.json.encode(Count(*key, count)))


if __name__ == "__main__":
    asyncio.run(run(Job.given()))
