"""The demo's lines on their way: most of them at once, as a backlog comes in, the rest as a steady stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from lab.lines import File, read_all, shifted
from lab.shipper import outgoing
from streams.ports import Log, Outgoing
from streams.workers.clock import now_ms

BURST_SHARE: Final = 0.75
BATCH_RECORDS: Final = 2_000
STREAM_S: Final = 40.0
STREAM_EVERY_S: Final = 0.5


class Feed:
    """Ships the demo's files. ``sent`` of ``total`` lines are acknowledged."""

    def __init__(self, log: Log, topic: str, partitions: int) -> None:
        self._log = log
        self._topic = topic
        self._partitions = partitions
        files = read_all()
        self._backlog = [File(file.service, file.lines[: _cut(file)]) for file in files]
        self._rest = [File(file.service, file.lines[_cut(file) :]) for file in files]
        self.total = sum(len(file.lines) for file in files)
        self.burst_lines = sum(len(file.lines) for file in self._backlog)
        self.burst_ms = 0
        """When the first line of the burst was sent (milliseconds since 1970)."""
        self.sent = 0

    async def burst(self) -> None:
        """Send three lines of four as fast as Kafka takes them; every file's last line is of now."""
        records = [record for file in self._backlog for record in self._records(file)]
        self.burst_ms = now_ms()
        for start in range(0, len(records), BATCH_RECORDS):
            await self._send(records[start : start + BATCH_RECORDS])

    async def stream(self) -> None:
        """Send the rest in small parts over 40 s, each as of the moment at which it is sent."""
        steps = int(STREAM_S / STREAM_EVERY_S)
        for step in range(steps):
            await self._send([record for file in self._rest for record in self._records(_part(file, step, steps))])
            await asyncio.sleep(STREAM_EVERY_S)

    def _records(self, file: File) -> Iterator[Outgoing]:
        if file.lines:
            yield from outgoing(self._topic, self._partitions, file.service, list(shifted(file.lines, now_ms())))

    async def _send(self, records: Sequence[Outgoing]) -> None:
        if records:
            await self._log.append(records)
            self.sent += len(records)


def _cut(file: File) -> int:
    return int(len(file.lines) * BURST_SHARE)


def _part(file: File, step: int, steps: int) -> File:
    """Return the ``step``-th of equal parts of a file; together they are the file."""
    count = len(file.lines)
    return File(file.service, file.lines[count * step // steps : count * (step + 1) // steps])
