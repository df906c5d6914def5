"""The host agent (``logmend host``): looks at its host at intervals, and tells what it sees. It decides nothing.

Metrics go to the topic of metrics as JSON, with the host's name as service; limits that are crossed are probes of that
service in the inbox. Looks go on while the broker is away, and are told when it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams import telemetry
from streams.codec import encode
from streams.core.events import ProbeReported
from streams.ports import Log, Outgoing, TopicPartition
from streams.topics import Topics
from streams.workers.canary import sing
from streams.workers.clock import now_ms
from streams.workers.judging import Judge, Judged, Limits, judge_brokers, judge_processes
from streams.workers.processors import Processors
from streams.workers.pulse import ROUND_MS_MAX
from streams.workers.readings import Reading, own_processes, readings, silent_brokers

FIRST_SECONDS: Final = 1.0
"""How long the processors are watched before the first look."""
SIGHTS_MAX: Final = 240
"""Looks that wait for the broker: two hours of them."""
TELL_SECONDS: Final = 5.0
"""How long a stop waits for the broker."""


class Watched(Struct, frozen=True, kw_only=True):
    """What is looked at: the host, where its processes say that they run, and the brokers (``host:port,...``).

    ``canary_seconds`` is how often the canary's line is sent, 0: never.
    """

    host: str
    data_dir: Path
    brokers: str
    every_ms: int = 30_000
    canary_seconds: int = 0
    limits: Limits = Limits()


class Sight(Struct, frozen=True):
    """What one look saw, at ``at_ms`` of this host's clock; it took ``latency_ms``."""

    at_ms: int
    latency_ms: int
    readings: list[Reading]
    judged: list[Judged]


class HostWatch:
    """Looks, and tells; the one does not wait for the other."""

    def __init__(self, log: Log, topics: Topics, watched: Watched) -> None:
        self._log = log
        self._topics = topics
        self._watched = watched
        self._judge = Judge(watched.limits)
        self._sights: deque[Sight] = deque()
        self._news = asyncio.Event()
        self._processors = Processors()
        self._skew_ms = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set. A failed append raises: what is in the log is not known then."""
        try:
            async with asyncio.TaskGroup() as group:
                looking, telling = group.create_task(self._look_on()), group.create_task(self._tell_on(stop))
                singing = group.create_task(self._sing(stop))
                await stop.wait()
                looking.cancel()
                self._news.set()
                await asyncio.wait([telling], timeout=TELL_SECONDS)
                telling.cancel()
                singing.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _sing(self, stop: asyncio.Event) -> None:
        await sing(self._log, self._topics.logs[0], self._watched.host, self._watched.canary_seconds, stop)

    async def _look_on(self) -> None:
        due = time.monotonic() + min(FIRST_SECONDS, self._watched.every_ms / 1000)
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            due = max(due + self._watched.every_ms / 1000, time.monotonic())
            self._sights.append(await self.look())
            if len(self._sights) > SIGHTS_MAX:
                self._sights.popleft()
                telemetry.handled("host", f"{SIGHTS_MAX} looks wait for the broker: the oldest is dropped")
            self._news.set()

    async def look(self) -> Sight:
        """Look at everything once."""
        at_ms, began = now_ms(), time.monotonic()
        found, alive, (silent, brokers) = await asyncio.gather(
            asyncio.to_thread(readings, self._processors),
            asyncio.to_thread(own_processes, self._watched.data_dir),
            silent_brokers(self._watched.brokers),
        )
        judged = [*self._judge.judge(found), *judge_processes(alive), judge_brokers(silent, brokers)]
        for one in judged:
            telemetry.probe_made(one.kind, ok=one.ok)
        return Sight(at_ms, round((time.monotonic() - began) * 1000), found, judged)

    async def _tell_on(self, stop: asyncio.Event) -> None:
        """Tell one sight after the other; what is under way when the process is to end is told to its end."""
        while not stop.is_set():
            await self._news.wait()
            self._news.clear()
            while self._sights and not stop.is_set():
                await self._tell(self._sights.popleft())

    async def _tell(self, sight: Sight) -> None:
        """Append the metrics, learn from the broker's stamp how far our clock is off, append the probes."""
        before_ms = now_ms()
        where = TopicPartition(self._topics.metrics[0], 0)
        (offset,) = await self._log.append([self._metrics(where, sight)])
        after_ms = now_ms()
        if offset >= 0 and after_ms - before_ms < ROUND_MS_MAX:
            for record in await self._log.read(where, offset, offset + 1):
                self._skew_ms = (before_ms + after_ms) // 2 - record.timestamp
        await self._log.append([self._probe(sight, one) for one in sight.judged])

    def _metrics(self, where: TopicPartition, sight: Sight) -> Outgoing:
        host, at_ms = self._watched.host, sight.at_ms - self._skew_ms
        points = [
            {"ts": at_ms, "service": host, "host": host, "metric": one.metric, "value": one.value}
            | ({"labels": {"of": one.of}} if one.of else {})
            for one in sight.readings
        ]
        return Outgoing(where.topic, msgspec.json.encode(points), host.encode(), where.partition)

    def _probe(self, sight: Sight, judged: Judged) -> Outgoing:
        event = ProbeReported(
            host=self._watched.host,
            service=self._watched.host,
            kind=judged.kind,
            ok=judged.ok,
            code=judged.code,
            at_ms=sight.at_ms - self._skew_ms,
            latency_ms=sight.latency_ms,
        )
        return Outgoing(self._topics.inbox_workers, encode(event), event.service.encode())
