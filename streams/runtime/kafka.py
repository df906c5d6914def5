"""The log as the stages know it (``ports.Log``), on a real Kafka.

Writes go through one idempotent producer that waits for all replicas; reads go through consumers without a group, whose
positions are the caller's. One object belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition as TheirPartition

from streams.core.errors import InputError, InvariantError
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.security import client
from streams.runtime.unpacking import bounded
from streams.settings import Settings

Batch = list[tuple[TopicPartition, Sequence[Record]]]

RECORD_BYTES_MAX: Final = 9 * 1024 * 1024
BATCH_BYTES: Final = 512 * 1024
BULK_RECORDS: Final = 16
"""From so many records for one partition on we fill batches: half the time of sending each by itself."""
FETCH_BYTES: Final = 4 * 1024 * 1024
"""Of one partition and fetch, as compressed; a larger batch comes whole."""
FETCH_WAIT_MS: Final = 100
"""How long the broker holds an empty fetch. A seek waits for it, so it stays short."""
AHEAD_RECORDS_MIN: Final = 1_000
"""A fetch of fewer is not followed by another before its records are worked off: that one is then the fresher. With
10 000 lines a second, fetched ahead, a line waited 2.5 cycles of detect on the whole, and now 1.5 of shorter ones."""
LOOKS_SECONDS: Final = 0.1
"""Who follows the log to show or to advise rests so long after each look: it costs him and the broker about a
millisecond each, however little it brings."""
RETRY_MS: Final = 10
POLL_MS: Final = 250
READ_MS: Final = 200
CONNECT_S: Final = 10.0
CONNECT_RETRY_S: Final = 0.1
START_ENDS_S: Final = 5.0
"""A start that is cancelled has so long to come to its end."""


class KafkaLog:
    """``ports.Log`` on aiokafka, and ``poll`` for hosts without Faust. An async context manager.

    The producer is made at the first append, a reader of a partition at its first read.
    """

    def __init__(self, settings: Settings, *, connect_seconds: float = CONNECT_S) -> None:
        self._settings = settings
        self._connect_seconds = connect_seconds
        self._client: dict[str, Any] = {}
        self._producer: Any = None
        self._offsets: Any = None
        self._readers: dict[TopicPartition, _Reader] = {}
        self._pollers: dict[frozenset[TopicPartition], _Reader] = {}
        self._starting = asyncio.Lock()
        self._failed = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect. Raises ``InputError`` when no broker answers within ``connect_seconds``."""
        self._client = known = client(self._settings)
        self._offsets = await connected(lambda: _consumer(known), known["bootstrap_servers"], self._connect_seconds)

    async def stop(self) -> None:
        """Wait for what was sent, and disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
        for reader in (*self._readers.values(), *self._pollers.values()):
            await reader.stop()
        self._readers.clear()
        self._pollers.clear()
        offsets, self._offsets = self._offsets, None
        if offsets is not None:
            await offsets.stop()

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """See ``ports.Log.append``. Waits without a limit while no broker answers. After a failure it refuses more."""
        if self._failed:
            raise InvariantError("an append failed before: what is in the log is not known, so nothing may follow")
        producer = await self._started_producer()
        try:
            return await _append(producer, records)
        except BaseException:
            self._failed = True
            raise

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """See ``ports.Log.read``. Waits without a limit while no broker answers."""
        if start >= end:
            return ()
        if where not in self._readers:
            self._readers[where] = self._reader()
        return await self._readers[where].read(where, start, end, self.bounds)

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """See ``ports.Log.bounds``."""
        theirs = TheirPartition(*where)
        earliest, latest = await asyncio.gather(
            self._offsets.beginning_offsets([theirs]), self._offsets.end_offsets([theirs])
        )
        return earliest[theirs], latest[theirs]

    async def offset_at(self, where: TopicPartition, stamp_ms: int) -> int:
        """Return the offset of the first record stamped at a time (ms since 1970) or later; the end without one."""
        theirs = TheirPartition(*where)
        found = (await self._offsets.offsets_for_times({theirs: stamp_ms}))[theirs]
        return found.offset if found else (await self.bounds(where))[1]

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Batch:
        """Return one fetch of several partitions from these offsets on, after 250 ms at most.

        Each set of partitions has a reader of its own, which fetches the next records while these are worked on, unless
        they are few: then the next poll brings what is there by then.
        At most ``settings.poll_records`` records; empty when nothing came. Raises aiokafka's ``OffsetOutOfRangeError``
        when a position is no longer (or not yet) in the log: load again.
        """
        if not positions:
            await asyncio.sleep(POLL_MS / 1000)
            return []
        wanted = frozenset(positions)
        if wanted not in self._pollers:
            self._pollers[wanted] = self._reader()
        return await self._pollers[wanted].fetch(positions, POLL_MS, self._settings.poll_records)

    def _reader(self) -> _Reader:
        return _Reader(self._client, frozenset(self._settings.topics.sources))

    async def _started_producer(self) -> Any:
        async with self._starting:
            if self._producer is None:
                self._producer = await start_producer(self._client)
        return self._producer


async def reach(address: str, seconds: float = CONNECT_S) -> None:
    """Return when one of the brokers (host:port,...) accepts a connection; ``InputError`` when none does in time."""
    deadline = time.monotonic() + seconds
    while True:
        for broker in address.split(","):
            host, _, port = broker.rpartition(":")
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(max(seconds, CONNECT_RETRY_S)):
                    _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return
        if time.monotonic() >= deadline:
            raise no_broker(address)
        await asyncio.sleep(CONNECT_RETRY_S)


async def connected(make: Callable[[], Any], address: str, seconds: float = CONNECT_S) -> Any:
    """Return a new client of aiokafka's, started; ``InputError`` when no broker takes it in within ``seconds``.

    A broker that comes up accepts connections, and closes them again, before it serves.
    """
    deadline = time.monotonic() + seconds
    while True:
        await reach(address, max(deadline - time.monotonic(), 0.0))
        try:
            return await started(make())
        except KafkaConnectionError as error:
            if time.monotonic() >= deadline:
                raise not_taken(address) from error
            await asyncio.sleep(CONNECT_RETRY_S)


async def started(client: Any) -> Any:
    """Start a client of aiokafka's and return it; one whose start fails or is cancelled is stopped.

    aiokafka leaves the connection of a start that is cancelled in its first request to nobody, so a start that is under
    way goes on for a while.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.wait((starting,), timeout=START_ENDS_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await (client.close() if hasattr(client, "close") else client.stop())
        raise
    return client


def no_broker(address: str) -> InputError:
    """Return the error that says what to do when nobody answers."""
    return InputError(f"no broker at {address}: start one there, or unset LOGMEND_BROKERS to use the embedded one")


def not_taken(address: str) -> InputError:
    """Return the error that says what to do when somebody answers, and takes us for no client."""
    return InputError(f"{address} answers, and takes us for no client: is it a broker, and are LOGMEND_KAFKA_* right?")


def is_little(found: Mapping[Any, Sequence[Any]]) -> bool:
    """Tell whether a fetch brought something, and so little that nothing is to be fetched ahead of the next."""
    return 0 < sum(map(len, found.values())) < AHEAD_RECORDS_MIN


class _Reader:
    """A consumer whose positions are its caller's: it seeks when asked for another offset than the one that is next."""

    def __init__(self, known: Mapping[str, Any], passing: frozenset[str]) -> None:
        self._consumer: Any = _consumer(known)
        self._passing = passing
        self._next: dict[TopicPartition, int] = {}
        self._started = False
        self._lock = asyncio.Lock()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def fetch(self, positions: Mapping[TopicPartition, int], wait_ms: int, records_max: int | None) -> Batch:
        """Return what one fetch from these positions brings within ``wait_ms``."""
        async with self._lock:
            await self._go_to(positions)
            with bounded(self._passing):
                found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=records_max)
            if is_little(found):
                self._consumer.pause(*self._consumer.assignment())
            batch: Batch = [(TopicPartition(*where), records) for where, records in found.items() if records]
            for where, records in batch:
                self._next[where] = records[-1].offset + 1
            return batch

    async def read(self, where: TopicPartition, start: int, end: int, bounds: Any) -> Sequence[Record]:
        """Return one fetch of records in [start, end), () when the log has none there; see ``ports.Log.read``."""
        while start < end:
            try:
                batch = await self.fetch({where: start}, READ_MS, None)
            except OffsetOutOfRangeError:
                start = max(start, (await bounds(where))[0])
                batch = []
            if batch:
                await self._rest(where)
                return [record for record in batch[0][1] if record.offset < end]
            if await self._has_none(where, start, min(end, (await bounds(where))[1])):
                break
        await self._rest(where)
        return ()

    async def _has_none(self, where: TopicPartition, start: int, end: int) -> bool:
        """Whether nothing is left before ``end``: markers and what compaction took are passed without a record."""
        if start >= end:
            return True
        return bool(await self._consumer.position(TheirPartition(*where)) >= end)

    async def _rest(self, where: TopicPartition) -> None:
        """Fetch nothing ahead until the next read."""
        self._consumer.pause(TheirPartition(*where))

    async def _go_to(self, positions: Mapping[TopicPartition, int]) -> None:
        if not self._started:
            await started(self._consumer)
            self._started = True
        if positions.keys() != self._next.keys():
            self._consumer.assign([TheirPartition(*where) for where in positions])
            self._next.clear()
        for where, offset in positions.items():
            if self._next.get(where) != offset:
                self._consumer.seek(TheirPartition(*where), offset)
                self._next[where] = offset
        if paused := self._consumer.paused():
            self._consumer.resume(*paused)


def _consumer(known: Mapping[str, Any]) -> Any:
    return AIOKafkaConsumer(
        **known,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_BYTES,
        retry_backoff_ms=RETRY_MS,
    )


async def _append(producer: Any, records: Sequence[Outgoing]) -> list[int]:
    """Send records in order, those of one partition that are many in batches of ours; return their offsets."""
    sent: list[tuple[Any, int]] = []
    for (topic, partition), together in groupby(records, key=attrgetter("topic", "partition")):
        rows = list(together)
        if len(rows) >= BULK_RECORDS:
            sent += await _send_bulk(producer, topic, partition, rows)
        else:
            sent += [(await _send(producer, row), 1) for row in rows]
    acknowledged = await asyncio.gather(*(future for future, _ in sent))
    return [
        metadata.offset + index if metadata.offset >= 0 else metadata.offset
        for metadata, (_, count) in zip(acknowledged, sent, strict=True)
        for index in range(count)
    ]


async def _send(producer: Any, record: Outgoing) -> Any:
    headers = list(record.headers)
    return await _queued(
        lambda: producer.send(record.topic, record.value, key=record.key, partition=record.partition, headers=headers)
    )


async def _queued(send: Callable[[], Awaitable[Any]]) -> Any:
    """Return the future of what is sent. Goes on waiting for room when aiokafka gives up: it has queued nothing then.

    While a partition has no leader a batch of it waits, and what finds no place beside that is refused after
    ``request_timeout_ms`` (aiokafka 0.14.0, ``MessageAccumulator.add_message`` and ``add_batch``).
    """
    while True:
        with contextlib.suppress(KafkaTimeoutError):
            return await send()


async def _send_bulk(producer: Any, topic: str, partition: int, records: Sequence[Outgoing]) -> list[tuple[Any, int]]:
    """Send records in batches that we fill; return (future, records) of each."""

    async def sending(batch: Any) -> tuple[Any, int]:
        future = await _queued(lambda: producer.send_batch(batch, topic, partition=partition))
        return future, batch.record_count()

    sent: list[tuple[Any, int]] = []
    batch = producer.create_batch()
    for record in records:
        while batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers)) is None:
            sent.append(await sending(batch))
            batch = producer.create_batch()
    batch.close()
    return [*sent, await sending(batch)]


async def start_producer(known: Mapping[str, Any]) -> Any:
    """Return a producer of aiokafka's, started: idempotent, acknowledged by all replicas, never giving up a batch.

    ``known`` is what ``security.client`` gives. Nothing lingers: what is appended together is in one batch anyway, and
    what comes while a request is under way is in the next.
    """
    producer = AIOKafkaProducer(
        **known,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        max_batch_size=BATCH_BYTES,
        max_request_size=RECORD_BYTES_MAX,
        retry_backoff_ms=RETRY_MS,
    )
    await started(producer)
    # aiokafka drops a batch that finds no leader for request_timeout_ms, and sends the next: a hole. Better wait.
    producer._message_accumulator._batch_ttl = float("inf")  # noqa: SLF001 - there is no public one
    return producer
