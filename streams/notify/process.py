"""Everything that ``logmend notify`` runs: reads the decisions into the journal, and a courier for each channel.

decisions ──► cases ──► journal ──► courier ──► a recipient, an address, a repository
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from streams import telemetry
from streams.codec import decode_decision
from streams.core.errors import InputError
from streams.notify.cases import Cases
from streams.notify.courier import Courier
from streams.notify.journal import Journal, Position
from streams.notify.notice import FOLLOW_UPS, Channel, Notice
from streams.ports import PolledLog, Record, TopicPartition

FIRST_DECISIONS_MAX: Final = 100_000
"""How far back a new journal begins: some seconds' reading."""
STOP_S: Final = 5.0
"""How long a delivery under way may take to end; if it doesn't, it is made again."""
TIDY_S: Final = 3_600.0


class Teller:
    """Follows the decisions of a fleet for some channels. ``clock_s`` is this host's clock."""

    def __init__(
        self,
        log: PolledLog,
        topic: str,
        journal: Journal,
        channels: Sequence[Channel],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._where = TopicPartition(topic, 0)
        self._journal = journal
        self._channels = tuple(channels)
        self._clock_s = clock_s
        self._couriers = [Courier(journal, channel, clock_s) for channel in channels]
        self._cases = Cases()
        self._last_seq = -1

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Tell until told to stop. ``ready`` is called once what was there at the start is in the journal."""
        delivering = [asyncio.create_task(courier.run(stop)) for courier in self._couriers]
        reading = [asyncio.create_task(self._follow(ready)), asyncio.create_task(self._keep_tidy())]
        stopping = asyncio.create_task(_stopped(stop))
        try:
            await asyncio.wait([stopping, *reading, *delivering], return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await asyncio.wait(delivering, timeout=STOP_S)
            for task in (*reading, *delivering):
                if task.done():
                    task.result()  # none ends before it is told to but by an error
        finally:
            for task in (stopping, *reading, *delivering):
                task.cancel()
            await asyncio.gather(stopping, *reading, *delivering, return_exceptions=True)

    async def _keep_tidy(self) -> None:
        while True:
            self._journal.tidy(self._clock_s())
            await asyncio.sleep(TIDY_S)

    async def _follow(self, ready: Callable[[], None]) -> None:
        position = await self._begin()
        ready()
        while True:
            try:
                batch = await self._log.poll({self._where: position})
            except OffsetOutOfRangeError:
                telemetry.handled("notify", f"{self._where.topic} has no offset {position}: another log, begun anew")
                self._journal.begin_anew(self._where.topic)
                position = await self._begin()
                continue
            for _, records in batch:
                position = records[-1].offset + 1
                self._keep(position, self._take(records))

    async def _begin(self) -> int:
        """Return where to go on. With a new journal, tell what is still open of what was decided last."""
        known = self._journal.position(self._where.topic)
        if known is not None:
            self._cases, self._last_seq = Cases(self._journal.cases()), known.last_seq
            return known.next_offset
        self._cases, self._last_seq = Cases(), -1
        earliest, end = await self._log.bounds(self._where)
        position = max(earliest, end - FIRST_DECISIONS_MAX)
        found: list[Notice] = []
        while position < end and (records := await self._log.read(self._where, position, end)):
            found += self._take(records)
            position = records[-1].offset + 1
        self._keep(end, [one for one in found if one.kind not in FOLLOW_UPS and self._cases.waits(one)])
        return end

    def _take(self, records: Sequence[Record]) -> list[Notice]:
        notices = []
        for record in records:
            try:
                decision = decode_decision(record.value or b"")
            except InputError as error:
                telemetry.handled("notify", f"decision at {record.offset}: {error}")
                continue
            if decision.seq <= self._last_seq:
                continue  # two owners of decide may have written it
            self._last_seq = decision.seq
            if (notice := self._cases.take(decision)) is not None:
                notices.append(notice)
        return notices

    def _keep(self, next_offset: int, notices: Sequence[Notice]) -> None:
        position = Position(next_offset, self._last_seq)
        self._journal.take(self._where.topic, position, self._cases.changed(), notices, self._channels, self._clock_s())
        if notices:
            for courier in self._couriers:
                courier.news.set()


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()


async def close_all(channels: Sequence[Channel]) -> None:
    """Let all channels go."""
    for channel in channels:
        with contextlib.suppress(Exception):
            await channel.aclose()
