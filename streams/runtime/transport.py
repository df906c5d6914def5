"""Faust's transport, changed so that a whole fetch is one event and positions are ours.

What is overridden, and why (each was measured or read in the sources of faust 0.15.3 and aiokafka 0.14.0):

* ``getmany`` gives one message that holds the records of all partitions of a fetch: one event per Kafka message costs
  0.1 to 0.2 ms. Records are aiokafka's, undecoded: a decoder of Faust's would acknowledge what it can't read.
* ``_wait_next_records`` waits until the agent has worked off the last fetch, so that batches grow under load, and looks
  every 50 ms for its first partition (Faust: every second).
* ``_fetch_records`` fetches nothing ahead while there is little: what is fetched while a batch is worked on is old when
  its turn comes, and a cycle is waited for twice. Under load, fetching ahead is what keeps up.
* ``seek_to_committed`` asks the host, never the group: a standby could otherwise fetch from the group's offset before
  our seek. Seeks are numbered in the consumer's thread, where each fetch is stamped with the number: a batch with
  another stamp was drained before the seek.
* ``auto_offset_reset`` is ``none``: the position never jumps by itself over what retention deleted, nor back to the
  start of a topic that was made anew. The host is told, and loads again.
* ``commit`` tells the group our positions for lag monitors, at best effort; nothing ever reads them back.
* Two processes with one instance id would take the group from each other for ever (aiokafka's heartbeats don't carry
  the id, so that neither is told that it is fenced): who loses its membership three times in 30 s ends.
* ``fetch_max_wait_ms`` (Faust: 1 500) and ``retry_backoff_ms`` (100) decide how fast a restart is.
* ``metadata_max_age_ms`` (aiokafka: 300 000): who began while one of its topics was missing takes it when it is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiokafka
from aiokafka.errors import ConsumerStoppedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from faust.serializers.schemas import Schema
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
)
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams import telemetry
from streams.core.errors import InputError
from streams.ports import Record, TopicPartition
from streams.runtime.kafka import is_little
from streams.runtime.unpacking import bounded

FETCH_WAIT_MS: Final = 100
FETCH_BYTES: Final = 16 * 1024 * 1024
"""Of all partitions of one fetch, packed; a larger batch comes whole."""
PARTITION_FETCH_BYTES: Final = 4 * 1024 * 1024
"""Of one partition: what comes in one fetch is counted and acknowledged together, so large ones cost less a line."""
RETRY_BACKOFF_MS: Final = 10
METADATA_MS_MAX: Final = 10_000
POLL_SECONDS: Final = 0.25
GATE_SECONDS: Final = 0.1
UNASSIGNED_SECONDS: Final = 0.05
COMMIT_SECONDS: Final = 2.0
LOSSES_MAX: Final = 3
LOSSES_SECONDS: Final = 30.0
POLL_INTERVAL_MS_MAX: Final = 3_600_000
"""The watchdog ends a stage that stalls; a long load must not cost it its partitions."""

Batch = Sequence[tuple[TopicPartition, Sequence[Record]]]
Seek = Callable[[Mapping[TopicPartition, int]], Awaitable[int]]


class Fetch(NamedTuple):
    """All records of one fetch. ``stamp`` is the number of the last seek before it was drained.

    ``out_of_range`` says that a position is no longer in the topic; then there are no records.
    """

    stamp: int
    batch: Batch
    out_of_range: bool = False


class RawSchema(Schema):
    """Passes a message's value on as it is."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Awaitable[Any]]:
        """Return Faust's decode function: an event around the untouched value."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust passes it by name
            return create_event(None, message.value, None, message)

        return decode


class FetchThread(AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer: fetches, seeks and commits run here, one event loop, no lock."""

    seeks = 0
    """How many times positions were set; the stamp of each fetch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._joined = False
        self._little_at = 0.0
        self._lost_at: list[float] = []

    def on_crash(self, msg: str, *fmt: Any, **_: Any) -> None:
        """Say what ended the thread, where Faust prints it; the app crashes with it."""
        telemetry.handled("consumer", msg.format(*fmt))

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Note that the group was joined."""
        self._joined = True
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Note, before the group is joined again, whether that is because the broker no longer knows us."""
        if self._joined and not self._ensure_consumer()._coordinator.member_id:  # noqa: SLF001 - no public one
            self._membership_lost(time.monotonic())
        await super().on_partitions_revoked(revoked)

    def _membership_lost(self, now: float) -> None:
        self._lost_at = [at for at in self._lost_at if now - at < LOSSES_SECONDS] + [now]
        if len(self._lost_at) >= LOSSES_MAX:
            instance = self.app.conf.consumer_group_instance_id
            self.app.host.end(InputError(f"another process runs as {instance!r} in group {self.app.conf.id!r}"))

    def _create_worker_consumer(self, transport: Any) -> Any:  # noqa: ARG002 - Faust passes it; the app knows brokers
        conf = self.app.conf
        self._assignor = self.app.assignor
        return aiokafka.AIOKafkaConsumer(
            **self.app.client,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            metadata_max_age_ms=METADATA_MS_MAX,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Fetch:
        """Drain what aiokafka has, and stamp it in the same step of the loop: no seek can come between."""
        consumer = self._ensure_consumer()
        if consumer.paused():
            await asyncio.sleep(max(self._little_at + self.app.pace_seconds - time.monotonic(), 0.0))
        consumer.resume(*consumer.paused())
        try:
            with bounded(self.app.passing):
                records = await super()._fetch_records(*args, **kwargs)
            if is_little(records):
                self._little_at = time.monotonic()
                consumer.pause(*consumer.assignment())
        except OffsetOutOfRangeError:
            return Fetch(self.seeks, (), out_of_range=True)
        except NoOffsetForPartitionError:  # it is not ours yet: the seek after its load gives it a position
            await asyncio.sleep(UNASSIGNED_SECONDS)
            records = {}
        return Fetch(self.seeks, [(TopicPartition(*where), found) for where, found in records.items()])

    async def seek_all(self, positions: Mapping[TopicPartition, int]) -> int:
        """Set positions, and return the number that fetches from there are stamped with."""
        number: int = await self.call_thread(self._seek_all, positions)
        return number

    async def _seek_all(self, positions: Mapping[TopicPartition, int]) -> int:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for where, offset in positions.items():
            if where in assigned:  # else another rebalance has begun, and its load comes next
                consumer.seek(aiokafka.TopicPartition(*where), offset)
        self.seeks += 1
        return self.seeks

    async def commit_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit positions to the group. Raises ``KafkaError`` and ``TimeoutError``."""
        await self.call_thread(self._commit_positions, positions)

    async def _commit_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        offsets = {
            aiokafka.TopicPartition(*where): OffsetAndMetadata(offset, "")
            for where, offset in positions.items()
            if where in assigned
        }
        if offsets:
            await asyncio.wait_for(consumer.commit(offsets), COMMIT_SECONDS)

    async def measure(self, wheres: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return (next offset to fetch, offset after the last record) of partitions, asked from the broker."""
        found: dict[TopicPartition, tuple[int, int]] = await self.call_thread(self._measure, list(wheres))
        return found

    async def _measure(self, wheres: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        consumer = self._ensure_consumer()
        held = [aiokafka.TopicPartition(*where) for where in wheres if where in consumer.assignment()]
        ends = await consumer.end_offsets(held)
        return {TopicPartition(*where): (await consumer.position(where), ends[where]) for where in held}


class BatchConsumer(Consumer):
    """Faust's consumer, which asks ``app.host`` for positions and gives it whole fetches."""

    _thread: FetchThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handed = 0
        self._drained = asyncio.Event()
        self._drained.set()

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    def drained(self) -> None:
        """Open the gate: the agent has nothing to work on."""
        self._drained.set()

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """Have the host load what is assigned and set the positions. Repeatable."""
        await self.app.host.load({TopicPartition(*tp) for tp in self.assignment()}, self._thread.seek_all)
        return {}

    async def _wait_next_records(self, timeout: float) -> tuple[Fetch | None, set[Any] | None]:  # noqa: ASYNC109
        """Return the next fetch once the last one is worked off; None when there is nothing to fetch from."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        while self.flow_active and not self.should_stop and not self._drained.is_set():
            await _wait_for(self._drained, GATE_SECONDS)
        active = set(self._get_active_partitions())
        if not self.flow_active or not active:
            await asyncio.sleep(UNASSIGNED_SECONDS)
            return None, None
        return await self._getmany(active, min(timeout, POLL_SECONDS)), active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ASYNC109
        """Yield at most one message: the next fetch."""
        fetch, active = await self._wait_next_records(timeout)
        if not isinstance(fetch, Fetch) or self.should_stop or not self.flow_active or not active:
            return  # the thread gives {} while a rebalance is under way; the load that follows seeks again
        if fetch.batch or fetch.out_of_range:
            tp = TP(*fetch.batch[0][0]) if fetch.batch else next(iter(active))
            self._drained.clear()
            self.app.host.handed()
            yield tp, self._to_fetch_message(tp, fetch)

    def _to_fetch_message(self, tp: Any, fetch: Fetch) -> Any:
        """Return the fetch as a message that Faust routes by ``tp``; its offset is a number of ours."""
        self._handed += 1
        generation = self.app.consumer_generation_id
        return ConsumerMessage(
            tp.topic, tp.partition, self._handed, 0.0, 0, None, None, fetch, None, 0, 0, tp, generation_id=generation
        )

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Tell the group our positions, for lag monitors only. Faust calls this every ``commit_interval``."""
        try:
            await self._thread.commit_positions(dict(self.app.host.positions))
        except (KafkaError, ConsumerStoppedError, TimeoutError) as error:
            telemetry.handled("commit", f"{type(error).__name__}: {error}")
            return False
        return True

    async def measure(self, wheres: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return (next offset to fetch, offset after the last record) of partitions that are held."""
        return await self._thread.measure(wheres)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Do nothing: Faust only logs here, our watchdog acts."""


class BatchTransport(Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = BatchConsumer


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
