"""Dead letters for the web: read from Kafka when asked for, one question at a time, and not all the way back."""

from __future__ import annotations

import asyncio
from typing import Final

from streams.ingest.letters import Listing, Which, listed
from streams.ingest.redact import Redactor
from streams.ports import Log, TopicPartition
from streams.topics import Topics

SCANNED_MAX: Final = 20_000


class Letters:
    """The dead-letter topic's newest ``SCANNED_MAX`` records."""

    def __init__(self, log: Log, topics: Topics, redactor: Redactor) -> None:
        self._log = log
        self._topics = topics
        self._redactor = redactor
        self._reading = asyncio.Lock()

    async def listed(self, which: Which, limit: int) -> Listing:
        """Return the letters that are asked for, and how many there are by reason."""
        async with self._reading:
            _, end = await self._log.bounds(TopicPartition(self._topics.dlq, 0))
            start = max(end - SCANNED_MAX, 0)
            return await listed(self._log, self._topics, which, limit, self._redactor, start)
