"""What people say through the web, into the inbox for people: the one way in which the web changes anything.

What is said while an append is under way goes with the next one, all together: a thousand a second cost one batch each
few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from streams.codec import encode
from streams.core.beside import Evidence
from streams.core.events import InboxEvent
from streams.ports import Log, Outgoing
from streams.topics import Topics
from streams.web.problems import WebError

WAITING_MAX: Final = 10_000
"""What is said and not appended yet; more is refused, because nobody answers."""
BATCH_MAX: Final = 500
Said = tuple[InboxEvent, asyncio.Future[int]]


class Voice:
    """Appends to the inbox, one batch after the other, for as long as ``run`` runs."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topics = topics
        self._waiting: deque[Said] = deque()
        self._news = asyncio.Event()

    async def say(self, event: InboxEvent) -> int:
        """Return the offset of an event once all replicas have it. Raises ``WebError`` 503 when too many wait."""
        if len(self._waiting) >= WAITING_MAX:
            raise WebError(503, "Kafka does not answer: try again in a moment", {"Retry-After": "5"})
        said: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, said))
        self._news.set()
        return await asyncio.shield(said)

    async def explain(self, offset: int, text: str, at_ms: int) -> None:
        """Keep a (redacted) text beside the event at ``offset``, as evidence that can be erased."""
        event = Evidence(
            topic=self._topics.inbox_people,
            partition=0,
            offset=offset,
            index=0,
            service="",
            pattern="",
            severity="",
            at_ms=at_ms,
            text=text,
        )
        await asyncio.shield(self._log.append([Outgoing(self._topics.evidence, encode(event), b"")]))

    async def run(self) -> None:
        """Append what is said, for ever. A failed append raises: what is in the log is not known then."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
                await self._append(batch)

    async def _append(self, batch: Sequence[Said]) -> None:
        try:
            records = [Outgoing(self._topics.inbox_people, encode(event), b"") for event, _ in batch]
            offsets = await self._log.append(records)
        except BaseException as error:
            for _, said in (*batch, *self._waiting):
                if not said.done():
                    said.set_exception(WebError(503, "Kafka took it or not: look before you say it again"))
                    said.exception()  # whoever said it may be gone
            raise error from None
        for (_, said), offset in zip(batch, offsets, strict=True):
            if not said.done():
                said.set_result(offset)
