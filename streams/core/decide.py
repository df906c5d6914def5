"""``step``: one fact in, decisions out. The only place that knows all kinds of facts."""

from __future__ import annotations

from streams.core import assessing, canary, muting, resolving, tasking
from streams.core.acting import approve, ask_again
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.advising import hear_advisors, hear_opinion
from streams.core.directory import may_say
from streams.core.epochs import EpochChanged
from streams.core.events import (
    ActionHalted,
    ActionResumed,
    ApprovalGiven,
    ConfigApplied,
    Coordinate,
    Fact,
    LinesLost,
    Message,
    OutcomeReported,
    ProbeReported,
    Slice,
)
from streams.core.fleet import Fleet
from streams.core.judging import release_all
from streams.core.mining import hear_templates
from streams.core.planning import hear_finding, hear_specialist
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import EscalationAnswered, HealRequested, MuteLifted, MuteSet, TaskSubmitted
from streams.core.sensing import hear_lines, hear_probe
from streams.core.slices import Verdict
from streams.core.state import Draft, Turn
from streams.core.surging import hear_rates
from streams.core.verifying import ended, look

DUE_ROUNDS_MAX = 4
"""An incident may be due again in the turn in which it was looked at (failed, so decide); more rounds can wait."""


def step(turn: Turn, fact: Fact, verdict: Verdict) -> None:
    """Work on one fact: what it says (if it counts), then whatever has become due by its time."""
    if verdict is Verdict.ACCEPTED:
        match fact:
            case Slice():
                _slice(turn, fact)
            case LinesLost():
                _lines_lost(turn, fact)
            case EpochChanged():
                reason = f"{fact.previous} to {fact.epoch}, release {fact.release}, by {fact.author}: {fact.reason}"
                turn.write(Draft(kind="epoch_changed", reason=reason))
            case _:
                pass
    tasking.overdue(turn)
    if muting.expire(turn):
        ask_again(turn)
    for _ in range(DUE_ROUNDS_MAX):
        if turn.now_ms < turn.state.incidents.next_due_ms:
            return
        for incident in turn.state.incidents.due(turn.now_ms):
            look(turn, incident)


def _slice(turn: Turn, fact: Slice) -> None:
    """Take a slice into account: detections before measures, so that no failure is foretold by its own lines."""
    if fact.rules_sha256:
        turn.state.book.rules_sha256 = fact.rules_sha256
    fact = canary.hear(turn, fact)
    hear_rates(turn, fact)
    hear_templates(turn, fact)
    hear_lines(turn, fact)
    assessing.hear_lines(turn, fact.tallies)
    assessing.hear_samples(turn, fact.samples)
    for message in fact.messages:
        _message(turn, message, fact)


def _message(turn: Turn, message: Message, fact: Slice) -> None:
    """Take one message into account, after those before it and before those after it."""
    if not may_say(fact.source, message.event):
        return
    turn.state.directory.hear(message.event)
    match message.event:
        case OutcomeReported() as outcome:
            turn.state.tasks.heard(outcome.host, turn.now_ms)
            ended(turn, outcome)
        case ProbeReported() as probe:
            turn.state.tasks.heard(probe.host, turn.now_ms)
            hear_probe(turn, probe, message, fact)
            assessing.hear_probe(turn, probe)
        case SpecialistReported() as specialist:
            hear_specialist(turn, specialist)
        case FindingReported() as finding:
            hear_finding(turn, finding)
        case AdvisorsReported() as advisors:
            hear_advisors(turn, advisors)
        case OpinionGiven() as opinion:
            hear_opinion(turn, opinion, _where(message, fact))
        case _:
            _said_by_people(turn, message, fact)


def _said_by_people(turn: Turn, message: Message, fact: Slice) -> None:
    match message.event:
        case ApprovalGiven() as answer:
            approve(turn, answer)
        case ConfigApplied() as applied:
            in_force = turn.state.directory.sha256_of(applied.kind) == applied.sha256
            if in_force and applied.kind == "inventory":
                turn.fleet = Fleet(turn.state.directory.inventory)
                turn.state.services.forget_probes()
            if in_force and applied.kind == "lessons":
                turn.state.lessons.elsewhere = turn.state.directory.lessons.told()
            reason = f"{applied.kind} {'by' if in_force else 'refused, from'} {applied.author}"
            _people(turn, message, fact, "config_applied", reason)
            if in_force:
                release_all(turn, reason)
        case ActionHalted() as halt:
            _people(turn, message, fact, "halted", f"by {halt.author}: {halt.reason}")
        case ActionResumed() as resume:
            _people(turn, message, fact, "resumed", f"by {resume.author}: {resume.reason}")
            release_all(turn, f"resumed by {resume.author}")
        case _:
            _asked_by_people(turn, message, fact)


def _asked_by_people(turn: Turn, message: Message, fact: Slice) -> None:
    where = _where(message, fact)
    match message.event:
        case EscalationAnswered() as said:
            resolving.answer(turn, said, where)
        case MuteSet() as mute:
            if muting.set_mute(turn, mute, where):
                ask_again(turn)
        case MuteLifted() as lifted:
            if muting.lift(turn, lifted, where):
                ask_again(turn)
        case TaskSubmitted() as task:
            tasking.submit(turn, task, where)
        case HealRequested() as asked:
            tasking.heal(turn, asked, where)


def _people(turn: Turn, message: Message, fact: Slice, kind: str, reason: str) -> None:
    turn.write(Draft(kind=kind, reason=reason, causes=(_where(message, fact),)))
    ask_again(turn)


def _where(message: Message, fact: Slice) -> Coordinate:
    return Coordinate(topic=fact.source, partition=fact.partition, offset=message.offset, index=0)


def _lines_lost(turn: Turn, fact: LinesLost) -> None:
    where = Coordinate(topic=fact.source, partition=fact.partition, offset=fact.from_offset, index=0)
    lost = max(fact.to_offset - fact.from_offset, 0)
    reason = "deleted by retention unread" if lost else "the source was made anew"
    turn.write(Draft(kind="lines_lost", reason=reason, count=lost, causes=(where,)))
