"""Heartbeats of the workers, and what they tell about this host's clock.

The broker stamps each heartbeat when it appends it. Half-way between sending and acknowledgement our clock should have
shown that stamp; the difference is the skew, give or take half the time that it took. ``Command.expires_ms`` is in the
broker's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from streams.codec import encode
from streams.core.beside import Heartbeat
from streams.ports import Log, Outgoing, TopicPartition
from streams.workers.clock import now_ms
from streams.workers.crew import Worker

BEAT_SECONDS: Final = 10.0
NEWS_SECONDS: Final = 0.2
"""What changes within this time is told together: an open page shows it within two seconds."""
ROUND_MS_MAX: Final = 500
"""An append that took longer says little of clocks: the broker, or this process, was away meanwhile."""


class Pulse:
    """Sends heartbeats; ``skew_ms`` is how far our clock is ahead of the broker's, None until it was measured."""

    def __init__(self, log: Log, topic: str, host: str) -> None:
        self._log = log
        self._where = TopicPartition(topic, 0)
        self._host = host
        self.skew_ms: int | None = None
        self._doubt_ms = 0
        self._news = asyncio.Event()

    @property
    def is_sure(self) -> bool:
        """Whether the skew is from an append that was quick."""
        return self.skew_ms is not None and 2 * self._doubt_ms <= ROUND_MS_MAX

    def news(self) -> None:
        """Hear that a worker's process has begun or ended: it is not left for the next turn."""
        self._news.set()

    async def keep(self, workers: Callable[[], Iterable[Worker]]) -> None:
        """Beat every ``BEAT_SECONDS`` and after news, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._news.wait()
                    await asyncio.sleep(NEWS_SECONDS)
            self._news.clear()
            await self.beat(workers())

    async def beat(self, workers: Iterable[Worker], state: str = "") -> None:
        """Append one heartbeat for each worker (``state`` in place of its own) and measure the skew."""
        before_ms = now_ms()
        records = [self._record(worker, before_ms, state) for worker in workers]
        offsets = await self._log.append(records)
        after_ms = now_ms()
        offset = max(offsets, default=-1)
        if offset < 0:
            return
        for record in await self._log.read(self._where, offset, offset + 1):
            self._measured((before_ms + after_ms) // 2 - record.timestamp, (after_ms - before_ms + 1) // 2)

    def _measured(self, skew_ms: int, doubt_ms: int) -> None:
        """Take a measurement that is better than the last one, or that contradicts it: a clock was set.

        One that took long is taken only while there is none.
        """
        known = self.skew_ms
        if known is not None and 2 * doubt_ms > ROUND_MS_MAX:
            return
        if known is None or doubt_ms <= self._doubt_ms or abs(skew_ms - known) > doubt_ms + self._doubt_ms:
            self.skew_ms, self._doubt_ms = skew_ms, doubt_ms

    def _record(self, worker: Worker, at_ms: int, state: str) -> Outgoing:
        event = Heartbeat(
            worker=worker.name,
            role=worker.role,
            host=self._host,
            pid=worker.pid,
            state=state or worker.state,
            tasks=worker.tasks,
            errors=worker.errors,
            started_ms=worker.started_ms,
            at_ms=at_ms - (self.skew_ms or 0),
        )
        return Outgoing(topic=self._where.topic, value=encode(event), key=f"{self._host}/{worker.name}".encode())
