"""Topics: made, described, compared with what they should be, and cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import TopicPartition as TheirPartition
from msgspec import Struct

from streams.core.errors import InputError
from streams.ports import TopicPartition
from streams.runtime.kafka import CONNECT_S, connected
from streams.runtime.security import client
from streams.settings import Settings
from streams.topics import Topic

REPLICAS_MAX: Final = 3
STAMPS: Final = "message.timestamp.type"
BY_BROKER: Final = "LogAppendTime"
BY_PRODUCER: Final = {STAMPS: "CreateTime", "message.timestamp.after.max.ms": str(2**63 - 1)}
"""Of a topic that takes its producer's stamps, also those that lie ahead of the broker's clock."""
EXISTS: Final = 36
"""Kafka's error code TOPIC_ALREADY_EXISTS."""
LEADERS_S: Final = 15.0
LEADERS_POLL_S: Final = 0.05
REQUEST_MS: Final = 15_000


class TopicState(Struct, frozen=True, kw_only=True):
    """A topic of the fleet as it is: ``partitions`` is 0 when it is missing; ``config`` has what ``wanted`` names."""

    wanted: Topic
    partitions: int
    config: dict[str, str]

    @property
    def problems(self) -> tuple[str, ...]:
        """What differs from how it should be, a line each; a source topic's number of partitions is its owner's."""
        if not self.partitions:
            return (f"{self.wanted.name}: missing: make it with `logmend topics create`",)
        found = [
            f"{self.wanted.name}: {name} is {self.config.get(name)}, should be {value}"
            for name, value in sorted(self.wanted.config.items())
            if self.config.get(name) != value
        ]
        if self.wanted.partitions == 1 != self.partitions:
            found.append(f"{self.wanted.name}: has {self.partitions} partitions and must have one")
        return tuple(found)


class Admin:
    """An async context manager around Kafka's administration, for one fleet."""

    def __init__(self, settings: Settings, *, connect_seconds: float = CONNECT_S) -> None:
        self._settings = settings
        self._connect_seconds = connect_seconds
        self._client: Any = None

    async def __aenter__(self) -> Self:
        known = client(self._settings)
        self._client = await connected(
            lambda: AIOKafkaAdminClient(**known, request_timeout_ms=REQUEST_MS),
            known["bootstrap_servers"],
            self._connect_seconds,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def create(self, *, logs_bytes_max: int = 0) -> list[str]:
        """Make the fleet's topics that are missing and return their names, when each partition has a leader.

        ``logs_bytes_max`` limits all partitions of one topic of logs or metrics together (0: no limit). Existing topics
        stay as they are. Raises ``InputError`` when the broker refuses.
        """
        replicas = await self._replicas()
        wanted = self._settings.topics.all(self._settings.source_partitions)
        limited = {*self._settings.logs, *self._settings.metrics}
        rows = [_new(topic, replicas, logs_bytes_max if topic.name in limited else 0) for topic in wanted]
        made = []
        for name, code, reason, *_ in (await self._client.create_topics(rows)).topic_errors:
            if code == 0:
                made.append(name)
            elif code != EXISTS:
                raise InputError(f"topic {name} can't be made: {reason or for_code(code).__name__}")
        await self._leaders([topic.name for topic in wanted])
        return made

    async def describe(self) -> list[TopicState]:
        """Return each topic of the fleet as it is."""
        wanted = self._settings.topics.all(self._settings.source_partitions)
        partitions = await self._partitions([topic.name for topic in wanted])
        configs = await self._configs([name for name, count in partitions.items() if count])
        return [
            TopicState(
                wanted=topic,
                partitions=partitions[topic.name],
                config={name: configs.get(topic.name, {}).get(name, "") for name in topic.config},
            )
            for topic in wanted
        ]

    async def problems(self) -> list[str]:
        """Return what is missing or differs, a line each; empty when all is as it should be."""
        return [problem for state in await self.describe() for problem in state.problems]

    async def stamp(self, names: Sequence[str], *, by_producer: bool) -> None:
        """Have records of some topics stamped by their producer, or (as all of ours are) when they are appended.

        Raises ``InputError`` when the broker refuses.
        """
        replicas, rows = await self._replicas(), []
        for topic in self._settings.topics.all():
            if topic.name in names:
                config = {**_config(topic, replicas), **(BY_PRODUCER if by_producer else {})}
                rows.append(ConfigResource(ConfigResourceType.TOPIC, topic.name, config))
        for response in await self._client.alter_configs(rows):
            for code, reason, _, name in response.resources:
                if code:
                    raise InputError(f"topic {name} can't be changed: {reason or for_code(code).__name__}")

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete the records below these offsets; return the earliest offsets that are left."""
        wanted = {TheirPartition(*where): RecordsToDelete(before_offset=offset) for where, offset in before.items()}
        left = await self._client.delete_records(wanted)
        return {TopicPartition(*where): offset for where, offset in left.items()}

    async def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Return every partition of these topics, in order. Raises ``InputError`` naming a topic that is missing."""
        counts = await self._partitions(topics)
        for name, count in counts.items():
            if not count:
                raise InputError(f"topic {name} is missing: make it with `logmend topics create`")
        return [TopicPartition(name, number) for name in topics for number in range(counts[name])]

    async def _replicas(self) -> int:
        return min(REPLICAS_MAX, len((await self._client.describe_cluster())["brokers"]))

    async def _partitions(self, names: Sequence[str]) -> dict[str, int]:
        found = {row["topic"]: row for row in await self._client.describe_topics(list(names))}
        return {
            name: len(found[name]["partitions"]) if name in found and not found[name]["error_code"] else 0
            for name in names
        }

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        return {
            name: {entry[0]: entry[1] for entry in entries}
            for response in await self._client.describe_configs(resources)
            for _, _, _, name, entries in response.resources
        }

    async def _leaders(self, names: list[str]) -> None:
        deadline = time.monotonic() + LEADERS_S
        while time.monotonic() < deadline:
            rows = await self._client.describe_topics(names)
            if len(rows) == len(names) and all(_led(row) for row in rows):
                return
            await asyncio.sleep(LEADERS_POLL_S)
        raise InputError(f"the broker made the topics and names no leader for them within {LEADERS_S:.0f} s")


def _new(topic: Topic, replicas: int, bytes_max: int) -> NewTopic:
    config = _config(topic, replicas)
    if bytes_max:
        config["retention.bytes"] = str(bytes_max // topic.partitions)
    return NewTopic(topic.name, topic.partitions, replicas, topic_configs=config)


def _config(topic: Topic, replicas: int) -> dict[str, str]:
    return {**topic.config, **({"min.insync.replicas": "2"} if replicas >= REPLICAS_MAX else {})}


def _led(row: Mapping[str, Any]) -> bool:
    partitions = row["partitions"]
    return not row["error_code"] and bool(partitions) and all(each["leader"] >= 0 for each in partitions)


async def create_topics(settings: Settings, *, logs_bytes_max: int = 0) -> list[str]:
    """Make the fleet's missing topics; see ``Admin.create``."""
    async with Admin(settings) as admin:
        try:
            return await admin.create(logs_bytes_max=logs_bytes_max)
        except KafkaError as error:
            raise InputError(f"the topics can't be made: {type(error).__name__}: {error}") from error
