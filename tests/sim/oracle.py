"""What must hold whatever happened, in the three parts of R4.

(a) Every offset of every source is in exactly one accepted slice (or recorded as lost), and the slices say what the
stateless matcher says of the same records. (b) A fresh fold over the recorded facts gives the recorded decisions byte
by byte; their numbers are dense and chained; restoring a snapshot anywhere changes nothing. (c) Every command was sent,
repeats are equal, each ended in exactly one way, and nothing that may not be repeated was done twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from streams.agents.dispatch import DECISIONS_OFFSET
from streams.agents.reading import Chain
from streams.codec import decode_command, decode_decision, decode_fact, decode_inbox, encode
from streams.core.chain import canonical
from streams.core.errors import InputError, InvariantError
from streams.core.events import Command, Decision, Fact, LinesLost, OutcomeReported, Slice
from streams.core.fold import Fold
from streams.core.slices import Ledger, Verdict
from streams.ingest.slicer import Cut
from streams.ports import TopicPartition
from tests.sim.broker import Broker, Stored
from tests.sim.cast import Pool
from tests.sim.kernel import World
from tests.sim.scene import (
    CATALOGUE,
    COMMANDS,
    DLQ,
    EVIDENCE,
    FACTS,
    INBOX_WORKERS,
    RULE_SETS,
    SOURCES,
    TOPICS,
    matcher_for,
    slicer_for,
)


class Watch:
    """Looks at each record as it lands: decisions continue the chain, commands come after their decisions."""

    def __init__(self, world: World) -> None:
        self.decisions: list[Decision] = []
        """First occurrences, by number."""
        self._world = world
        self._chain = Chain()
        self._at: dict[int, Decision] = {}

    def landed(self, record: Stored) -> None:
        """Judge a record."""
        try:
            if record.topic == TOPICS.decisions:
                decision = decode_decision(record.value or b"")
                self._at[record.offset] = decision
                if self._chain.take(decision, record.offset):
                    self.decisions.append(decision)
            elif record.topic == TOPICS.commands:
                self._command(record)
        except (InputError, InvariantError) as error:
            self._world.violated(f"{record.topic} offset {record.offset}: {error}")

    def _command(self, record: Stored) -> None:
        header = dict(record.headers).get(DECISIONS_OFFSET, b"")
        decision = self._at.get(int(header or -1))
        if decision is None:
            self._world.violated(f"command {record.offset} was sent before its decision was in the log")
        elif decision.command is None or encode(decision.command) != record.value:
            self._world.violated(f"command {record.offset} is not what its decision says")


def check(world: World, broker: Broker, watch: Watch, pool: Pool) -> None:
    """Judge a whole run that has come to rest."""
    try:
        facts = list(_facts(broker))
        accepted = _accepted(facts)
        for claim in (
            *_sources(broker, accepted),
            *_said(broker, accepted),
            *_refolded(world, facts, watch.decisions),
            *_commands(broker, watch.decisions, accepted, pool),
        ):
            world.violated(claim)
    except InvariantError as error:
        world.violated(f"a reader stops: {error}")


def _facts(broker: Broker) -> Iterator[tuple[Fact | None, Stored]]:
    for record in broker[FACTS].records:
        try:
            yield decode_fact(record.value or b""), record
        except InputError:
            yield None, record


def _accepted(facts: list[tuple[Fact | None, Stored]]) -> list[Slice | LinesLost]:
    ledger = Ledger()
    return [
        fact
        for fact, _ in facts
        if fact is not None and ledger.judge(fact) is Verdict.ACCEPTED and isinstance(fact, (Slice, LinesLost))
    ]


# -------------------------------------------------------------------------------------------------------- (a) sources


def _sources(broker: Broker, accepted: list[Slice | LinesLost]) -> Iterator[str]:
    for where in SOURCES:
        ranges = [(one.from_offset, one.to_offset) for one in accepted if (one.source, one.partition) == where]
        records = broker[where].records
        at = 0
        for begin, end in ranges:
            if begin != at and at:
                yield f"(a) {where}: [{begin}, {end}) follows {at}"
            if not at and any(record.offset < begin for record in records) and broker[where].earliest < begin:
                yield f"(a) {where}: offsets below {begin} are in no slice"
            at = end
        if records and at != records[-1].offset + 1:
            yield f"(a) {where}: accounted for up to {at} of {records[-1].offset + 1}"


def _said(broker: Broker, accepted: list[Slice | LinesLost]) -> Iterator[str]:
    """Compare each slice with what a new slicer says of the same records, and look for their evidence."""
    by_rules = {matcher_for(rules).rules_sha256: rules for rules in RULE_SETS}
    evidence = Counter(record.value for record in broker[EVIDENCE].records)
    dead = {
        (header(record, "topic"), header(record, "partition"), header(record, "offset"))
        for record in broker[DLQ].records
    }
    for fact in accepted:
        if isinstance(fact, LinesLost):
            continue
        where = TopicPartition(fact.source, fact.partition)
        records = broker[where].read(fact.from_offset, fact.to_offset, fact.to_offset - fact.from_offset)
        cut: Cut = slicer_for(by_rules[fact.rules_sha256]).cut(*where, fact.term, records, fact.from_offset)
        if cut.slices != (fact,):
            yield f"(a) {where} [{fact.from_offset}, {fact.to_offset}): the matcher says otherwise"
        if any(encode(one) not in evidence for one in cut.evidence):
            yield f"(a) {where} [{fact.from_offset}, {fact.to_offset}): evidence is missing"
        if any((where.topic, str(where.partition), str(one.offset)) not in dead for one, _ in cut.dead):
            yield f"(a) {where} [{fact.from_offset}, {fact.to_offset}): a dead letter is missing"


def header(record: Stored, name: str) -> str:
    """Return a header of a dead letter."""
    return dict(record.headers)[f"logmend.{name}"].decode()


# ----------------------------------------------------------------------------------------------------------- (b) fold


def _refolded(world: World, facts: list[tuple[Fact | None, Stored]], recorded: list[Decision]) -> Iterator[str]:
    fold = Fold.new(CATALOGUE)
    taken = 0
    restores = {world.between(0, len(facts)) for _ in range(2)}
    for number, (fact, record) in enumerate(facts):
        if number in restores:
            fold = Fold.restore(fold.snapshot(), CATALOGUE)
        following = recorded[taken] if taken < len(recorded) else None
        if following is not None and following.kind == "fact_rejected" and following.facts_offset == record.offset:
            decisions = fold.reject(fact, record.offset, record.timestamp, following.reason)
        elif fact is None:
            yield f"(b) fact {record.offset} can't be read and was not rejected"
            return
        else:
            decisions = fold.apply(fact, record.offset, record.timestamp)
        for decision in decisions:
            if taken == len(recorded):
                yield f"(b) decision {decision.seq} of fact {record.offset} was never recorded"
                return
            if canonical(recorded[taken]) != canonical(decision):
                yield f"(b) decision {decision.seq} differs: {recorded[taken]} is recorded, {decision} follows"
                return
            taken += 1
    if taken != len(recorded):
        yield f"(b) decision {recorded[taken].seq} follows from no fact"


# ------------------------------------------------------------------------------------------------------- (c) commands


def _commands(
    broker: Broker, decisions: list[Decision], accepted: list[Slice | LinesLost], pool: Pool
) -> Iterator[str]:
    commands = {one.command.id: one.command for one in decisions if one.kind == "commanded" and one.command}
    yield from _sent(broker, commands)
    ends, heard = _ends(broker), _heard(accepted)
    for name, command in commands.items():
        if len(ends[name]) != 1 or name not in heard:
            yield f"(c) command {name} ended in {sorted(ends[name]) or 'nothing'}, heard: {name in heard}"
        if not command.repeatable and pool.effects.get(name, 0) > 1:
            yield f"(c) command {name} was done {pool.effects[name]} times"


def _sent(broker: Broker, commands: dict[str, Command]) -> Iterator[str]:
    sent: dict[str, bytes | None] = {}
    order: list[int] = []
    for record in broker[COMMANDS].records:
        command = decode_command(record.value or b"")
        if command.id not in sent:
            order.append(command.seq)
        if sent.setdefault(command.id, record.value) != record.value:
            yield f"(c) command {command.id} was sent twice with different bytes"
    if order != sorted(order):
        yield f"(c) commands were first sent in the order {order}"
    if missing := [name for name in commands if name not in sent]:
        yield f"(c) commands {missing} were never sent"
    if strange := [name for name in sent if name not in commands]:
        yield f"(c) commands {strange} were never decided"


def _ends(broker: Broker) -> dict[str, set[str]]:
    """Return every end that the pool reported, by command."""
    ends: dict[str, set[str]] = defaultdict(set)
    for record in broker[INBOX_WORKERS].records:
        event = decode_inbox(record.value or b"")
        if isinstance(event, OutcomeReported):
            ends[event.command_id].add(event.status)
    return ends


def _heard(accepted: list[Slice | LinesLost]) -> set[str]:
    """Return the commands whose end is in the facts."""
    return {
        message.event.command_id
        for fact in accepted
        if isinstance(fact, Slice)
        for message in fact.messages
        if isinstance(message.event, OutcomeReported)
    }
