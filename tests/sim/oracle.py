"""What must hold whatever happened, in the three parts of R4; the simulator and a real broker are judged alike.

(a) Every offset of every source is in exactly one accepted slice (or recorded as lost), and the slices say what the
stateless matcher says of the same records. (b) A fresh fold over the recorded facts gives the recorded decisions byte
by byte; their numbers are dense and chained; restoring a snapshot anywhere changes nothing. (c) Every command was sent,
repeats are equal, each ended in exactly one way, and nothing that may not be repeated was done twice. (d) Specialists
never hold more than they may; when a plan is over, nobody of it is left; when an incident is over, so is its plan.
(e) What is done was an open option of its decision, and nothing is done while advisors are waited for; of each question
at most one thing comes, and each advisor is heard on it once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from streams.agents.reading import Chain, decision_of
from streams.codec import decode_command, decode_fact, decode_inbox, encode
from streams.core.chain import canonical
from streams.core.choosing import is_open
from streams.core.config import Policy, decode_config
from streams.core.errors import InputError, InvariantError
from streams.core.events import (
    Command,
    ConfigApplied,
    Decision,
    Fact,
    InboxEvent,
    LinesLost,
    OutcomeReported,
    Slice,
)
from streams.core.fold import Fold
from streams.core.kinds import SENDING_KINDS
from streams.core.reports import SpecialistReported
from streams.core.slices import Ledger, Verdict
from streams.core.strategy import Catalogue
from streams.ingest.shedding import rung_of
from streams.ingest.slicer import Slicer
from streams.ports import Record, TopicPartition
from streams.topics import Topics

_NEVER = 1 << 62


class Recording(Struct):
    """All that is in the topics at the end of a run.

    ``records`` are those of each partition, by offset; of a source that retention has cut they may begin earlier than
    ``earliest`` says. ``slicer`` gives a new slicer for a version of the rules; ``effects`` is how often each command
    did something at its target; ``restores`` are numbers of facts before which the fold is put away and restored.
    """

    topics: Topics
    sources: Sequence[TopicPartition]
    records: Mapping[TopicPartition, Sequence[Record]]
    earliest: Mapping[TopicPartition, int]
    slicer: Callable[[str], Slicer]
    catalogue: Catalogue
    effects: Mapping[str, int]
    restores: frozenset[int]
    former: Mapping[TopicPartition, Sequence[Sequence[Record]]] = {}
    """Of sources that were made anew: the records of each topic that had the name before, the oldest first."""

    def of(self, topic: str) -> Sequence[Record]:
        """Return the records of a topic's first partition."""
        return self.records.get(TopicPartition(topic, 0), ())

    def lives(self, where: TopicPartition) -> list[Sequence[Record]]:
        """Return the records of a partition in each topic that had its name; the last one is the topic that is."""
        return [*self.former.get(where, ()), self.records.get(where, ())]

    def between(self, where: TopicPartition, start: int, end: int, life: int = -1) -> list[Record]:
        """Return the records of a partition in [start, end), of the topic that is or of one before it."""
        records = self.lives(where)[life]
        low, high = (bisect_left(records, at, key=lambda record: record.offset) for at in (start, end))
        return list(records[low:high])


def judge(recording: Recording) -> list[str]:
    """Return every broken promise of a run that has come to rest."""
    try:
        facts = list(_facts(recording))
        decisions = _decisions(recording)
        accepted = _accepted(facts)
        return [
            *_sources(recording, accepted),
            *_said(recording, accepted),
            *_refolded(recording, facts, decisions),
            *_commands(recording, decisions, accepted),
            *_plans(decisions, facts, accepted),
            *_advice(decisions),
        ]
    except (InputError, InvariantError) as error:
        return [f"a reader stops: {error}"]


def _facts(recording: Recording) -> Iterator[tuple[Fact | None, Record]]:
    for record in recording.of(recording.topics.facts):
        try:
            yield decode_fact(record.value or b""), record
        except InputError:
            yield None, record


def _decisions(recording: Recording) -> list[Decision]:
    """Return the first occurrence of each decision; ``InvariantError`` when they are not dense, chained and equal."""
    chain = Chain()
    decisions = [(decision_of(record), record.offset) for record in recording.of(recording.topics.decisions)]
    return [decision for decision, offset in decisions if chain.take(decision, offset)]


def _accepted(facts: list[tuple[Fact | None, Record]]) -> list[Slice | LinesLost]:
    ledger = Ledger()
    return [
        fact
        for fact, _ in facts
        if fact is not None and ledger.judge(fact) is Verdict.ACCEPTED and isinstance(fact, (Slice, LinesLost))
    ]


# -------------------------------------------------------------------------------------------------------- (a) sources


def _sources(recording: Recording, accepted: list[Slice | LinesLost]) -> Iterator[str]:
    for where in recording.sources:
        ranges = [(one.from_offset, one.to_offset) for one in accepted if (one.source, one.partition) == where]
        records = recording.records.get(where, ())
        at, before = 0, recording.lives(where)[:-1]
        for begin, end in ranges:
            if end < begin:  # made anew: it must have been read to its end, and nothing of it can be read any more
                former = before.pop(0) if before else ()
                if begin != at or end or not former or former[-1].offset + 1 != at:
                    yield f"(a) {where}: made anew at {begin}, accounted for up to {at}"
                at = end
                continue
            if begin != at and at:
                yield f"(a) {where}: [{begin}, {end}) follows {at}"
            life = len(recording.lives(where)) - 1 - len(before)
            is_cut = not before and recording.earliest.get(where, 0) >= begin
            if not at and not is_cut and recording.between(where, 0, begin, life):
                yield f"(a) {where}: offsets below {begin} are in no slice"
            at = end
        if before:
            yield f"(a) {where}: {len(before)} times made anew, and nobody accepted it"
        if records and at not in _ends_of_account(records[-1].offset + 1, recording.earliest.get(where, 0)):
            yield f"(a) {where}: accounted for up to {at} of {records[-1].offset + 1}"


def _ends_of_account(end: int, earliest: int) -> set[int]:
    """Return up to where a source may be accounted for.

    Where retention took all that there was, it is also up to what was lost, or nowhere if nobody had begun to read.
    """
    return {end, 0, earliest} if earliest >= end else {end}


def _said(recording: Recording, accepted: list[Slice | LinesLost]) -> Iterator[str]:
    """Compare each slice with what a new slicer says of the same records, and look for what it names."""
    evidence = {record.value for record in recording.of(recording.topics.evidence)}
    dead = {_place(record) for record in recording.of(recording.topics.dlq)}
    lives: Counter[TopicPartition] = Counter()
    for fact in accepted:
        where = TopicPartition(fact.source, fact.partition)
        if isinstance(fact, LinesLost):
            lives[where] += fact.to_offset < fact.from_offset
            continue
        records = recording.between(where, fact.from_offset, fact.to_offset, lives[where])
        slicer = recording.slicer(fact.rules_sha256)
        slicer.pressure.rung = rung_of(fact)
        cut = slicer.cut(*where, fact.term, records, fact.from_offset)
        what = f"(a) {where} [{fact.from_offset}, {fact.to_offset})"
        if cut.slices != (fact,):
            yield f"{what}: the matcher says otherwise"
        if any(encode(one) not in evidence for one in cut.evidence):
            yield f"{what}: evidence is missing"
        if any((where.topic, str(where.partition), str(one.offset)) not in dead for one, _ in cut.dead):
            yield f"{what}: a dead letter is missing"


def _place(letter: Record) -> tuple[str, ...]:
    headers = dict(letter.headers)
    return tuple(headers[f"logmend.{name}"].decode() for name in ("topic", "partition", "offset"))


# ----------------------------------------------------------------------------------------------------------- (b) fold


def _refolded(recording: Recording, facts: list[tuple[Fact | None, Record]], recorded: list[Decision]) -> Iterator[str]:
    fold = Fold.new(recording.catalogue)
    taken = 0
    for number, (fact, record) in enumerate(facts):
        if number in recording.restores:
            fold = Fold.restore(fold.snapshot(), recording.catalogue)
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


def _commands(recording: Recording, decisions: list[Decision], accepted: list[Slice | LinesLost]) -> Iterator[str]:
    commands = {one.command.id: one.command for one in decisions if one.kind in SENDING_KINDS and one.command}
    yield from _chained(list(commands.values()))
    yield from _sent(recording, commands)
    ends, heard = _ends(recording), _heard(accepted)
    for name, command in commands.items():
        if len(ends[name]) != 1 or name not in heard:
            yield f"(c) command {name} ended in {sorted(ends[name]) or 'nothing'}, heard: {name in heard}"
        if not command.repeatable and recording.effects.get(name, 0) > 1:
            yield f"(c) command {name} was done {recording.effects[name]} times"


def _chained(commands: list[Command]) -> Iterator[str]:
    before = -1
    for command in commands:
        if command.previous_seq != before:
            yield f"(c) command {command.seq} says that it follows {command.previous_seq}, not {before}"
        before = command.seq


def _sent(recording: Recording, commands: dict[str, Command]) -> Iterator[str]:
    sent: dict[str, bytes | None] = {}
    order: list[int] = []
    for record in recording.of(recording.topics.commands):
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


def _ends(recording: Recording) -> dict[str, set[str]]:
    """Return every end that the pool reported, by command."""
    ends: dict[str, set[str]] = defaultdict(set)
    for record in recording.of(recording.topics.inbox_workers):
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


# ----------------------------------------------------------------------------------------------------- (d) specialists


def _plans(
    decisions: list[Decision], facts: list[tuple[Fact | None, Record]], accepted: list[Slice | LinesLost]
) -> Iterator[str]:
    most = max((one.specialists_max for one in _policies(accepted)), default=0)
    gone = _gone(facts, accepted)
    there: dict[str, dict[str, str]] = defaultdict(dict)
    """Members that were not let go, by plan: name to the command that asked for it."""
    under_way: dict[str, str] = {}
    """The plan of each incident."""
    for one in decisions:
        plan = one.refers_to
        if one.kind == "spawned" and one.command:
            there[plan][_specialist(one.command)] = one.command.id
            under_way[one.incident] = plan
            held = sum(not gone(one, key, *member) for key, members in there.items() for member in members.items())
            if held > most:
                yield f"(d) {held} specialists are there at decision {one.seq}, of {most}"
        elif one.kind == "released" and one.command:
            there[plan].pop(_specialist(one.command), None)
        elif one.kind == "plan_ended":
            del under_way[one.incident]
            left = [member for member in there.pop(plan, {}).items() if not gone(one, plan, *member)]
            if left:
                yield f"(d) plan {plan} is over, but nobody told {left} to go"
        elif one.kind in {"incident_closed", "incident_merged", "escalated"} and one.incident in under_way:
            yield f"(d) incident {one.incident} is over, but plan {under_way[one.incident]} is not"


def _specialist(command: Command) -> str:
    return next(one.value for one in command.arguments if one.name == "specialist")


def _policies(accepted: list[Slice | LinesLost]) -> Iterator[Policy]:
    for event in (event for fact in accepted for event in _events(fact)):
        if isinstance(event, ConfigApplied) and event.kind == "policy":
            policy = decode_config(event)
            if isinstance(policy, Policy):
                yield policy


def _gone(
    facts: list[tuple[Fact | None, Record]], accepted: list[Slice | LinesLost]
) -> Callable[[Decision, str, str, str], bool]:
    """Return who is known to be gone when a decision is made: by a report, or because the spawn failed."""
    known: dict[object, int] = {}
    counts = {id(fact) for fact in accepted}
    for fact, record in facts:
        for event in _events(fact) if id(fact) in counts else ():
            if isinstance(event, SpecialistReported) and event.state in {"failed", "released"}:
                known.setdefault((event.plan, event.specialist), record.offset)
            elif isinstance(event, OutcomeReported) and not event.ok:
                known.setdefault(event.command_id, record.offset)

    def is_gone(decision: Decision, plan: str, name: str, asked: str) -> bool:
        return min(known.get((plan, name), _NEVER), known.get(asked, _NEVER)) <= decision.facts_offset

    return is_gone


def _events(fact: Fact | None) -> Iterator[InboxEvent]:
    if isinstance(fact, Slice):
        yield from (message.event for message in fact.messages)


# ---------------------------------------------------------------------------------------------------------- (e) advice


def _advice(decisions: list[Decision]) -> Iterator[str]:
    waits: dict[str, str] = {}
    """The question of each incident that waits for advisors."""
    heard: set[tuple[str, ...]] = set()
    for one in decisions:
        if one.kind == "advice_asked":
            waits[one.incident] = one.id
            heard.add(("asked", one.id))
        elif one.kind in {"escalated", "incident_closed", "incident_merged"}:
            waits.pop(one.incident, None)
        elif one.kind in {"advised", "advice_settled"}:
            voice = (one.kind, one.refers_to, one.reason.partition(":")[0] if one.kind == "advised" else "")
            if voice in heard or ("asked", one.refers_to) not in heard:
                yield f"(e) decision {one.seq} is {voice} again, or of no question"
            heard.add(voice)
            if one.kind == "advice_settled" and waits.pop(one.incident, "") != one.refers_to:
                yield f"(e) decision {one.seq} settles a question that does not wait"
        elif one.kind in {"commanded", "approval_requested"}:
            yield from _chosen(one, waits)


def _chosen(one: Decision, waits: Mapping[str, str]) -> Iterator[str]:
    if one.incident in waits:
        yield f"(e) decision {one.seq} acts while question {waits[one.incident]} waits"
    if one.options and one.command is not None:
        chosen = [option for option in one.options if option.action == one.command.action]
        if [is_open(option) and option.probability > 0.0 for option in chosen] != [True]:
            yield f"(e) decision {one.seq} does {one.command.action}, which is none of its open options"
