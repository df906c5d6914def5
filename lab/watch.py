"""Reads decisions from Kafka as they are appended, and tells them to the stories of the faults."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from lab.timeline import Story
from streams.codec import decode_decision
from streams.core.events import Decision
from streams.ports import Log, TopicPartition

POLL_S: Final = 0.1


class Watch:
    """The decisions since ``start``. ``seq_first`` is the number of the first one that can belong to this run."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._where = TopicPartition(topic, 0)
        self._position = 0
        self._stories: list[Story] = []
        self._last_seq = -1
        self.decisions: list[Decision] = []
        self.kinds: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin after what is there already."""
        self._position = (await self._log.bounds(self._where))[1]

    def follow(self, story: Story) -> None:
        """Tell a story all that was decided since ``start``, and all that will be."""
        for decision in self.decisions:
            story.hear(decision)
        self._stories.append(story)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(POLL_S)

    async def read(self) -> None:
        """Take what has been appended since the last time; a decision that stands there twice counts once."""
        end = (await self._log.bounds(self._where))[1]
        while self._position < end:
            records = await self._log.read(self._where, self._position, end)
            if not records:
                return
            for record in records:
                self._take(decode_decision(record.value or b""))
            self._position = records[-1].offset + 1

    async def until(self, condition: Callable[[list[Decision]], bool], timeout_s: float) -> bool:
        """Wait until the decisions so far satisfy a condition; False when the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not condition(self.decisions):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _take(self, decision: Decision) -> None:
        if decision.seq <= self._last_seq:
            return
        self._last_seq = decision.seq
        self.decisions.append(decision)
        self.kinds[decision.kind] += 1
        for story in self._stories:
            story.hear(decision)
