"""What people say through the web, into the inbox for people: the one way in which the web changes anything."""

from __future__ import annotations

import asyncio

from streams.codec import encode
from streams.core.events import InboxEvent
from streams.ports import Log, Outgoing


class Voice:
    """Appends to the inbox. After a failed append nothing more is taken, and ``failed`` ends the process."""

    def __init__(self, log: Log, inbox: str) -> None:
        self._log = log
        self._inbox = inbox
        self.failed = asyncio.Event()

    async def say(self, event: InboxEvent) -> int:
        """Append an event; return its offset once all replicas have it. Whoever goes away meanwhile stops nothing."""
        return await asyncio.shield(asyncio.ensure_future(self._append(event)))

    async def _append(self, event: InboxEvent) -> int:
        try:
            (offset,) = await self._log.append([Outgoing(self._inbox, encode(event), b"")])
        except BaseException:
            self.failed.set()
            raise
        return offset
