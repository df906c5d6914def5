"""What is appended waits for a leader, however long that takes: nothing is lost, doubled or put in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.ports import Outgoing
from streams.runtime import kafka
from streams.runtime.kafka import BULK_RECORDS

FACTS = TopicPartition("facts", 0)
TIMEOUT_MS = 20
FIRST_OFFSET = 100


class Leaderless:
    """aiokafka's producer without a connection, whose partition has no leader before ``elect``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.producer: Any = AIOKafkaProducer(
            bootstrap_servers="127.0.0.1:1", request_timeout_ms=TIMEOUT_MS, max_batch_size=2_000
        )
        self.taken: list[bytes] = []
        self.refused = 0
        self.refused_often = asyncio.Event()
        self._accumulator = self.producer._message_accumulator
        self._leader: int | None = None
        monkeypatch.setattr(self.producer.client, "_wait_on_metadata", self._known)
        monkeypatch.setattr(self.producer._metadata, "partitions_for_topic", lambda _topic: {0})
        monkeypatch.setattr(self._accumulator._cluster, "leader_for_partition", lambda _where: self._leader)
        for name in ("send", "send_batch"):
            monkeypatch.setattr(self.producer, name, self._counting(getattr(self.producer, name)))

    async def _known(self, _topic: str) -> None:
        """Return what is known of a topic at once."""

    def _counting(self, send: Any) -> Any:
        async def counted(*args: Any, **kwargs: Any) -> Any:
            try:
                return await send(*args, **kwargs)
            except Exception:
                self.refused += 1
                if self.refused == 3:
                    self.refused_often.set()
                raise

        return counted

    async def elect(self) -> None:
        """Have a leader that takes all batches until it is cancelled."""
        self._leader = 0
        while True:
            nodes, _ = self._accumulator.drain_by_nodes(ignore_nodes=[])
            for batch in (batch for batches in nodes.values() for batch in batches.values()):
                values = list(_values(bytes(batch.get_data_buffer())))
                batch.done(FIRST_OFFSET + len(self.taken))
                self.taken += values
            await asyncio.sleep(0.001)


def _values(data: bytes) -> Iterator[bytes]:
    batches = MemoryRecords(data)
    while batches.has_next():
        for record in batches.next_batch():
            yield record.value


@pytest.mark.parametrize("sizes", [[600] * (BULK_RECORDS - 1), [400] * 3 * BULK_RECORDS, [10] * BULK_RECORDS])
async def test_an_append_waits_for_a_leader_without_a_limit(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What aiokafka refuses after its timeout is sent again, of records by themselves and of batches of ours."""
    facts = Leaderless(monkeypatch)
    values = [b"%d" % number + bytes(size) for number, size in enumerate(sizes)]
    first = asyncio.create_task(kafka._append(facts.producer, [Outgoing("facts", bytes(1_500))]))
    appending = asyncio.create_task(kafka._append(facts.producer, [Outgoing("facts", value) for value in values]))
    often = asyncio.create_task(facts.refused_often.wait())
    await asyncio.wait([often, appending], return_when=asyncio.FIRST_COMPLETED)
    leading = asyncio.create_task(facts.elect())
    assert await first == [FIRST_OFFSET]
    assert await appending == list(range(FIRST_OFFSET + 1, FIRST_OFFSET + 1 + len(values)))
    assert facts.taken == [bytes(1_500), *values]
    leading.cancel()
    await facts.producer.stop()
