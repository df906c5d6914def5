"""A company whose services break, with the real fold, the real event log, research, and a model that is often right.

Time is the log's own: nothing waits. What helps against an incident is drawn before it begins and known to nobody but
the model, which is right in four cases of five.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from analytics.writer import EventLogWriter
from streams.advise.desk import Desk
from streams.advise.providers.base import Prompt
from streams.advise.scout import Scout
from streams.core.advice import ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.config import Inventory, canonical, sha256
from streams.core.events import Command, ConfigApplied, Message
from streams.core.inventory import ServiceSpec
from streams.ingest.masking import mask
from tests.advise.models import Model, case_of, desk_of, opinion
from tests.advise.topics import PolledLog, advising, until
from tests.analytics.history import History

MIX: Final[Mapping[str, Mapping[str, float]]] = {
    "process_crash": {"process.restart": 0.7, "process.rollback_config": 0.3},
    "health_check_failure": {"process.restart": 0.65, "process.rollback_config": 0.35},
    "out_of_memory": {"process.restart": 0.85, "process.clear_caches": 0.15},
    "database_lock": {"process.kill_blocker": 0.75, "process.restart": 0.25},
    "port_conflict": {"process.kill_blocker": 0.85, "process.rollback_config": 0.15},
    "configuration_error": {"process.rollback_config": 0.9, "process.restart": 0.1},
    "disk_full": {"process.clear_caches": 0.75, "process.restart": 0.25},
}
"""What helps against a pattern, and how often it is that."""
HOPELESS: Final = 0.05
"""Share of incidents against which nothing helps."""
SERVICES: Final = tuple(f"shop-{number}" for number in range(8))
RIGHT: Final = 0.8
STEP_S: Final = 5
PATIENCE_S: Final = 900
APART_S: Final = 3_600


class Ended(Struct, frozen=True, kw_only=True):
    """How an incident ended: ``healed`` by which ``phase``, or with a person."""

    pattern: str
    cure: str
    healed: bool
    phase: int


class Company(History):
    """Breaks services, one after the other. An async context manager; without ``desk_for`` nobody advises."""

    def __init__(self, directory: Path, seed: int, *, sure_from: float = 0.5) -> None:
        super().__init__()
        self.log: PolledLog = PolledLog(now_ms=self.log.now_ms, fetch_max=500)
        self.model = Model(self._think)
        self._directory = directory
        self._random = random.Random(seed)
        self._cure = ""
        self._heard = 0
        self._sure_from = sure_from
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        self._writer = self._stack.enter_context(EventLogWriter(self.log, self.topics, self._directory / "log"))
        scout = Scout(self._directory / "log", lambda text: mask(text.encode()).decode())
        self._stack.push_async_callback(scout.close)
        desk: Desk = desk_of(self.model, self._directory, self._sure_from)
        await self._stack.enter_async_context(advising(self.log, desk, scout))
        self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def begin(self) -> None:
        """Apply an inventory of services of which everything is declared that the mix needs."""
        for source in self.topics.sources:
            self.take(source)
        specs = [
            ServiceSpec(
                name=name,
                host="h1",
                mode="auto",
                argv=("/bin/true",),
                pid_file=f"/run/{name}.pid",
                port=8000 + number,
                lock_files=(f"/run/{name}.db",),
                config_files=(f"/etc/{name}.toml",),
                checkpoint_dir=f"/var/lib/{name}",
                caches=(f"/var/cache/{name}",),
            )
            for number, name in enumerate(SERVICES)
        ]
        body = canonical(Inventory(services=tuple(specs)))
        self.say(ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body))

    async def incident(self) -> Ended:
        """Break a service as the mix has it, and return how that ended."""
        service, pattern = self._random.choice(SERVICES), self._random.choice(list(MIX))
        cures = MIX[pattern]
        (cure,) = self._random.choices(list(cures), list(cures.values()))
        return await self.broken(service, pattern, "" if self._random.random() < HOPELESS else cure)

    async def broken(self, service: str, pattern: str, cure: str) -> Ended:
        """Break a service in one way that one action helps against, and return how that ended."""
        self._cure = cure
        first, sent = len(self.decisions), len(self.commands)
        self.advise(AdvisorsReported(host="h1", provider="p", model="m", advisors=ADVISORS, at_ms=self.now_ms))
        self.see(service, pattern)
        cured = False
        for _ in range(PATIENCE_S // STEP_S):
            new, sent = self.commands[sent:], len(self.commands)
            cured = self._carry_out(new) or cured
            await self._consult()
            self.calm(service if cured else "elsewhere", STEP_S)
            kinds = [one.kind for one in self.decisions[first:]]
            if "incident_closed" in kinds or "escalated" in kinds:
                break
        mine = [one for one in self.decisions[first:] if one.service == service]
        phases = [one.value for decision in mine for one in decision.figures if one.name == "phase"]
        healed = any(one.kind == "verified" for one in mine)
        self.calm(service, APART_S, step_ms=60_000)
        return Ended(pattern=pattern, cure=self._cure, healed=healed, phase=int(max(phases, default=1.0)))

    def advise(self, *events: AdvisorsReported | OpinionGiven) -> None:
        """Take something in that was said in the inbox for advice, as detect does."""
        start = self._ends.get(self.topics.inbox_advice, 0)
        messages = tuple(
            Message(offset=start + place, append_ms=self.now_ms, event=event) for place, event in enumerate(events)
        )
        self.fact(self.slice_of(self.topics.inbox_advice, len(events), messages=messages))

    def _carry_out(self, commands: list[Command]) -> bool:
        """Let the pool carry out recoveries; True when one of them was the cure."""
        cured = False
        for command in commands:
            if command.kind == "recovery":
                self.log.now_ms += 1_000
                helps = command.action == self._cure
                self.outcome(command, ok=helps)
                cured = cured or helps
        return cured

    async def _consult(self) -> None:
        """Let the advisors answer what is open, with the event log as fresh as it is in the product."""
        asked = [one for one in self.decisions if one.kind == "advice_asked"]
        settled = {one.refers_to for one in self.decisions if one.kind == "advice_settled"}
        waiting = [one for one in asked if one.id not in settled]
        if not waiting:
            return
        await self._writer.flush()
        wanted = {one.id: 3 if one.reason == "three" else 1 for one in waiting}
        await until(lambda: all(self._answers(id_) == count for id_, count in wanted.items()))
        opinions = self.log.opinions
        self.advise(*opinions[self._heard :])
        self._heard = len(opinions)

    def _answers(self, question_id: str) -> int:
        return sum(one.question_id == question_id for one in self.log.opinions)

    def _think(self, prompt: Prompt) -> str:
        """Name what helps, four times of five; else something else, or nothing."""
        options = [one["id"] for one in case_of(prompt)["options"]]
        if self._cure in options and self._random.random() < RIGHT:
            return opinion(self._cure, 0.85)
        return opinion(self._random.choice([*options, ""]), 0.6)
