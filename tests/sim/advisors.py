"""The advisors of a simulated fleet: they come and go, and say anything of any question, late, twice or never."""

from __future__ import annotations

from typing import Final

from streams.codec import decode_decision
from streams.core.advice import ABSTENTIONS, ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.events import Decision
from streams.ports import Record
from tests.sim.broker import Broker, SimLog, sleep
from tests.sim.kernel import Process, World
from tests.sim.scene import CATALOGUE, DECISIONS, INBOX_ADVICE, SERVICES, message

GONE: Final = 0.1
"""Share of reports that say that nobody is there."""
UNSAID: Final = 0.1
TWICE: Final = 0.1
OBEDIENT: Final = 0.7
"""Share of opinions that name an option of their question; the others name anything."""
LATEST_MS: Final = 1_500


class Advisors:
    """Reads the decisions from the first one on, and answers what is asked in them."""

    def __init__(self, world: World, broker: Broker) -> None:
        self.there = world.luck(0.7)
        """In some runs there are none, and phases 2 and 3 have no advisor."""
        self._world = world
        self._broker = broker
        self._log = SimLog(broker)
        self._position = 0

    async def run(self, _process: Process) -> None:
        """Say who is there, now and then, and give opinions for ever."""
        while True:
            if self.there and self._world.luck(0.2):
                await self._report()
            for _, records in await self._log.poll({DECISIONS: self._position}):
                for record in records:
                    await self._look(record)
                    self._position = record.offset + 1

    async def _report(self) -> None:
        advisors = () if self._world.luck(GONE) else ADVISORS[: self._world.between(1, 3)]
        said = AdvisorsReported(
            host="h1", provider="recorded", model="m", advisors=advisors, at_ms=self._broker.clock_ms
        )
        await self._log.append([message(INBOX_ADVICE, said)])

    async def _look(self, record: Record) -> None:
        decision = decode_decision(record.value or b"")
        if decision.kind != "advice_asked":
            return
        await sleep(self._world, self._world.between(1, LATEST_MS))
        for advisor in ADVISORS if decision.reason == "three" else ADVISORS[-1:]:
            if self._world.luck(UNSAID):
                continue
            opinions = [self._opinion(decision, advisor)]
            if self._world.luck(TWICE):
                opinions.append(self._opinion(decision, advisor))
            await self._log.append([message(INBOX_ADVICE, one) for one in opinions])

    def _opinion(self, question: Decision, advisor: str) -> OpinionGiven:
        choice = self._world.random.choice
        obeys = self._world.luck(OBEDIENT)
        offered = [one.action for one in question.options]
        return OpinionGiven(
            question_id=question.id if obeys or self._world.luck(0.8) else "1-0-0",
            advisor=advisor,
            provider="recorded",
            model="m",
            source="model",
            action=choice(offered) if obeys else choice(["", "no.action", *(row.id for row in CATALOGUE.actions)]),
            suspect=choice((*SERVICES, "", "nobody")),
            cause=choice(("", "process_crash", "database_lock", "nothing")),
            confidence=self._world.random.random() if obeys else choice((0.0, 1.0, 7.0, float("inf"))),
            code="" if obeys else choice(("", *ABSTENTIONS)),
            asked_ms=self._broker.clock_ms,
            latency_ms=self._world.between(1, LATEST_MS),
            tokens_in=100,
            tokens_out=10,
            cost_microusd=choice((0, 1_000)),
            answer_sha256="",
        )
