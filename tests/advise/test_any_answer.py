"""Whatever advisors are like, and whatever they answer: nothing that was decided is lost, nothing unsafe is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from streams.advise.dossier import Dossier
from streams.advise.providers.base import FailedError, Prompt
from streams.advise.scout import Scout, bare
from streams.catalogue import strategies
from streams.catalogue.actions import actions
from streams.codec import decode_fact, encode
from streams.core.advice import ADVISORS, AdvisorsReported
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied, Decision, InboxEvent, Message
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.ports import TopicPartition
from tests.advise.models import Model, Waiting, case_of, desk_of, opinion
from tests.advise.topics import PolledLog, advising, until
from tests.analytics.history import History
from tests.sim import oracle

BROKEN: Final = ("shop", "cart", "mail")
CURES: Final = {"shop": "process.restart", "cart": "process.rollback_config", "mail": ""}
"""What helps: the first thing that is tried, another one, nothing."""
WATCHED: Final = "bank"
POLICY: Final = Policy(coordination=False, exploration_rate=0.0, breaker_failures=1_000)
PATIENCE_S: Final = 900
STEP_S: Final = 5
ROUNDS: Final = 50
"""Turns of the event loop in which an answer comes that comes at all."""
FREE: Final = (
    "",
    "I would restart it.",
    "process.restart",
    "{}",
    "null",
    '["process.restart"]',
    '{"action": "process.restart"}',
    '{"action": "process.restart", "confidence": 2}',
    '{"action": "process.restart", "confidence": NaN}',
    '{"action": "process.restart; rm -rf /", "confidence": 1.0}',
    '{"action": "process.restart", "confidence": 1.0, "arguments": {"argv": ["/bin/sh"]}}',
    '{"action": "process.restart", "suspect": "bank", "confidence": 1.0}',
    '{"action": "process.stop", "action": "process.restart", "confidence": 1.0}',
    '```json\n{"action": "process.start", "confidence": 0.9}\n```',
    "{" * 5_000,
    "\0\x1b[2J\u202e" * 100,
    "x" * 100_000,
    "$(reboot) `reboot` ; reboot\nreboot",
)

Thinks = Callable[[Prompt], str | Awaitable[str]]


def spec(name: str, mode: str) -> ServiceSpec:
    """Return a service that has a part for some actions and not for others."""
    return ServiceSpec(
        name=name,
        host="h1",
        mode=mode,
        argv=("/bin/true",),
        pid_file=f"/run/{name}.pid",
        config_files=(f"/etc/{name}.toml",),
        checkpoint_dir=f"/var/lib/{name}",
    )


class _NoLog(Scout):
    """Research where there is no event log: at once, what the question says."""

    async def dossier(self, question: Decision, patience_s: float) -> Dossier:
        """Return what the question says."""
        return bare(question)


class Fleet(History):
    """Three services that break, one that may only be watched, and advisors who are asked as in the product."""

    def __init__(self, model: Model | None) -> None:
        super().__init__()
        self.log: PolledLog = PolledLog(now_ms=self.log.now_ms)
        self.model = model
        self._heard = 0
        for source in self.topics.sources:
            self.take(source)
        specs = (*(spec(name, "auto") for name in BROKEN), spec(WATCHED, "observe"))
        for kind, value in (("policy", POLICY), ("inventory", Inventory(services=specs))):
            body = canonical(value)
            self.say(ConfigApplied(kind=kind, sha256=sha256(body), author="ann", body=body))

    async def play(self, path: Path, services: Sequence[str] = (*BROKEN, WATCHED)) -> None:
        """Break each service, one after the other, and see how that ends."""
        if self.model is None:
            for service in services:
                await self._incident(service)
            return
        async with advising(self.log, desk_of(self.model, path), _NoLog(path / "log", str)):
            for service in services:
                await self._incident(service)

    async def _incident(self, service: str) -> None:
        if self.model is not None:
            there = AdvisorsReported(host="h1", provider="p", model="m", advisors=ADVISORS, at_ms=self.now_ms)
            self._advise(there)
        first, sent, cured = len(self.decisions), len(self.commands), False
        self.see(service, "process_crash")
        for _ in range(PATIENCE_S // STEP_S):
            new, sent = self.commands[sent:], len(self.commands)
            for command in new:
                self.log.now_ms += 1_000
                helps = command.action == CURES.get(command.service)
                self.outcome(command, ok=helps)
                cured = cured or helps
            await self._listen()
            self.calm(service if cured else "elsewhere", STEP_S)
            if not cured:
                self.see(service, "process_crash")
            if {"incident_closed", "escalated"} & {one.kind for one in self.decisions[first:]}:
                break
        self.calm(service, 4_000, step_ms=60_000)

    async def _listen(self) -> None:
        """Take in what was answered meanwhile, if anything was; who is slow is not waited for."""
        settled = {one.refers_to for one in self.decisions if one.kind == "advice_settled"}
        if all(one.id in settled for one in self.decisions if one.kind == "advice_asked"):
            return
        if not isinstance(self.model, Waiting):
            wanted = sum(3 if one.reason == "three" else 1 for one in self.decisions if one.kind == "advice_asked")
            await until(lambda: len(self.log.opinions) >= wanted)
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        new = self.log.opinions[self._heard :]
        self._heard += len(new)
        if new:
            self._advise(*new)

    def _advise(self, *events: InboxEvent) -> None:
        start = self._ends.get(self.topics.inbox_advice, 0)
        messages = tuple(
            Message(offset=start + place, append_ms=self.now_ms, event=event) for place, event in enumerate(events)
        )
        self.fact(self.slice_of(self.topics.inbox_advice, len(events), messages=messages))

    # ------------------------------------------------------------------------------------------------ what must hold

    def broken_promises(self) -> list[str]:
        """Return what was lost, and every command that no policy allows."""
        return [*self._lost(), *self._unsafe(), *oracle._advice(self.decisions)]

    def _lost(self) -> Iterator[str]:
        """Each incident of a service that may be acted on ends once, each question is settled, and refolding agrees."""
        kinds = {one.incident: Counter[str]() for one in self.decisions if one.kind == "incident_opened"}
        for one in self.decisions:
            if one.incident:
                kinds[one.incident][one.kind] += 1
        services = {one.incident: one.service for one in self.decisions if one.kind == "incident_opened"}
        for incident, count in kinds.items():
            ends = count["verified"] + count["escalated"]
            if services[incident] != WATCHED and ends != 1:
                yield f"{services[incident]} ended {ends} times"
            if count["advice_asked"] != count["advice_settled"]:
                yield f"{services[incident]}: {count['advice_asked']} asked, {count['advice_settled']} settled"
        if [encode(one) for one in self._refolded()] != [encode(one) for one in self.decisions]:
            yield "a fresh fold decides otherwise"

    def _refolded(self) -> Iterator[Decision]:
        fold = Fold.new(strategies())
        for record in self.log.records[TopicPartition(self.topics.facts, 0)]:
            yield from fold.apply(decode_fact(record.value or b""), record.offset, record.timestamp)

    def _unsafe(self) -> Iterator[str]:
        """Tell of commands for what may not be acted on, of actions that a service has no part for, of too many."""
        tried = Counter(one.incident for one in self.commands)
        for command in self.commands:
            allowed = {row.id for row in strategies().actions_for(spec(command.service, "auto"), "process_crash")}
            if command.service not in BROKEN or command.action not in allowed - {"escalate"}:
                yield f"{command.action} on {command.service}"
            if command.arguments and {one.name for one in command.arguments} != {"grace_ms"}:
                yield f"{command.action} with {command.arguments}"
            if tried[command.incident] > POLICY.attempts_max:
                yield f"{tried[command.incident]} attempts on {command.service}"

    def ended(self) -> list[str]:
        """Return how it ended with each of the services that may be acted on, in order."""
        return [one.kind for one in self.decisions if one.kind in {"verified", "escalated"} and one.service in BROKEN]


def _wrong(prompt: Prompt) -> str:
    """Name with certainty what helps against nothing."""
    ids = [one["id"] for one in case_of(prompt)["options"] if one["id"] not in CURES.values()]
    return opinion(ids[-1] if ids else "", 1.0)


def _down(_prompt: Prompt) -> str:
    raise FailedError("connection refused", down=True)


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (lambda: None, set()),
        (lambda: Waiting(opinion("process.restart")), {"none answered"}),
        (lambda: Model(_down), {"none answered"}),
        (lambda: Model(_wrong), {"1 of 1: process.start", "3 of 3: process.start"}),
    ],
    ids=["none", "slow", "down", "wrong"],
)
async def test_nothing_is_lost_with_any_kind_of_advisor(
    tmp_path: Path, model: Callable[[], Model | None], advice: set[str]
) -> None:
    """With no model, one that is slow, down or wrong: each incident ends once, within policy, and replays the same."""
    fleet = Fleet(model())
    await fleet.play(tmp_path)
    assert fleet.broken_promises() == []
    assert len(fleet.ended()) == len(BROKEN)
    assert fleet.ended()[0] == "verified"
    assert fleet.ended()[-1] == "escalated"
    settled = {one.reason for one in fleet.decisions if one.kind == "advice_settled"}
    entered = {one.reason.rpartition(", ")[2] for one in fleet.decisions if one.kind == "phase_entered"}
    assert settled <= advice
    assert bool(settled) == bool(advice)
    assert (entered == {"no advisor"}) == (not advice)


async def test_what_the_rules_decide_is_the_same_without_a_model_and_with_one_that_is_down(tmp_path: Path) -> None:
    """An advisor that does not answer changes no action: the same commands in the same order as without any."""
    fleets = [Fleet(None), Fleet(Model(_down)), Fleet(Waiting(""))]
    for number, fleet in enumerate(fleets):
        await fleet.play(tmp_path / str(number))
    acted = [[(one.service, one.action) for one in fleet.commands] for fleet in fleets]
    assert acted[0]
    assert acted[1:] == [acted[0], acted[0]]


@pytest.mark.parametrize(
    ("said", "moved"),
    [([*actions(), "escalate", "no.such", ""], {"process.start"}), (FREE, set())],
    ids=["action_ids", "free_text"],
)
async def test_no_answer_does_what_may_not_be_done(tmp_path: Path, said: Sequence[str], moved: set[str]) -> None:
    """Each action id of the catalogue, and free text, is answered in turn; no command lies outside policy."""
    texts = iter(list(said) if said is FREE else [opinion(one, 1.0) for one in said])
    told: list[str] = []

    def think(_prompt: Prompt) -> str:
        told.append(next(texts, ""))
        return told[-1]

    done: set[str] = set()
    while len(told) < len(said):
        fleet = Fleet(Model(think))
        await fleet.play(tmp_path / str(len(told)), ("mail",))
        assert fleet.broken_promises() == [], told[-4:]
        done |= {one.action for one in fleet.commands}
    assert done == {"process.restart"} | moved


def test_a_command_outside_policy_would_be_seen() -> None:
    """The check tells an action that a service has no part for, a service that may only be watched, a strange end."""
    fleet = Fleet(None)
    fleet.see("shop", "process_crash")
    fleet.see(WATCHED, "process_crash")
    assert fleet.broken_promises() == ["shop ended 0 times"]
    command = fleet.commands[0]
    fleet.commands = [replace(command, service=WATCHED, action="process.clear_caches")]
    assert "process.clear_caches on bank" in fleet.broken_promises()
