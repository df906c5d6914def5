"""Keeps the model as the log is: first what the event log's files say of what is still open, then Kafka as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from analytics.views import EventLog
from streams import telemetry
from streams.codec import decode, decode_decision
from streams.core.beside import Heartbeat
from streams.core.errors import InputError
from streams.ports import PolledLog, Record, TopicPartition
from streams.runtime.kafka import LOOKS_SECONDS
from streams.runtime.snapshots import TopicSnapshots
from streams.runtime.view import FactsView, newest_directory
from streams.topics import Topics
from streams.web.history import History, NoLogError
from streams.web.model import Model

DECISIONS_MAX: Final = 500_000
"""How far back the topic is read where there are no files: half a minute's reading."""
HEARTBEATS_MAX: Final = 20_000
"""Who gave no sign of life in the last so many is gone: they are those of five minutes of 600 workers."""
AT_ONCE: Final = 200
"""Records between two looks at requests."""
TICK_S: Final = 1.0


class Following:
    """Reads for a model. ``open``, then ``run`` for as long as the process lasts."""

    def __init__(self, log: PolledLog, topics: Topics, model: Model, history: History) -> None:
        self._log = log
        self._topics = topics
        self._model = model
        self._history = history
        self._decisions = TopicPartition(topics.decisions, 0)
        self._heartbeats = TopicPartition(topics.heartbeats, 0)
        self._positions: dict[TopicPartition, int] = {}
        self._view: FactsView | None = None

    async def open(self) -> None:
        """Read policy, inventory and kill switch. Raises as ``FactsView.refresh`` and ``newest_directory``."""
        directory = await newest_directory(TopicSnapshots(self._log, self._topics.snapshots))
        self._model.started(directory)
        self._view = FactsView(self._log, self._topics, directory, self._model.heard)
        await self._view.refresh()

    async def run(self) -> None:
        """Read what is still open, then everything as it comes, for ever."""
        if self._view is None:
            await self.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_all())
            group.create_task(self._tick())
            if self._view is not None:
                group.create_task(self._view.follow(self._log, LOOKS_SECONDS))

    async def _read_all(self) -> None:
        await self._begin()
        ends = {where: (await self._log.bounds(where))[1] for where in self._positions}
        while True:
            for where, records in await self._log.poll(self._positions):
                await self._take(where, records)
            if not self._model.up_to_date and all(at >= ends[where] for where, at in self._positions.items()):
                self._model.caught_up()
            if self._model.up_to_date:
                await asyncio.sleep(LOOKS_SECONDS)

    async def _begin(self) -> None:
        earliest, end = await self._log.bounds(self._decisions)
        start = max(earliest, end - DECISIONS_MAX)
        try:
            archived, rows = await self._history.ask(_still_open)
        except NoLogError:
            archived, rows = -1, []
        for number, (value, stamp_ms) in enumerate(rows):
            self._model.decided(decode_decision(value), stamp_ms)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._positions[self._decisions] = archived if earliest <= archived <= end else start
        first, last = await self._log.bounds(self._heartbeats)
        self._positions[self._heartbeats] = max(first, last - HEARTBEATS_MAX)

    async def _take(self, where: TopicPartition, records: Sequence[Record]) -> None:
        for number, record in enumerate(records):
            try:
                self._hear(where, record)
            except InputError as error:
                telemetry.handled("web", f"{where.topic} at {record.offset}: {error}")
            self._positions[where] = record.offset + 1
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)

    def _hear(self, where: TopicPartition, record: Record) -> None:
        """Take a record into account. Raises ``InputError`` for one that can't be read."""
        if where == self._decisions:
            self._model.decided(decode_decision(record.value or b""), record.timestamp)
        elif isinstance(event := decode(record.value or b""), Heartbeat):
            self._model.beat(event, record.timestamp)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._model.passed()


def _still_open(log: EventLog) -> tuple[int, list[tuple[bytes, int]]]:
    """Return where the files end in the topic, and the decisions that still matter, with their stamps."""
    rows = log.query(files("streams.web").joinpath("sql", "still_open.sql").read_text("utf-8")).rows()
    return log.manifest.stream("decisions").position, rows
