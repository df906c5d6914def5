"""The inbox for advice: what was said in it, and the one writer of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from streams.advise.desk import Said
from streams.codec import decode_inbox, encode
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.beside import Evidence
from streams.core.errors import InputError
from streams.core.events import Decision
from streams.ports import Log, Outgoing, Record, TopicPartition
from streams.topics import Topics

QUESTIONS_MAX: Final = 10_000
"""Questions whose answers are remembered, far more than ten minutes bring."""


class Inbox:
    """Appends in the order in which it is told to, and knows who answered what. ``clock_ms`` is this host's clock."""

    def __init__(self, log: Log, topics: Topics, host: str, clock_ms: Callable[[], int]) -> None:
        self.where = TopicPartition(topics.inbox_advice, 0)
        self._log = log
        self._evidence = topics.evidence
        self._host = host
        self._clock_ms = clock_ms
        self._skew_ms = 0
        self._heard: dict[str, set[str]] = {}
        self._writing = asyncio.Lock()
        self._waiting: asyncio.Queue[tuple[Said, Decision]] = asyncio.Queue()

    @property
    def now_ms(self) -> int:
        """The time by the broker's clock, as far as it is known from our last report."""
        return self._clock_ms() - self._skew_ms

    def answered(self, question_id: str, advisor: str) -> bool:
        """Tell whether an advisor has answered a question, here or anywhere."""
        return advisor in self._heard.get(question_id, ())

    async def catch_up(self, since_ms: int) -> int:
        """Take in what was said since a time of the broker's clock; return the offset after the last of it."""
        start, end = await self._log.bounds(self.where)
        while start < end and (records := await self._log.read(self.where, start, end)):
            for record in records:
                if record.timestamp >= since_ms:
                    self.hear(record)
            start = records[-1].offset + 1
        return end

    def hear(self, record: Record) -> None:
        """Take in one record."""
        try:
            event = decode_inbox(record.value or b"")
        except InputError:
            return  # detect makes a reject of it
        if isinstance(event, OpinionGiven):
            self._note(event)

    def _note(self, opinion: OpinionGiven) -> None:
        while len(self._heard) >= QUESTIONS_MAX:
            del self._heard[next(iter(self._heard))]
        self._heard.setdefault(opinion.question_id, set()).add(opinion.advisor)

    async def report(self, there: tuple[str, ...], provider: str, model: str) -> None:
        """Say who would answer from now on, and see from the broker's stamp how far its clock is from this host's."""
        before_ms = self._clock_ms()
        event = AdvisorsReported(
            host=self._host, provider=provider, model=model, advisors=there, at_ms=before_ms - self._skew_ms
        )
        (offset,) = await self._log.append([Outgoing(self.where.topic, encode(event), self._host.encode())])
        after_ms = self._clock_ms()
        if offset >= 0 and (records := await self._log.read(self.where, offset, offset + 1)):
            self._skew_ms = (before_ms + after_ms) // 2 - records[0].timestamp

    def say(self, said: Said, question: Decision) -> None:
        """Have an opinion appended, unless that advisor has answered the question meanwhile."""
        if not self.answered(said.opinion.question_id, said.opinion.advisor):
            self._note(said.opinion)
            self._waiting.put_nowait((said, question))

    async def keep_writing(self) -> None:
        """Append what is said, for ever: by a task of its own, for an append must never be cut short."""
        while True:
            said, question = await self._waiting.get()
            await asyncio.shield(self._write(said, question))

    async def flush(self) -> None:
        """Append what was said and is not appended yet, once nobody says anything any more."""
        while not self._waiting.empty():
            await self._write(*self._waiting.get_nowait())
        async with self._writing:
            return  # what was begun has ended

    async def _write(self, said: Said, question: Decision) -> None:
        """Append an opinion, and then its rationale as evidence with the opinion's coordinate."""
        async with self._writing:
            await self._write_both(said, question)

    async def _write_both(self, said: Said, question: Decision) -> None:
        data = encode(said.opinion)
        (offset,) = await self._log.append([Outgoing(self.where.topic, data, question.incident.encode())])
        if offset < 0 or not said.rationale:
            return
        evidence = Evidence(
            topic=self.where.topic,
            partition=0,
            offset=offset,
            index=0,
            service=question.service,
            pattern=question.pattern,
            severity=question.severity,
            at_ms=self.now_ms,
            text=said.rationale,
        )
        await self._log.append([Outgoing(self._evidence, encode(evidence), question.service.encode())])
