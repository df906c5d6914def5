"""Brings what the journal holds to one channel, again after failures, until it is told or given up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

from streams import telemetry
from streams.notify.journal import Due, Journal
from streams.notify.notice import Channel, NotToldError

PAUSE_FIRST_S: Final = 5.0
PAUSE_MAX_S: Final = 900.0
RETRY_AFTER_MAX_S: Final = 3_600.0
GIVE_UP_S: Final = 86_400.0
FINAL_TRIES: Final = 3
"""Tries where the other side wants none of it."""


class Courier:
    """Serves one channel. ``clock_s`` is this host's clock in seconds."""

    def __init__(self, journal: Journal, channel: Channel, clock_s: Callable[[], float] = time.time) -> None:
        self.news = asyncio.Event()
        """Set by whoever puts something into the journal."""
        self._journal = journal
        self._channel = channel
        self._clock_s = clock_s

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is due, until told to stop; what is under way then ends first."""
        while not stop.is_set():
            self.news.clear()
            due = self._journal.due(self._channel.name, self._clock_s())
            if due is None:
                await self._wait(stop)
            else:
                await self._deliver(due)
            telemetry.notices_waiting(self._channel.kind, self._journal.waiting(self._channel.kind))

    async def _wait(self, stop: asyncio.Event) -> None:
        """Wait until there are news, the next message is due, or it is time to stop."""
        seconds = self._journal.wait_s(self._channel.name, self._clock_s())
        waiting = [asyncio.create_task(one.wait()) for one in (self.news, stop)]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _deliver(self, due: Due) -> None:
        try:
            await self._channel.send(due.message)
        except NotToldError as error:
            self._failed(due, error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours at one message must not keep back the next
            self._failed(due, NotToldError(f"{type(error).__name__}: {error}"))
        else:
            self._journal.told(due.number)
            telemetry.notice_sent(self._channel.kind, "told")

    def _failed(self, due: Due, error: NotToldError) -> None:
        now_s, tries = self._clock_s(), due.tries + 1
        if now_s - due.made_s >= GIVE_UP_S or (error.final and tries >= FINAL_TRIES):
            self._journal.give_up(due.number)
            telemetry.notice_given_up(self._channel.kind, due.message.id, tries, str(error))
            return
        pause_s = min(PAUSE_FIRST_S * 2.0 ** min(due.tries, 16), PAUSE_MAX_S)
        pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - so that many don't come back at once
        self._journal.failed(due.number, now_s + max(pause_s, min(error.retry_after_s, RETRY_AFTER_MAX_S)))
        telemetry.notice_sent(self._channel.kind, "failed")
        telemetry.handled(f"notify_{self._channel.kind}", f"{due.message.id}, try {tries}: {error}")
