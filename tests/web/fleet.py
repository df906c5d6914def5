"""A fleet in memory with something of everything to see: the real fold over a log that is a list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from streams.codec import decode
from streams.core.advice import ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.beside import Evidence, Heartbeat
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.directory import may_say
from streams.core.events import (
    Command,
    ConfigApplied,
    InboxEvent,
    LineAt,
    Message,
    ProbeReported,
    Sample,
    Ticked,
)
from streams.ports import Fetched, Outgoing, TopicPartition
from streams.runtime.dead_letters import PLACE
from tests.analytics.ahead import LEAK, apply, leak
from tests.analytics.history import History, spec
from tests.analytics.memory_log import MemoryLog

HOSTILE: Final = (
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    "\"><svg onload=document.title='owned'>",
    "'; document.title='owned'; '",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:document.title='owned'",
    "</title></textarea></pre><iframe srcdoc='<script>parent.document.title=1</script>'>",
    "\u202egnp.exe\u2066 \x1b[31mred\x1b[0m \x00",
    '<a href="//evil.example" style="position:fixed;inset:0">click</a>',
    "<meta http-equiv=refresh content=0;url=//evil.example>",
)
"""What lines may hold that would rather be markup than text."""
ROLES: Final = ("architect", "coder", "critic", "deployer", "executor")
HOURS_BACK: Final = 3
MEASURED_MIN: Final = 66
SINCE_MS: Final = 10_000 * len(LEAK) + 330_000
"""What comes after that takes less."""
FULL: Final = 90.0
LIMITS: Final = Policy(cooldown_ms=0, exploration_rate=0.0, coordination=False)
TRIES_MAX: Final = 60


class PolledLog(MemoryLog):
    """A log in memory that is waited on."""

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Sequence[tuple[TopicPartition, Sequence[Fetched]]]:
        """Return what came, after a little while."""
        found = [(where, await self.read(where, start, 1 << 62)) for where, start in positions.items()]
        if not any(records for _, records in found):
            await asyncio.sleep(0.02)
        return [(where, records) for where, records in found if records]


class Fleet(History):
    """A history that goes on: what people say is folded when ``hear`` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.shouts: list[str] = []
        self.born_ms = int(time.time() * 1000) - HOURS_BACK * 3_600_000
        self.pids = {(host, role): 4_000 + number for host in ("h1", "h2") for number, role in enumerate(ROLES)}
        self.log: PolledLog = PolledLog(now_ms=self.born_ms, fetch_max=1_000)
        self.dead: set[tuple[str, str]] = set()
        """Host and role of workers that give no sign of life."""
        self._heard = self._asked = 0

    def begin(self) -> None:
        """Take every source and apply policy and an inventory, in which `pay` and `vault` ask first."""
        for source in self.topics.sources:
            self.take(source)
        names = {"shop": "auto", "cart": "auto", "mail": "auto", "search": "auto", "pay": "approve", "vault": "approve"}
        services = tuple(replace(spec(name), mode=mode) for name, mode in names.items())
        body = canonical(Inventory(services=services))
        self.say(ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body))
        apply(self, LIMITS)

    def catch_up(self) -> None:
        """Let it be now."""
        self.log.now_ms = max(self.log.now_ms, int(time.time() * 1000))

    def say(self, *events: InboxEvent) -> None:
        """Let the pool say something; what people say goes through their inbox, as everything there does."""
        if may_say(self.topics.inbox_workers, events[0]):
            super().say(*events)
            return
        for event in events:
            self.put(self.topics.inbox_people, event)
        self.hear()

    def hear(self) -> None:
        """Fold what people said since the last time, as detect and decide would."""
        said = self.log.records.get(TopicPartition(self.topics.inbox_people, 0), [])
        for record in said[self._heard :]:
            self._heard += 1
            super().say(decode(record.value or b""))  # type: ignore[arg-type]  # only inbox events are in an inbox

    def command(self, command: Command, decisions_offset: int) -> None:
        """Append a command; a pool that is to heal replaces its dead workers at once."""
        super().command(command, decisions_offset)
        if command.kind == "heal":
            self.pids.update({one: self.pids[one] + 1_000 for one in self.dead})
            self.dead.clear()

    def beat(self, host: str, role: str) -> None:
        """Let a worker give a sign of life."""
        event = Heartbeat(
            worker=f"{role}_001",
            role=role,
            host=host,
            pid=self.pids[host, role],
            state="idle",
            tasks=17,
            errors=0,
            started_ms=self.born_ms,
            at_ms=self.now_ms,
        )
        self.put(self.topics.heartbeats, event)

    def all_beat(self) -> None:
        """Let every worker of two hosts give a sign of life."""
        self.catch_up()
        for host, role in self.pids.keys() - self.dead:
            self.beat(host, role)

    def look(self, host: str, **percent: float) -> None:
        """Let a host agent tell of its host: cpu, memory and disk in percent."""
        samples = tuple(_reading(host, metric, value, self.now_ms) for metric, value in percent.items())
        self.fact(self.slice_of("metrics", points=len(samples), samples=samples))
        probes = [
            ProbeReported(
                host=host,
                service=host,
                kind=f"host_{metric}",
                ok=value < FULL,
                code="ok" if value < FULL else "full",
                at_ms=self.now_ms,
                latency_ms=2,
            )
            for metric, value in percent.items()
        ]
        self.say(*probes)

    def evidence(self, service: str, pattern: str, severity: str, line: LineAt) -> None:
        """Append the text of a line: the next of ``shouts``, or what the history says."""
        if not self.shouts:
            super().evidence(service, pattern, severity, line)
            return
        event = Evidence(
            topic="logs",
            partition=0,
            offset=line.offset,
            index=line.index,
            service=service,
            pattern=pattern,
            severity=severity,
            at_ms=self.now_ms - 10,
            text=self.shouts.pop(0),
        )
        self.put(self.topics.evidence, event)

    def pass_by(self, minutes: int) -> None:
        """Let time pass in which nothing comes."""
        for _ in range(minutes):
            self.log.now_ms += 60_000
            self.fact(Ticked(owner="o"))

    def bury(self, offset: int, reason: str, text: str) -> None:
        """Let a record be a dead letter."""
        said = ("logs", "0", str(offset), reason)
        headers = tuple((name, value.encode()) for name, value in zip(PLACE, said, strict=True))
        self.log.put(Outgoing(self.topics.dlq, text.encode(), headers=headers))

    def fail(self, service: str, pattern: str = "process_crash", severity: str = "critical") -> None:
        """Break a service, and let everything that is done about it fail, until a person is needed."""
        begin = len(self.decisions)
        done = {command.id for command in self.commands}
        for _ in range(TRIES_MAX):
            self.see(service, pattern, severity)
            self.log.now_ms += 1_000
            for command in self.commands:
                if command.id not in done:
                    done.add(command.id)
                    self.outcome(command, ok=False)
            self.opine()
            if any(one.kind == "escalated" and one.service == service for one in self.decisions[begin:]):
                return
            self.calm("elsewhere", 10)

    def opine(self) -> None:
        """Let advisors answer what they are asked: one for the first option, one for the last, one too late to say."""
        for question in self.decisions[self._asked :]:
            self._asked += 1
            if question.kind != "advice_asked":
                continue
            options = [one.action for one in question.options if not one.barred]
            votes = (options[0], options[-1], "")[: 1 if question.reason.startswith("one") else 3]
            for advisor, action in zip(ADVISORS, votes, strict=False):
                self.advise(_opinion(question.id, advisor, action, self.now_ms))

    def advise(self, event: AdvisorsReported | OpinionGiven) -> None:
        """Let the advisors' process say something."""
        inbox = self.topics.inbox_advice
        offset = len(self.log.records.get(TopicPartition(inbox, 0), []))
        self.put(inbox, event)
        said = Message(offset=offset, append_ms=self.now_ms, event=event)
        self.fact(self.slice_of(inbox, messages=(said,)))


def _opinion(question_id: str, advisor: str, action: str, at_ms: int) -> OpinionGiven:
    return OpinionGiven(
        question_id=question_id,
        advisor=advisor,
        provider="recorded",
        model="a-model",
        source="model",
        action=action,
        suspect="search",
        cause="process_crash",
        confidence=0.8 if action else 0.0,
        code="" if action else "timed_out",
        asked_ms=at_ms - 900,
        latency_ms=900,
        tokens_in=700,
        tokens_out=40,
        cost_microusd=120,
        answer_sha256="a" * 64,
    )


def _reading(host: str, metric: str, value: float, at_ms: int) -> Sample:
    return Sample(
        at_ms=at_ms - at_ms % 1000,
        service=host,
        host=host,
        metric=metric,
        kind="gauge",
        series=metric,
        count=1,
        sum=value,
        min=value,
        max=value,
        last=value,
    )


def populated() -> Fleet:
    """Return a fleet in which something was healed, something waits for a yes, and something for a person."""
    fleet = Fleet()
    fleet.begin()
    for number in range(8):
        leak(fleet, f"leaky-{number}")
    fleet.heal("shop")
    fleet.heal("cart", "database_lock")
    fleet.catch_up()
    fleet.log.now_ms -= MEASURED_MIN * 60_000 + SINCE_MS
    for minute in range(MEASURED_MIN):
        fleet.measure("store", 40.0 + max(minute - 25, 0) / 1.2, metric="disk")
        fleet.measure("gate", 300.0 + 2.0 * minute + 20.0 * (minute % 5), metric="throughput")
        fleet.log.now_ms += 60_000
    for value in LEAK:
        fleet.measure("leaky-0", value, metric="memory")
        fleet.log.now_ms += 10_000
    fleet.fail("cart", "connection_pool_exhausted", "error")
    there = AdvisorsReported(host="h1", provider="recorded", model="a-model", advisors=ADVISORS, at_ms=fleet.now_ms)
    fleet.advise(there)
    fleet.fail("search", severity="fatal")
    fleet.shouts = list(HOSTILE)
    for place in range(len(HOSTILE)):
        fleet.see(f"<i>shout-{place}</i>", "out_of_memory", "error", count=1)
    fleet.see("pay", "process_crash")
    fleet.see("vault", "process_crash", "error")
    for number, reason in enumerate(("not JSON", "no registry", "not JSON")):
        fleet.bury(number, reason, HOSTILE[number])
    fleet.catch_up()
    fleet.look("h1", cpu=41.0, memory=78.5, disk=93.2)
    fleet.look("h2", cpu=12.0, memory=33.0, disk=20.0)
    fleet.all_beat()
    return fleet
