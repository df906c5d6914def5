"""What people say through the web, into the inbox for people: the one way in which the web changes anything.

What is said while an append is under way goes with the next one, all together: a thousand a second cost one batch each
few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from streams.core.events import InboxEvent
from streams.ingest.people import Said, append
from streams.ingest.redact import Redactor
from streams.ports import Log
from streams.topics import Topics
from streams.web.problems import WebError

WAITING_MAX: Final = 10_000
"""What is said and not appended yet; more is refused, because nobody answers."""
BATCH_MAX: Final = 500
Waiting = tuple[Said, asyncio.Future[int]]


class Voice:
    """Appends to the inbox, one batch after the other, for as long as ``run`` runs."""

    def __init__(self, log: Log, topics: Topics, redactor: Redactor) -> None:
        self._log = log
        self._topics = topics
        self._redactor = redactor
        self._waiting: deque[Waiting] = deque()
        self._news = asyncio.Event()

    async def say(self, event: InboxEvent, text: str = "") -> int:
        """Return the offset of an event once all replicas have it; ``text`` is kept beside it, as ``Said`` has it.

        Raises ``WebError`` 503 when too many wait, or when it is not known whether Kafka has it.
        """
        if len(self._waiting) >= WAITING_MAX:
            raise WebError(503, "Kafka does not answer: try again in a moment", {"Retry-After": "5"})
        known: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((Said(event, text), known))
        self._news.set()
        return await asyncio.shield(known)

    async def run(self) -> None:
        """Append what is said, for ever. A failed append raises: what is in the log is not known then."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
                await self._append(batch)

    async def _append(self, batch: Sequence[Waiting]) -> None:
        try:
            offsets = await append(self._log, self._topics, [said for said, _ in batch], self._redactor)
        except BaseException as error:
            for _, known in (*batch, *self._waiting):
                if not known.done():
                    known.set_exception(WebError(503, "Kafka took it or not: look before you say it again"))
                    known.exception()  # whoever said it may be gone
            raise error from None
        for (_, known), offset in zip(batch, offsets, strict=True):
            if not known.done():
                known.set_result(offset)
