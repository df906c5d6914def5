"""The advisors' process: follows the decisions for questions, and puts an opinion of each advisor into the inbox.

    decisions ──► question ──► dossier ──► each advisor by itself ──► inbox.advice (opinion), evidence (rationale)

Nothing is kept beside the log. What was answered is in the inbox, so after a crash at any moment the inbox says what is
left to answer; an opinion that was appended is never appended again, and one that was not is given while its question
still waits. Whatever goes wrong, no decision waits longer than the fold's own time for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from aiokafka.errors import OffsetOutOfRangeError

from streams import telemetry
from streams.advise.desk import Desk
from streams.advise.dossier import Dossier
from streams.advise.inbox import Inbox
from streams.advise.scout import Scout, bare
from streams.catalogue.advisors import Advisor, advisors
from streams.codec import decode_decision
from streams.core.advice import ADVISORS
from streams.core.errors import InputError
from streams.core.events import Decision
from streams.ports import PolledLog, Record, TopicPartition
from streams.runtime.kafka import LOOKS_SECONDS
from streams.topics import Topics

REPORT_S: Final = 60.0
OLD_MS: Final = 600_000
"""No question waits longer than this, so older ones need not be looked for."""
LEFT_MIN_MS: Final = 1_000
"""A question with less time than this left is not asked any more: its answer would come too late."""
RESEARCH_SHARE: Final = 0.25
"""Of the time for a question, how much is spent at most on waiting for the event log."""
MARGIN_S: Final = 0.5
"""What appending an opinion, and taking it into the facts, may take."""
QUESTIONS_AT_ONCE: Final = 8
STEP: Final = 1_024
"""Looking for where to begin goes back by so many decisions, then by twice as many, and so on."""
OVER: Final = frozenset({"advice_settled", "incident_closed", "incident_merged", "escalated"})
"""Decisions after which a question of their incident needs no answer."""


class Loop:
    """Answers the questions of a fleet. One process is enough; a second one's opinions are not even recorded."""

    def __init__(
        self,
        log: PolledLog,
        topics: Topics,
        desk: Desk,
        scout: Scout,
        host: str,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._log = log
        self._decisions = TopicPartition(topics.decisions, 0)
        self._desk = desk
        self._scout = scout
        self._inbox = Inbox(log, topics, host, clock_ms)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._incidents: dict[str, str] = {}
        """Incident to its question under way."""
        self._places = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Answer until told to stop, then say that nobody is there any more. ``ready`` is called once it follows."""
        await self._report(ADVISORS)
        stopping = asyncio.create_task(stop.wait())
        work: list[asyncio.Task[None]] = [asyncio.create_task(one) for one in self._work(ready)]
        try:
            await asyncio.wait([stopping, *work], return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                if task.done():
                    task.result()  # neither ends but by an error
        finally:
            ending: list[asyncio.Task[Any]] = [stopping, *work, *self._running.values()]
            for one in ending:
                one.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        await self._inbox.flush()
        await self._report(())

    def _work(self, ready: Callable[[], None]) -> tuple[Coroutine[Any, Any, None], ...]:
        return self._follow(ready), self._keep_reporting(), self._inbox.keep_writing()

    async def _report(self, there: tuple[str, ...]) -> None:
        await self._inbox.report(there, self._desk.provider, self._desk.model)

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            await self._report(ADVISORS)

    # ------------------------------------------------------------------------------------------------------ following

    async def _follow(self, ready: Callable[[], None]) -> None:
        positions = await self._begin()
        ready()
        while True:
            try:
                batch = await self._log.poll(positions)
            except OffsetOutOfRangeError:
                positions = await self._begin()
                continue
            for where, records in sorted(batch, key=lambda one: one[0] == self._decisions):  # answers before questions
                for record in records:
                    self._take(where, record)
                positions[where] = records[-1].offset + 1
            await asyncio.sleep(LOOKS_SECONDS)

    async def _begin(self) -> dict[TopicPartition, int]:
        """Read what was answered lately; return where to go on in both topics."""
        earliest, end = await self._log.bounds(self._decisions)
        oldest_ms = self._inbox.now_ms - OLD_MS
        return {
            self._inbox.where: await self._inbox.catch_up(oldest_ms),
            self._decisions: await first_since(self._log, self._decisions, earliest, end, oldest_ms),
        }

    def _take(self, where: TopicPartition, record: Record) -> None:
        if where != self._decisions:
            self._inbox.hear(record)
            return
        try:
            decision = decode_decision(record.value or b"")
        except InputError as error:
            telemetry.handled("advise", f"decision at {record.offset}: {error}")
            return
        if decision.kind == "advice_asked":
            self._begin_answer(decision, record.timestamp)
        elif decision.kind in OVER:
            self._give_up(decision)

    def _give_up(self, decision: Decision) -> None:
        """Stop what is under way for a question that nobody waits for any more."""
        task = self._running.get(self._incidents.get(decision.incident, ""))
        if task is not None:
            task.cancel()

    # ------------------------------------------------------------------------------------------------------ answering

    def _begin_answer(self, question: Decision, asked_ms: int) -> None:
        wait_ms = next((one.value for one in question.figures if one.name == "wait_ms"), 0.0)
        until_ms = asked_ms + min(wait_ms, OLD_MS)
        asked = advisors().asked(three=question.reason == "three")
        left = [one for one in asked if not self._inbox.answered(question.id, one.id)]
        if not left or until_ms - self._inbox.now_ms < LEFT_MIN_MS or question.id in self._running:
            return
        task = asyncio.create_task(self._answer(question, left, until_ms))
        self._running[question.id], self._incidents[question.incident] = task, question.id
        task.add_done_callback(lambda _: self._ended(question))

    def _ended(self, question: Decision) -> None:
        self._running.pop(question.id, None)
        if self._incidents.get(question.incident) == question.id:
            del self._incidents[question.incident]

    async def _answer(self, question: Decision, left: Iterable[Advisor], until_ms: float) -> None:
        async with self._places:
            try:
                dossier = await self._scout.dossier(question, self._left_s(until_ms) * RESEARCH_SHARE)
            except Exception as error:  # noqa: BLE001 - whatever stands in a log must not keep a question waiting
                telemetry.handled("research", f"{type(error).__name__}: {error}")
                dossier = bare(question)
            await asyncio.gather(*(self._ask(advisor, dossier, until_ms) for advisor in left))

    async def _ask(self, advisor: Advisor, dossier: Dossier, until_ms: float) -> None:
        """Have one advisor asked, blind for what the others say, and its opinion appended."""
        asked_ms, left_s = self._inbox.now_ms, self._left_s(until_ms)
        if left_s <= 0:
            return
        try:
            said = await self._desk.opinion(advisor, dossier, asked_ms, left_s)
        except Exception as error:  # noqa: BLE001 - nor whatever a model writes
            telemetry.handled("advise", f"{type(error).__name__}: {error}")
            said = self._desk.failed(advisor, dossier, asked_ms)
        self._inbox.say(said, dossier.question)

    def _left_s(self, until_ms: float) -> float:
        return (until_ms - self._inbox.now_ms) / 1_000 - MARGIN_S


async def first_since(log: PolledLog, where: TopicPartition, earliest: int, end: int, since_ms: int) -> int:
    """Return an offset of a partition before which all is older than ``since_ms``, not far from the first such one."""
    step, start = STEP, max(earliest, end - STEP)
    while start > earliest:
        records = await log.read(where, start, end)
        if not records or records[0].timestamp < since_ms:
            break
        step *= 2
        start = max(earliest, end - step)
    return start
