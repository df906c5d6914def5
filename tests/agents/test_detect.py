"""Detect by itself: what it takes, what it writes in which order, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from streams.agents.detect import DetectEngine, SupersededError, Watch
from streams.codec import decode_fact, encode
from streams.core.config import Inventory, RuleSet, ZoneSpec
from streams.core.directory import Directory
from streams.core.errors import InputError, InvariantError
from streams.core.events import Fact, LinesLost, Slice, Took
from streams.ingest.shedding import LOOK_MS, Pressure
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Outgoing, Record, TopicPartition, Unread
from tests.sim.alone import Alone
from tests.sim.broker import START_MS
from tests.sim.kernel import Process, Reply
from tests.sim.scene import INBOX_PEOPLE, RULE_SETS, TOPICS, applied, message, slicer_for

LOGS = TopicPartition("logs", 0)


class Cutter(Slicer):
    """A slicer with a bug: it fails on lines that say ``boom``."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Cut, or fail."""
        if any(b"boom" in (record.value or b"") for record in records):
            raise ZeroDivisionError("boom")
        return super().cut(source, partition, term, records, from_offset)


def buggy(rules: RuleSet) -> Slicer:
    """Return a slicer with the bug."""
    return Cutter(slicer_for(rules).matcher, TOPICS)


def engine(alone: Alone, owner: str = "one") -> DetectEngine:
    """Return an engine of an owner."""
    nonces = (f"{owner}-{number}" for number in range(100))
    return DetectEngine(alone.log, TOPICS, buggy, owner, lambda: next(nonces))


def say(text: str, service: str = "api") -> Outgoing:
    """Return a line of a service."""
    return Outgoing("logs", msgspec.json.encode({"ts": START_MS, "service": service, "message": text}))


def facts(alone: Alone) -> list[Fact]:
    """Return all facts."""
    return [decode_fact(value) for value in alone.values(TOPICS.facts)]


def slices(alone: Alone) -> list[Slice]:
    """Return all slices."""
    return [fact for fact in facts(alone) if isinstance(fact, Slice)]


def process(alone: Alone, detect: DetectEngine, start: int = 0) -> None:
    """Give an engine the records of ``LOGS`` from an offset on."""
    alone.run(detect.process([(LOGS, alone.records(LOGS, start))]))


def test_a_new_partition_is_taken_and_begins_at_its_earliest_record() -> None:
    """The first owner takes term 1 and starts at the earliest offset there is."""
    alone = Alone()
    alone.broker[LOGS].earliest = alone.broker[LOGS].end = 7
    assert alone.run(engine(alone).load([LOGS])) == {LOGS: 7}
    assert facts(alone) == [Took(source="logs", partition=0, term=1, nonce="one-0", owner="one")]


def test_the_next_owner_goes_on_where_the_slices_end() -> None:
    """The position is the end of the last accepted slice, under the next term."""
    alone = Alone()
    alone.land(say("a"), say("b"))
    first, second = engine(alone), engine(alone, "two")
    alone.run(first.load([LOGS]))
    process(alone, first)
    assert alone.run(second.load([LOGS])) == {LOGS: 2}
    assert [fact.term for fact in facts(alone) if isinstance(fact, Took)] == [1, 2]


def test_lost_lines_are_recorded() -> None:
    """What retention deleted unread is a fact of its own, and reading goes on behind it."""
    alone = Alone()
    alone.land(say("a"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    alone.land(*(say("b") for _ in range(9)))
    alone.broker[LOGS].earliest = 6
    assert alone.run(engine(alone, "two").load([LOGS])) == {LOGS: 6}
    assert facts(alone)[-1] == LinesLost(source="logs", partition=0, term=2, from_offset=1, to_offset=6)


def test_a_source_that_was_made_anew_stops_detect() -> None:
    """A source that ends below what was read is an error that names the command to run."""
    alone = Alone()
    alone.land(say("a"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    del alone.broker.partitions[LOGS]
    with pytest.raises(InvariantError, match="accept-reset"):
        alone.run(engine(alone, "two").load([LOGS]))


def test_evidence_and_dead_letters_come_before_the_slice() -> None:
    """Nothing that a slice names is missing when the slice is there."""
    alone = Alone()
    alone.land(say("segmentation fault"), Outgoing("logs", b"\x00\x01\x02\x03"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    topics = [record.topic for record in alone.landed if record.topic != "logs"]
    assert topics[0] == topics[-1] == TOPICS.facts
    assert sorted(topics[1:-1]) == [TOPICS.dlq, TOPICS.evidence]


def test_a_record_that_breaks_the_slicer_is_rejected_alone() -> None:
    """The other records of its batch are sliced, and every offset is accounted for."""
    alone = Alone()
    alone.land(say("a"), say("b"), say("boom"), say("c"), say("d"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    assert sum(piece.lines for piece in slices(alone)) == 4
    assert [(reject.offset, reject.reason) for piece in slices(alone) for reject in piece.rejects] == [
        (2, "ZeroDivisionError")
    ]
    assert [(one.from_offset, one.to_offset) for one in slices(alone)] == [(0, 2), (2, 3), (3, 5)]
    letter = alone.records(TopicPartition(TOPICS.dlq, 0))[0]
    assert letter.value == say("boom").value
    assert dict(letter.headers)["logmend.offset"] == b"2"


def unread(first: int, last: int) -> Unread:
    """Return what stands for offsets that could not be read."""
    return Unread("logs", 0, last, START_MS, first, f"unreadable batch: offsets {first} to {last}: too much")


@pytest.mark.parametrize(
    ("batch", "ranges"),
    [
        ([0, (1, 3), 4], [(0, 1), (1, 4), (4, 5)]),
        ([(0, 3), 4], [(0, 4), (4, 5)]),
        ([0, 1, 2, 3, (4, 4)], [(0, 4), (4, 5)]),
        ([(0, 1), (2, 4)], [(0, 2), (2, 5)]),
    ],
)
def test_what_could_not_be_read_is_accounted_for(
    batch: list[int | tuple[int, int]], ranges: list[tuple[int, int]]
) -> None:
    """Its offsets are a slice with one reject at the first, and an empty note lies in the dead letters."""
    alone = Alone()
    alone.land(*(say("a") for _ in range(5)))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    records = alone.records(LOGS)
    alone.run(detect.process([(LOGS, [records[at] if isinstance(at, int) else unread(*at) for at in batch])]))
    missed = [at for at in batch if isinstance(at, tuple)]
    assert [(one.from_offset, one.to_offset) for one in slices(alone)] == ranges
    assert sum(one.lines for one in slices(alone)) == len(batch) - len(missed)
    rejects = [reject for one in slices(alone) for reject in one.rejects]
    assert [(one.offset, one.reason) for one in rejects] == [
        (first, unread(first, last).reason) for first, last in missed
    ]
    notes = alone.records(TopicPartition(TOPICS.dlq, 0))
    assert [(note.value, int(dict(note.headers)["logmend.offset"])) for note in notes] == [
        (b"", at) for at, _ in missed
    ]


def test_a_hole_before_what_could_not_be_read_is_looked_at() -> None:
    """Records that the host left out are not covered by an unreadable batch behind them."""
    alone = Alone()
    alone.land(*(say("a") for _ in range(5)))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    with pytest.raises(InvariantError, match="not handed over"):
        alone.run(detect.process([(LOGS, [unread(2, 4)])]))


def test_who_is_overtaken_leaves() -> None:
    """After another process took the partition, the slice that is appended does not count and the process ends."""
    alone = Alone()
    alone.land(say("a"))
    old = engine(alone, "old")
    alone.run(old.load([LOGS]))
    alone.run(engine(alone, "new").load([LOGS]))
    with pytest.raises(SupersededError, match="was taken from old"):
        process(alone, old)


def test_who_is_overtaken_leaves_while_nothing_comes() -> None:
    """A process without work notices it too."""
    alone = Alone()
    old = engine(alone, "old")
    alone.run(old.load([LOGS]))
    alone.run(engine(alone, "new").load([LOGS]))
    with pytest.raises(SupersededError):
        alone.run(old.idle())


def test_records_that_the_host_left_out_stop_detect() -> None:
    """A gap that holds records is never accounted for."""
    alone = Alone()
    alone.land(say("a"), say("b"), say("c"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    with pytest.raises(InvariantError, match="not handed over"):
        process(alone, detect, start=1)


def test_a_hole_of_markers_is_a_part_of_the_slice() -> None:
    """Offsets without a record are accounted for by the slice around them."""
    alone = Alone()
    alone.broker[LOGS].end = 2
    alone.land(say("a"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    assert [(one.from_offset, one.to_offset) for one in slices(alone)] == [(0, 3)]


def test_a_repeated_batch_writes_nothing() -> None:
    """Records below the position are left out."""
    alone = Alone()
    alone.land(say("a"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    process(alone, detect)
    assert len(slices(alone)) == 1


def test_applied_rules_hold_from_the_next_batch_on() -> None:
    """Rules that come as a fact are compiled and used, without a restart."""
    alone = Alone()
    detect = engine(alone)
    alone.run(detect.load([LOGS, INBOX_PEOPLE]))
    alone.land(message(INBOX_PEOPLE, applied(RULE_SETS[1], "rules")), say("no space on heap"))
    alone.run(detect.process([(INBOX_PEOPLE, alone.records(INBOX_PEOPLE))]))
    process(alone, detect)
    assert [one.pattern for one in slices(alone)[-1].detections] == ["out_of_memory"]


SPACED = RuleSet(rules=(msgspec.structs.replace(RULE_SETS[1].rules[0], id="out_of_space"),))
"""Rules that ``refusing`` does not compile."""


def refusing(rules: RuleSet) -> Slicer:
    """Return a slicer; refuse one set of rules."""
    if rules == SPACED:
        raise InputError("rule out_of_space: too large")
    return slicer_for(rules)


def told(alone: Alone, detect: DetectEngine, rules: RuleSet) -> None:
    """Apply rules and let an engine hear of it from the facts."""
    alone.land(message(INBOX_PEOPLE, applied(rules, "rules")))
    other = DetectEngine(alone.log, TOPICS, slicer_for, "other", lambda: f"other-{len(alone.landed)}")
    start = alone.run(other.load([INBOX_PEOPLE]))[INBOX_PEOPLE]
    alone.run(other.process([(INBOX_PEOPLE, alone.records(INBOX_PEOPLE, start))]))
    alone.run(detect.idle())


def test_rules_that_do_not_compile_leave_the_shipped_ones_in_force() -> None:
    """A rule set that the matcher refuses stops nothing, and the rules before it are not in force any more."""
    alone = Alone()
    detect = DetectEngine(alone.log, TOPICS, refusing, "one", lambda: "nonce")
    alone.run(detect.load([LOGS]))
    told(alone, detect, RULE_SETS[1])
    told(alone, detect, SPACED)
    alone.land(say("segmentation fault"), say("no space on heap"))
    process(alone, detect)
    assert [one.pattern for one in slices(alone)[-1].detections] == ["process_crash"]
    assert slices(alone)[-1].rules_sha256 == slicer_for(RuleSet()).matcher.rules_sha256


def test_a_start_with_rules_that_do_not_compile_takes_the_shipped_ones() -> None:
    """A process that starts after the rules were applied cuts as one that has been running does."""
    alone = Alone()
    alone.land(say("segmentation fault"))
    known = Directory(rules=SPACED)
    detect = DetectEngine(alone.log, TOPICS, refusing, "one", lambda: "nonce", known)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    assert slices(alone)[-1].rules_sha256 == slicer_for(RuleSet()).matcher.rules_sha256


def test_what_is_no_fact_counts_for_nobody() -> None:
    """Rubbish in the log of facts does not stop detect."""
    alone = Alone()
    alone.land(Outgoing(TOPICS.facts, b"no fact at all"), say("a"))
    detect = engine(alone)
    alone.run(detect.load([LOGS]))
    process(alone, detect)
    last = decode_fact(alone.values(TOPICS.facts)[-1])
    assert isinstance(last, Slice)
    assert last.lines == 1


def test_a_lost_race_is_taken_again() -> None:
    """Of two that take the same term, the later one in the log takes the next."""
    alone = Alone()
    rival = Took(source="logs", partition=0, term=1, nonce="rival", owner="rival")
    detect = engine(alone)
    begin = alone.broker.begin_append

    def overtaken(records: Sequence[Outgoing], process: Process, reply: Reply) -> None:
        if not alone.values(TOPICS.facts):
            alone.land(Outgoing(TOPICS.facts, encode(rival), b"logs/0"))
        begin(records, process, reply)

    alone.broker.begin_append = overtaken  # type: ignore[method-assign] # the rival is a little faster
    alone.run(detect.load([LOGS]))
    assert [(fact.term, fact.owner) for fact in facts(alone) if isinstance(fact, Took)] == [
        (1, "rival"),
        (1, "one"),
        (2, "one"),
    ]


def test_applied_zones_hold_from_the_next_batch_on() -> None:
    """Zones that come in an inventory are used without a restart, and by whoever starts later."""
    alone = Alone()
    detect = engine(alone)
    alone.run(detect.load([LOGS, INBOX_PEOPLE]))
    zones = Inventory(zones=(ZoneSpec(topic="logs", zone="Asia/Tokyo"),))
    alone.land(message(INBOX_PEOPLE, applied(zones, "inventory")))
    alone.run(detect.process([(INBOX_PEOPLE, alone.records(INBOX_PEOPLE))]))
    clock = datetime.fromtimestamp(START_MS / 1000, UTC)
    later = engine(alone, "two")
    for one in (detect, later):
        alone.land(Outgoing("logs", f"{clock:%Y-%m-%d %H:%M:%S} INFO ready".encode()))
        alone.run(one.load([LOGS]))
        process(alone, one)
        assert slices(alone)[-1].tallies[0].at_ms == START_MS // 1000 * 1000 - 9 * 3_600_000


def test_under_pressure_the_fact_says_what_was_shed() -> None:
    """When lines are older and older as they are read, slices become coarser and say by how much; at a jump not."""
    alone, pressure, late_ms = Alone(), Pressure(60_000), iter((0, 70_000, 75_000))
    steady_ms = iter(range(0, 10 * LOOK_MS, LOOK_MS))
    watch = Watch(pressure, lambda: START_MS + next(late_ms), lambda: next(steady_ms))
    sheds = Slicer(slicer_for(RuleSet()).matcher, TOPICS, pressure=pressure)
    detect = DetectEngine(alone.log, TOPICS, lambda _: sheds, "one", lambda: "nonce", watch=watch)
    alone.run(detect.load([LOGS]))
    for start in range(3):
        alone.land(say("request ended in error 17"), say("segmentation fault"))
        process(alone, detect, 2 * start)
    assert [(one.lines, one.shed_templates) for one in slices(alone)] == [(2, 0), (2, 0), (2, 1)]
    assert [[found.pattern for found in one.detections if found.pattern] for one in slices(alone)] == [
        ["process_crash"]
    ] * 3
