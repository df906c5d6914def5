"""A little fleet whose facts, decisions and commands are made by the real fold and put on an in-memory Kafka."""

from __future__ import annotations

import random

from streams.catalogue import strategies
from streams.codec import encode
from streams.core.base import Event
from streams.core.beside import Evidence
from streams.core.config import Inventory, canonical, sha256
from streams.core.directory import may_say
from streams.core.events import (
    ActionHalted,
    Command,
    ConfigApplied,
    Decision,
    Detection,
    Fact,
    InboxEvent,
    LineAt,
    Message,
    OutcomeReported,
    ProbeReported,
    Reject,
    Slice,
    Tally,
    Ticked,
    Took,
)
from streams.core.fold import Fold
from streams.core.inventory import ServiceSpec
from streams.core.kinds import SENDING_KINDS
from streams.core.samples import sample
from streams.ports import Outgoing
from streams.topics import Topics
from tests.analytics.memory_log import MemoryLog

RULES = "r" * 64


def spec(name: str) -> ServiceSpec:
    """Return a service that may be acted on."""
    return ServiceSpec(
        name=name,
        host="h1",
        mode="auto",
        argv=("/bin/true",),
        pid_file="/run/x.pid",
        port=8080,
        lock_files=("/run/x.db",),
    )


class History:
    """Appends facts, folds them, and appends what follows as decide and dispatch would."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.topics = Topics()
        self.fold = Fold.new(strategies())
        self.decisions: list[Decision] = []
        self.commands: list[Command] = []
        self._ends: dict[str, int] = {}
        self._terms: dict[str, int] = {}

    @property
    def now_ms(self) -> int:
        """The broker's clock."""
        return self.log.now_ms

    def begin(self) -> None:
        """Take every source and apply an inventory of two services."""
        for source in self.topics.sources:
            self.take(source)
        body = canonical(Inventory(services=(spec("shop"), spec("cart"), spec("mail"))))
        self.say(ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body))

    def take(self, source: str) -> None:
        """Take a source for the next term."""
        self._terms[source] = self._terms.get(source, 0) + 1
        self.fact(Took(source=source, partition=0, term=self._terms[source], nonce="n", owner="o"))

    def fact(self, fact: Fact) -> list[Decision]:
        """Append a fact and everything that follows from it."""
        offset = self.log.put(Outgoing(self.topics.facts, encode(fact), b""))
        decisions = self.fold.apply(fact, offset, self.now_ms)
        self.record(decisions)
        return decisions

    def record(self, decisions: list[Decision]) -> None:
        """Append decisions, and the commands in them."""
        for decision in decisions:
            self.decisions.append(decision)
            offset = self.log.put(Outgoing(self.topics.decisions, encode(decision), decision.incident.encode()))
            if decision.kind in SENDING_KINDS and decision.command is not None:
                self.commands.append(decision.command)
                self.command(decision.command, offset)

    def command(self, command: Command, decisions_offset: int) -> None:
        """Append a command as dispatch does."""
        headers = (("decisions_offset", str(decisions_offset).encode()),)
        self.log.put(Outgoing(self.topics.commands, encode(command), command.host.encode(), headers=headers))

    def slice_of(self, source: str, count: int = 1, **parts: object) -> Slice:
        """Return the next slice of a source, ``count`` offsets long."""
        start = self._ends.get(source, 0)
        self._ends[source] = start + count
        return Slice(
            source=source,
            partition=0,
            term=self._terms[source],
            from_offset=start,
            to_offset=start + count,
            rules_sha256=RULES if source in self.topics.logs else "",
            lines=count if source in self.topics.logs else 0,
            at_max_ms=self.now_ms - 10,
            append_max_ms=self.now_ms - 5,
            **parts,  # type: ignore[arg-type]  # the named parts of a slice, as the caller gives them
        )

    def next_offset(self, source: str) -> int:
        """Return the offset of the next record of a source."""
        return self._ends.get(source, 0)

    def say(self, *events: InboxEvent) -> None:
        """Append a slice of an inbox in which some events stand."""
        workers = may_say(self.topics.inbox_workers, events[0])
        source = self.topics.inbox_workers if workers else self.topics.inbox_people
        start = self._ends.get(source, 0)
        messages = tuple(
            Message(offset=start + place, append_ms=self.now_ms - 3, event=event) for place, event in enumerate(events)
        )
        self.fact(self.slice_of(source, len(events), messages=messages))

    def see(self, service: str, pattern: str, severity: str = "critical", count: int = 2, trace: str = "") -> None:
        """Append a slice of log lines in which a pattern matched, and the evidence before it."""
        start = self._ends.get("logs", 0)
        lines = tuple(LineAt(offset=start + place, index=0) for place in range(min(count, 3)))
        for line in lines:
            self.evidence(service, pattern, severity, line)
        detection = Detection(
            service=service,
            service_rule="header",
            host="h1",
            pattern=pattern,
            category="process",
            severity=severity,
            template="",
            confidence=0.9,
            count=count,
            at_first_ms=self.now_ms - 20,
            at_last_ms=self.now_ms - 10,
            lines=lines,
            trace=trace,
        )
        tally = Tally(at_ms=self.now_ms, service=service, severity=severity, pattern=pattern, template="", count=count)
        self.fact(self.slice_of("logs", count + 1, detections=(detection,), tallies=(tally,)))

    def evidence(self, service: str, pattern: str, severity: str, line: LineAt) -> None:
        """Append the text of a line."""
        text = f"{service} broke: {pattern} at {line.offset}"
        event = Evidence(
            topic="logs",
            partition=0,
            offset=line.offset,
            index=line.index,
            service=service,
            pattern=pattern,
            severity=severity,
            at_ms=self.now_ms - 10,
            text=text,
        )
        self.put(self.topics.evidence, event)

    def put(self, topic: str, event: Event) -> None:
        """Append any event to a topic of one's own choice."""
        self.log.put(Outgoing(topic, encode(event), b"k"))

    def calm(self, service: str, seconds: int, step_ms: int = 5_000) -> None:
        """Let time pass in which the service says normal things and a record was rejected."""
        for _ in range(0, seconds * 1000, step_ms):
            self.log.now_ms += step_ms
            tally = Tally(at_ms=self.now_ms, service=service, severity="info", pattern="", template="t1", count=3)
            reject = Reject(offset=self._ends.get("logs", 0), index=0, reason="not JSON")
            self.fact(self.slice_of("logs", 4, tallies=(tally,), rejects=(reject,)))
            self.fact(Ticked(owner="o"))

    def measure(self, service: str, *numbers: float, metric: str = "cpu") -> None:
        """Append a slice of metrics: one gauge of the service, and one point that nobody knows."""
        measured = sample(self.now_ms - self.now_ms % 1000, service, "h1", metric, *numbers)
        self.fact(self.slice_of("metrics", points=len(numbers) + 1, unmapped=1, samples=(measured,)))

    def shed(self, lines: int, templates: int, texts: int) -> None:
        """Append a slice of lines of which something was left out."""
        tally = Tally(at_ms=self.now_ms, service="shop", severity="error", pattern="", template="", count=lines)
        left_out = {"shed_templates": templates, "shed_texts": texts}
        self.fact(self.slice_of("logs", lines, tallies=(tally,), **left_out))

    def outcome(self, command: Command, *, ok: bool = True) -> None:
        """Let the pool say how a command ended."""
        self.say(
            OutcomeReported(
                command_id=command.id,
                command_seq=command.seq,
                host=command.host,
                worker="w1",
                status="done",
                ok=ok,
                code="exit_0" if ok else "exit_1",
                effect="once",
                started_ms=self.now_ms - 200,
                finished_ms=self.now_ms - 100,
                skew_ms=0,
            )
        )

    def refuse(self, command_id: str, code: str, *, seq: int = 4711, status: str = "refused") -> None:
        """Let the pool say that a command was not carried out."""
        self.say(
            OutcomeReported(
                command_id=command_id,
                command_seq=seq,
                host="h1",
                worker="",
                status=status,
                ok=False,
                code=code,
                effect="none",
                started_ms=0,
                finished_ms=0,
                skew_ms=0,
            )
        )

    def heal(self, service: str, pattern: str = "process_crash") -> None:
        """Break a service, act on it, and see it heal."""
        before = len(self.commands)
        self.see(service, pattern)
        self.log.now_ms += 1_000
        for command in self.commands[before:]:
            self.outcome(command)
        self.calm(service, 200)

    def halt(self) -> None:
        """Throw the kill switch."""
        self.say(ActionHalted(author="ann", reason="test"))


def story(before: History | None = None) -> History:
    """Return a history with two incidents healed, one that a gate holds back, a refusal; after what was ``before``."""
    history = before or History()
    history.begin()
    history.heal("shop")
    history.heal("cart", "database_lock")
    history.say(
        ProbeReported(host="h1", service="mail", kind="http", ok=True, code="200", at_ms=history.now_ms, latency_ms=3)
    )
    history.refuse("1-4711-0", "wrong_hash")
    history.measure("shop", 40.0, 60.0)
    history.take("logs")
    history.halt()
    history.see("mail", "out_of_memory")
    return history


def wander(seed: int, facts: int) -> History:
    """Return a history of random events."""
    rng = random.Random(seed)
    history = History()
    history.begin()
    while len(history.log.records) == 0 or history.fold.directory.facts_offset < facts:
        history.log.now_ms += rng.randrange(3_000)
        match rng.randrange(5):
            case 0:
                history.see(rng.choice(["shop", "cart", "mail"]), rng.choice(["process_crash", "out_of_memory"]))
            case 1 if history.commands:
                history.outcome(history.commands[-1], ok=rng.random() < 0.7)
            case 2:
                history.take("logs")
            case _:
                history.calm(rng.choice(["shop", "cart"]), rng.randrange(5, 60))
    return history
