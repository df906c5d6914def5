"""The oracle finds what was done to a good run: a judge that never says no would prove nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import msgspec
import pytest

from streams.codec import decode_command, decode_decision, decode_fact, decode_inbox, encode
from streams.core.config import Inventory, Policy
from streams.core.events import Command, Decision, OutcomeReported, Slice
from streams.ports import Fetched, Record, TopicPartition
from tests.core.world import World, of_kind, spec
from tests.sim import oracle
from tests.sim.oracle import Recording, judge
from tests.sim.play import Engines, Play, remembering
from tests.sim.scene import COMMANDS, DECISIONS, DLQ, EVIDENCE, FACTS, INBOX_WORKERS, RUBBISH

Records = list[Record]


def _stored(record: Record, value: bytes) -> Record:
    assert isinstance(record, Fetched)
    return msgspec.structs.replace(record, value=value)


def _first(records: Records, kind: Callable[[bytes], bool]) -> int:
    return next(at for at, record in enumerate(records) if kind(record.value or b""))


def _has_detections(value: bytes) -> bool:
    fact = decode_fact(value)
    return isinstance(fact, Slice) and bool(fact.detections)


def _is_outcome(value: bytes) -> bool:
    return isinstance(decode_inbox(value), OutcomeReported)


def _without(records: Records, at: int) -> Records:
    return [*records[:at], *records[at + 1 :]]


def _another_count(records: Records) -> Records:
    at = _first(records, _has_detections)
    fact = decode_fact(records[at].value or b"")
    assert isinstance(fact, Slice)
    one = msgspec.structs.replace(fact.detections[0], count=fact.detections[0].count + 1)
    changed = msgspec.structs.replace(fact, detections=(one, *fact.detections[1:]))
    return [*records[:at], _stored(records[at], encode(changed)), *records[at + 1 :]]


def _another_score(records: Records) -> Records:
    """Change the last decision, which no other one's hash covers."""
    last = decode_decision(records[-1].value or b"")
    changed = msgspec.structs.replace(last, confidence=0.321)
    return [*records[:-1], _stored(records[-1], encode(changed))]


def _other_bytes(records: Records) -> Records:
    command = decode_command(records[0].value or b"")
    changed = msgspec.structs.replace(command, timeout_ms=command.timeout_ms + 1)
    return [*records, _stored(records[0], encode(changed))]


def _second_end(records: Records) -> Records:
    at = _first(records, _is_outcome)
    event = decode_inbox(records[at].value or b"")
    assert isinstance(event, OutcomeReported)
    changed = msgspec.structs.replace(event, status="expired" if event.status == "done" else "done")
    return [*records, _stored(records[at], encode(changed))]


TAMPERED: dict[str, tuple[TopicPartition, Callable[[Records], Records], str]] = {
    "a slice is gone": (FACTS, lambda all_: _without(all_, _first(all_, _has_detections)), "a reader stops|follows"),
    "a slice counts one line more": (FACTS, _another_count, "the matcher says otherwise"),
    "evidence is gone": (EVIDENCE, lambda _: [], "evidence is missing"),
    "dead letters are gone": (DLQ, lambda _: [], "a dead letter is missing"),
    "the first decision is gone": (DECISIONS, lambda all_: all_[1:], "a reader stops"),
    "the last decision is gone": (DECISIONS, lambda all_: all_[:-1], "was never recorded"),
    "the last decision was edited": (DECISIONS, _another_score, "differs"),
    "the first command is gone": (COMMANDS, lambda all_: all_[1:], "were never sent"),
    "a command was sent again, changed": (COMMANDS, _other_bytes, "sent twice with different bytes"),
    "a command ended in two ways": (INBOX_WORKERS, _second_end, r"ended in \["),
}


@pytest.fixture(scope="module")
def good() -> Recording:
    """Return a run in which everything that can be tampered with is there, each once."""
    logging.disable(logging.CRITICAL)
    try:
        return next(found for seed in range(500) if _is_plain(found := _played(seed)))
    finally:
        logging.disable(logging.NOTSET)


def _played(seed: int) -> Recording:
    run = Play(seed, Engines(), trace=False)
    run.run()
    return run.recording()


def _is_plain(run: Recording) -> bool:
    decisions = [decode_decision(record.value or b"").seq for record in run.of(run.topics.decisions)]
    commands = [one.seq for one in _sent(run)]
    return (
        decisions == sorted(set(decisions))
        and len(commands) == len(set(commands)) >= 2
        and any(not one.repeatable for one in _sent(run))
        and all(record.value != RUBBISH for record in run.of(run.topics.facts))
        and bool(run.of(run.topics.dlq))
    )


def _sent(recording: Recording) -> list[Command]:
    return [decode_command(record.value or b"") for record in recording.of("logmend.commands")]


def test_a_good_run_is_good(good: Recording) -> None:
    """The run that the other tests tamper with keeps every promise."""
    assert judge(good) == []


@pytest.mark.parametrize("what", sorted(TAMPERED))
def test_what_was_done_is_found(good: Recording, what: str) -> None:
    """Each change of one topic breaks a promise, and the claim says which."""
    where, change, claim = TAMPERED[what]
    records = {**good.records, where: change(list(good.records[where]))}
    claims = "\n".join(judge(msgspec.structs.replace(good, records=records)))
    assert re.search(claim, claims), claims


def test_a_second_effect_is_found(good: Recording) -> None:
    """What may not be repeated and was done twice at the target is a broken promise."""
    once = next(one for one in _sent(good) if not one.repeatable)
    claims = judge(msgspec.structs.replace(good, effects={**good.effects, once.id: 2}))
    assert [claim for claim in claims if "was done 2 times" in claim]


def _no_room_asked(*_: object) -> tuple[()]:
    return ()


def _nothing(*_: object, **__: object) -> None:
    return None


BROKEN = {
    "nobody is let go": ("streams.core.planning.release_all", _nothing, "nobody told"),
    "nobody asks for room": ("streams.core.calling.ask_room", _no_room_asked, "specialists are there"),
    "no plan ends": ("streams.core.verifying.end", _nothing, "is over, but plan"),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_fold_that_breaks_a_promise_about_specialists_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold that refolds to the same bytes, and leaves specialists behind or calls too many, is seen by (d)."""
    name, broken, claim = BROKEN[what]
    monkeypatch.setattr(name, broken)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    with remembering():
        assert any(claim in line for seed in range(300) for line in judge(_played(seed)))


def _advised() -> list[Decision]:
    """Return the decisions of an incident that one advisor's opinion was acted on in."""
    world = World()
    world.apply("policy", Policy(cooldown_ms=0, coordination=False, exploration_rate=0.0))
    world.apply("inventory", Inventory(services=(spec("api"),)))
    world.advisors()
    world.detect("api", "configuration_error")
    world.outcome(of_kind(world.decisions, "commanded")[0].id, ok=False)
    world.opine("root_cause", "process.start", 0.9)
    return world.decisions


@pytest.mark.parametrize(
    ("spoil", "claim"),
    [
        (lambda all_: all_, ""),
        (lambda all_: [one for one in all_ if one.kind != "advice_settled"], "acts while question"),
        (lambda all_: [one for one in all_ for _ in range(1 + (one.kind == "advised"))], "again, or of no question"),
        (lambda all_: [one for one in all_ if one.kind != "advice_asked"], "of no question"),
        (lambda all_: [_another_action(one) for one in all_], "none of its open options"),
    ],
)
def test_what_advice_must_not_do_is_found(spoil: Callable[[list[Decision]], list[Decision]], claim: str) -> None:
    """An act before the answers, a voice that counts twice, one without a question, an act that was no option."""
    found = list(oracle._advice(spoil(_advised())))
    assert bool(found) == bool(claim)
    assert not claim or any(claim in one for one in found)


def _another_action(one: Decision) -> Decision:
    if one.kind != "commanded" or one.command is None:
        return one
    return msgspec.structs.replace(one, command=msgspec.structs.replace(one.command, action="process.wipe"))
