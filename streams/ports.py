"""The few things that a stage may ask of the outside world.

The stages' engines await nothing but these methods, so the product (aiokafka), a bare loop and the simulator (a seeded
in-memory broker that crashes at every await) can all host the same code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

Headers = Sequence[tuple[str, bytes]]


class TopicPartition(NamedTuple):
    """One partition of one topic; equal to aiokafka's of the same name."""

    topic: str
    partition: int


class Record(Protocol):
    """What is read from a topic; aiokafka's ``ConsumerRecord`` satisfies it as it stands.

    ``timestamp`` is the broker's append time in milliseconds on every topic of ours.
    """

    @property
    def topic(self) -> str:
        """Topic name."""
        ...

    @property
    def partition(self) -> int:
        """Partition number."""
        ...

    @property
    def offset(self) -> int:
        """Offset in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Append time in milliseconds."""
        ...

    @property
    def key(self) -> bytes | None:
        """Key bytes."""
        ...

    @property
    def value(self) -> bytes | None:
        """Value bytes."""
        ...

    @property
    def headers(self) -> Headers:
        """Name and value pairs."""
        ...


class Fetched(Struct, frozen=True, gc=False):
    """A ``Record`` as it was read. It can't be part of a cycle, so the garbage collector leaves it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Unread(NamedTuple):
    """Stands among the records of a source of detect's for ``first_offset`` to ``offset``, which can't be read.

    It is a ``Record`` without a value; ``reason`` begins with one of a few words and a colon.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    first_offset: int
    reason: str
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()


class Outgoing(NamedTuple):
    """What is appended to a topic. All topics that stages write have one partition, but for ``partition``."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class ReadableLog(Protocol):
    """Kafka for whoever may read and nothing else: there is no way to append by it."""

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return up to one fetch of records with start <= offset < end; empty when there are none left to read.

        Call again from the last offset + 1 until ``end`` is reached. Offsets may have holes (compaction).
        """
        ...

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest offset, offset after the last record)."""
        ...


class Log(ReadableLog, Protocol):
    """Kafka, as far as a stage is concerned."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append in order and return the offsets once all are acknowledged by all replicas.

        An offset may be -1 when the broker says that it has the record already. Any failure raises, and the process
        must end: some of the records may be in the log.
        """
        ...


class Poller(Protocol):
    """A log that is waited on; ``streams.runtime.kafka.KafkaLog`` is one."""

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Record]]]:
        """Return one fetch from these positions, after 250 ms at most; empty when nothing came.

        Raises aiokafka's ``OffsetOutOfRangeError`` when a position is not in the topic.
        """
        ...


class PolledLog(Log, Poller, Protocol):
    """A log that can be read at any place, and waited on at its end."""


SchemaId = int | str
"""The number that a registry gave a schema, or its GUID in the form with hyphens."""


SCHEMA_BYTES_MAX: Final = 256 * 1024
"""Of a schema and all that it refers to."""


class Registered(NamedTuple):
    """A schema as a registry holds it: its kind (``AVRO``, ``JSON``, ``PROTOBUF``) and its text.

    ``references`` are the texts of all that it refers to, each behind what it refers to itself.
    """

    kind: str
    text: str
    references: tuple[str, ...] = ()


class Schemas(Protocol):
    """A schema registry."""

    async def get(self, ids: Collection[SchemaId]) -> Mapping[SchemaId, Registered | str]:
        """Return for each id its schema, or in a few words why there is none; within about ten seconds.

        A schema is the same for ever; a reason may be another one a minute later. Never raises.
        """
        ...


class SnapshotStore(Protocol):
    """Where decide keeps the state of the fold: a local file often, a compacted topic seldom."""

    async def newest(self) -> Sequence[bytes]:
        """Return the whole snapshots that are there, newest first; damaged ones are left out."""
        ...

    async def save(self, snapshot: bytes) -> None:
        """Keep a snapshot durably: before returning, or soon after, and then the next call says how that ended."""
        ...


class Engine(Protocol):
    """A stage. Its host calls these three, one at a time, and nothing else."""

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Take partitions; return the offset to start each one from. Called again after each rebalance."""
        ...

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Work on one fetch; when this returns, everything that follows from it is durable."""
        ...

    async def idle(self) -> None:
        """Nothing came for a moment (at most 250 ms): a chance to tick, to snapshot, to look at the clock."""
        ...


@runtime_checkable
class Settling(Protocol):
    """An engine that returns from ``process`` before the batch is durable; its host waits for it before it lets go."""

    async def settle(self) -> None:
        """Return when everything that follows from all batches is durable; raises what one failed by."""
        ...
