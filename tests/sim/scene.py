"""What the simulated fleet consists of: services, rules, policies, and the lines that its services say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec

from streams.catalogue import strategies
from streams.catalogue.patterns import PatternCatalogue, SignSpec
from streams.codec import encode
from streams.core.config import Inventory, Policy, RuleSet, RuleSpec, canonical, sha256
from streams.core.events import ConfigApplied, Decision, Fact, InboxEvent, ProbeReported, Reject, Slice
from streams.core.fold import Fold
from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.ingest.matcher import Matcher
from streams.ingest.redact import Redactor
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Outgoing, Record, TopicPartition
from streams.topics import Topics
from tests.sim.kernel import KilledError, World

TOPICS: Final = Topics()
LOG_PARTITIONS: Final = 2
SOURCES: Final = (
    *(TopicPartition("logs", partition) for partition in range(LOG_PARTITIONS)),
    TopicPartition("metrics", 0),
    TopicPartition(TOPICS.inbox_advice, 0),
    TopicPartition(TOPICS.inbox_workers, 0),
    TopicPartition(TOPICS.inbox_people, 0),
)
INBOX_ADVICE, INBOX_WORKERS, INBOX_PEOPLE = SOURCES[-3:]
FACTS: Final = TopicPartition(TOPICS.facts, 0)
DECISIONS: Final = TopicPartition(TOPICS.decisions, 0)
COMMANDS: Final = TopicPartition(TOPICS.commands, 0)
EVIDENCE: Final = TopicPartition(TOPICS.evidence, 0)
DLQ: Final = TopicPartition(TOPICS.dlq, 0)
SERVICES: Final = ("api", "store", "proxy", "mail")
POISON: Final = "poison"
"""A service whose name makes the fold fail."""
BITTER: Final = "bitter"
"""One whose lines make the slicer fail."""
DEADLY: Final = "deadly"
"""One whose lines end the process that slices them."""

_HELLO: Final = b'"hello"}'
_BITTER: Final = BITTER.encode()
_DEADLY: Final = DEADLY.encode()
RUBBISH: Final = b"no fact at all"

CATALOGUE: Final = strategies()


def _rule(name: str, category: str, severity: str, expression: str) -> RuleSpec:
    return RuleSpec(id=name, category=category, severity=severity, hint="simulated", expressions=(expression,))


_SHIPPED: Final = PatternCatalogue(
    rules=(
        _rule("process_crash", "process", "critical", "segmentation fault"),
        _rule("database_lock", "database", "error", "database is locked"),
        _rule("connection_refused", "network", "error", "connection refused"),
        _rule("configuration_error", "configuration", "error", "invalid value"),
        _rule("resource_exhaustion", "resource", "error", "too many open files"),
        _rule("database_connection", "database", "critical", "no connection left in the pool"),
    ),
    levels=(),
    signs=SignSpec(expressions=("error",)),
)
RULE_SETS: Final = (
    RuleSet(),
    RuleSet(rules=(_rule("out_of_memory", "memory", "critical", "no space on heap"),)),
)
TROUBLE: Final = (
    "segmentation fault (core dumped)",
    "database is locked",
    "connection refused by 10.0.0.7:5432",
    "invalid value for listen_port",
    "no space on heap",
    "too many open files",
    "no connection left in the pool",
    "request ended in error 17",
)


@cache
def matcher_for(rules: RuleSet) -> Matcher:
    """Return the matcher of applied rules over the simulated catalogue; compiled once."""
    every = (*rules.rules, *_SHIPPED.rules)
    return Matcher(every, _SHIPPED, frozenset(rule.id for rule in _SHIPPED.rules))


@cache
def redactor() -> Redactor:
    """Return the redactor of all slicers: making one takes longer than cutting a few records."""
    return Redactor()


class SimSlicer(Slicer):
    """The real slicer with two bugs: it fails on what the service ``bitter`` says, and dies of ``deadly``."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Cut, fail or die."""
        for why in [why for record in records if (why := refused(record))]:
            if why == "DeadlyRecordError":
                raise KilledError(f"{source}/{partition}")
            raise ZeroDivisionError(why)
        return super().cut(source, partition, term, records, from_offset)


def refused(record: Record) -> str:
    """Return for which reason a record can't be sliced; ``""`` for nearly all."""
    if record.value and record.value.endswith(_HELLO) and record.topic == "logs":
        if _BITTER in record.value:
            return "ZeroDivisionError"
        if _DEADLY in record.value:
            return "DeadlyRecordError"
    return ""


def slicer_for(rules: RuleSet) -> Slicer:
    """Return a new slicer."""
    return SimSlicer(matcher_for(rules), TOPICS, redactor())


class Refusing(Slicer):
    """What detect does with one record that can't be sliced, and with nothing else."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Return the reject of a record that must be refused; no slice for any other."""
        reason = refused(records[0]) if len(records) == 1 else ""
        if not reason:
            return Cut(slices=(), evidence=(), dead=(), lines=0, stamps_replaced=0)
        bare = Slice(
            source=source,
            partition=partition,
            term=term,
            from_offset=from_offset,
            to_offset=records[0].offset + 1,
            rules_sha256="",
            lines=0,
            at_max_ms=0,
            append_max_ms=records[0].timestamp,
            rejects=(Reject(offset=records[0].offset, index=0, reason=reason),),
        )
        return Cut(slices=(bare,), evidence=(), dead=((records[0], reason),), lines=0, stamps_replaced=0)


def slicer_of(rules_sha256: str) -> Slicer:
    """Return a new slicer for the rules that a slice names; without a name, what refuses single records."""
    if not rules_sha256:
        return Refusing(matcher_for(RULE_SETS[0]), TOPICS, redactor())
    return next(slicer_for(rules) for rules in RULE_SETS if matcher_for(rules).rules_sha256 == rules_sha256)


class SimFold(Fold):
    """The real fold with one bug: it fails half way on what the service ``poison`` says."""

    def apply(self, fact: Fact, offset: int, append_ms: int) -> list[Decision]:
        """Apply a fact, and fail after the state has changed when it is poisonous."""
        decisions = super().apply(fact, offset, append_ms)
        if isinstance(fact, Slice) and any(tally.service == POISON for tally in fact.tallies):
            raise ZeroDivisionError(f"fact {offset}")
        return decisions


def fold_for(snapshot: bytes | None) -> Fold:
    """Return a fold, new or restored."""
    return SimFold.restore(snapshot, CATALOGUE) if snapshot is not None else SimFold.new(CATALOGUE)


def inventory(world: World) -> Inventory:
    """Return an inventory in which some services may be healed, one asks a person, and one may not be in it."""
    modes = ("auto", "auto", "approve", "observe")
    services = [
        ServiceSpec(
            name=name,
            host="h1",
            mode=mode,
            argv=("run", name),
            lock_files=(f"{name}.db",),
            config_files=(f"{name}.toml",),
            checkpoint_dir=f"{name}.ckpt",
            probes=(ProbeSpec(kind="process"),),
            depends_on=("store",) if name == "api" else (),
        )
        for name, mode in zip(SERVICES, modes, strict=True)
    ]
    return Inventory(services=tuple(services[: world.between(3, 4)]))


def policy(world: World) -> Policy:
    """Return a policy under which much happens in half a minute."""
    return Policy(
        attempts_max=world.between(1, 3),
        cooldown_ms=world.between(200, 2_000),
        budget_per_target=world.between(2, 8),
        blast_radius_share=1.0,
        lateness_ms=200,
        source_silent_ms=3_000,
        verify_after_ms=500,
        stay_away_ms=1_000,
        unverified_after_ms=3_000,
        command_ttl_ms=world.between(1_000, 8_000),
        action_timeout_ms=1_000,
        approval_ttl_ms=6_000,
        quiet_close_ms=8_000,
        grouping_wait_ms=300,
        advice=not world.luck(0.1),
        advice_wait_one_ms=world.between(500, 5_000),
        advice_wait_three_ms=world.between(500, 5_000),
        advice_confidence_min=world.random.choice((0.0, 0.2, 0.5)),
        exploration_rate=0.2,
        automatic_recovery=not world.luck(0.05),
        coordination=not world.luck(0.1),
        plan_ms=world.between(300, 8_000),
        specialists_max=world.between(2, 9),
        specialists_memory_max_mb=world.between(300, 900),
    )


def applied(value: Policy | Inventory | RuleSet, kind: str) -> ConfigApplied:
    """Return the event that applies a configuration."""
    body = canonical(value)
    return ConfigApplied(kind=kind, sha256=sha256(body), author="ada", body=body)


def message(where: TopicPartition, event: InboxEvent) -> Outgoing:
    """Return an inbox record."""
    return Outgoing(where.topic, encode(event), b"", where.partition)


def line(world: World, clock_ms: int, broken: set[str]) -> Outgoing:
    """Return something that a producer says: trouble of a broken service, a normal line, or rubbish."""
    partition = world.between(0, LOG_PARTITIONS - 1)
    service = SERVICES[world.between(0, len(SERVICES) - 1)]
    kind = world.random.random()
    if kind < 0.03:
        return Outgoing("logs", bytes(world.between(0, 3) for _ in range(12)), service.encode(), partition)
    if kind < 0.06:
        return Outgoing("logs", f"plain text of {service}: all is well".encode(), service.encode(), partition)
    at_ms = clock_ms - world.between(0, 400)
    if kind < 0.1:
        at_ms = (1, clock_ms - 3_600_000, clock_ms + 86_400_000)[world.between(0, 2)]
    text = f"request {world.between(1, 99)} done"
    if service in broken:
        text = TROUBLE[world.between(0, len(TROUBLE) - 1)]
    said = {"ts": at_ms, "service": service, "message": text}
    return Outgoing("logs", msgspec.json.encode(said), None, partition)


def measurement(world: World, clock_ms: int) -> Outgoing:
    """Return what a producer of metrics says: JSON, a scrape, or rubbish."""
    service = SERVICES[world.between(0, len(SERVICES) - 1)]
    kind = world.random.random()
    if kind < 0.2:
        value = b"nothing that is measured"
    elif kind < 0.6:
        at_ms = clock_ms - world.between(0, 20_000)
        value = msgspec.json.encode({"ts": at_ms, "service": service, "metric": "cpu", "value": world.between(0, 99)})
    else:
        requests = f'http_requests_total{{job="{service}",code="500"}} {world.between(1, 999)}'
        value = f"{requests}\nup 1\nnode_load1 0.5\n".encode()
    return Outgoing("metrics", value, None, 0)


def line_of(service: str, clock_ms: int) -> Outgoing:
    """Return a line of a service that is poisonous in one way or another."""
    return Outgoing("logs", msgspec.json.encode({"ts": clock_ms, "service": service, "message": "hello"}), None, 0)


def probe(world: World, clock_ms: int, broken: set[str]) -> ProbeReported:
    """Return what a probe of some service says."""
    service = SERVICES[world.between(0, len(SERVICES) - 1)]
    ok = service not in broken
    return ProbeReported(
        host="h1", service=service, kind="process", ok=ok, code="up" if ok else "down", at_ms=clock_ms, latency_ms=1
    )
