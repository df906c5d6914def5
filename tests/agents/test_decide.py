"""Decide by itself: what a restart computes again, what it refuses, and what it keeps."""

from __future__ import annotations

import msgspec
import pytest

from streams.agents.decide import DecideEngine, Keeping
from streams.codec import decode_decision, decode_inbox, encode
from streams.core.chain import sha256_of
from streams.core.config import Inventory
from streams.core.errors import InputError, InvariantError, OtherVersionError
from streams.core.events import ActionHalted, Decision, Fact, Ticked
from streams.core.fold import EPOCH, SNAPSHOT_VERSION, Fold
from streams.core.saved import Saved, unpack
from streams.ports import Outgoing
from tests.core.world import World as Story
from tests.core.world import spec
from tests.sim.alone import Alone
from tests.sim.broker import START_MS, SimSnapshots
from tests.sim.scene import CATALOGUE, DECISIONS, FACTS, POISON, TOPICS, fold_for

FILE_MS, TOPIC_MS = 2_000, 7_000


class Stage(Alone):
    """A broker with facts in it, and owners of decide that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.story.ms = START_MS
        self.story.apply("inventory", Inventory(services=(spec("api"), spec("db"))))
        self.places = [SimSnapshots(self.world, 0.0), SimSnapshots(self.world, 0.0)]
        self._told = 0

    def tell(self) -> None:
        """Append the facts of the story that are not in the log yet."""
        for fact, _, _ in self.story.facts[self._told :]:
            self.append(fact)
        self._told = len(self.story.facts)

    def append(self, fact: Fact) -> None:
        """Append a fact."""
        self.land(Outgoing(TOPICS.facts, encode(fact)))

    def owner(self, name: str = "one") -> DecideEngine:
        """Return a new owner."""
        keeping = [Keeping(place, every) for place, every in zip(self.places, (FILE_MS, TOPIC_MS), strict=True)]
        return DecideEngine(self.log, TOPICS, keeping, fold_for, name, lambda: self.world.now_ms)

    def work(self, decide: DecideEngine) -> int:
        """Load an owner and give it all facts from its position on; return that position."""
        start = self.run(decide.load([FACTS]))[FACTS]
        self.go_on(decide, start)
        return start

    def go_on(self, decide: DecideEngine, start: int) -> None:
        """Give an owner all facts from an offset on."""
        self.run(decide.process([(FACTS, self.records(FACTS, start))]))

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self.world.run(self.world.now_ms + milliseconds)

    def snapshot(self, decide: DecideEngine) -> None:
        """Let an owner save a snapshot to both places."""
        self.wait(TOPIC_MS)
        self.run(decide.idle())

    @property
    def decisions(self) -> list[Decision]:
        """All records in the log of decisions."""
        return [decode_decision(value) for value in self.values(TOPICS.decisions)]


def some(stage: Stage) -> Stage:
    """Tell of a crash that is acted on."""
    stage.story.detect("api", "process_crash")
    stage.tell()
    return stage


def test_decisions_are_those_of_the_fold() -> None:
    """What the engine appends is what the fold gives for the same facts, chained."""
    stage = some(Stage())
    stage.work(stage.owner())
    assert [one.kind for one in stage.decisions] == ["config_applied", "incident_opened", "commanded"]
    assert [one.seq for one in stage.decisions] == [0, 1, 2]
    assert [one.previous_sha256 for one in stage.decisions[1:]] == [sha256_of(one) for one in stage.decisions[:-1]]


def test_a_restart_appends_nothing_twice() -> None:
    """An owner without a snapshot folds everything again, and finds its decisions in the log."""
    stage = some(Stage())
    stage.work(stage.owner())
    assert stage.work(stage.owner("two")) == 0
    assert len(stage.decisions) == 3


def test_a_restart_begins_with_the_newest_snapshot() -> None:
    """The facts before the snapshot are not read again, and numbers go on."""
    stage = some(Stage())
    first = stage.owner()
    stage.work(first)
    stage.snapshot(first)
    stage.story.detect("api", "out_of_memory")
    stage.tell()
    assert stage.work(stage.owner("two")) == unpack(stage.places[0].kept[-1]).facts_offset > 0
    assert [one.seq for one in stage.decisions] == list(range(len(stage.decisions)))
    assert len(stage.decisions) > 3


@pytest.mark.parametrize("damage", [b"", b"\x93\x00", b"rubbish"])
def test_a_damaged_snapshot_is_left_out(damage: bytes) -> None:
    """The older one is used instead of one that can't be read."""
    stage = some(Stage())
    first = stage.owner()
    stage.work(first)
    stage.snapshot(first)
    whole = unpack(stage.places[0].kept[-1])
    stage.places[0].kept.append(damage)
    stage.places[1].kept[:] = [msgspec.msgpack.encode(msgspec.structs.replace(whole, fold=b"not a fold"))]
    assert stage.work(stage.owner("two")) == whole.facts_offset


def test_a_snapshot_of_another_version_stops_decide() -> None:
    """What other rules decided is not folded again: a person is told what to do."""
    stage = some(Stage())
    stage.work(stage.owner())
    old = Saved(1, 0, msgspec.msgpack.encode((SNAPSHOT_VERSION - 1, EPOCH, {})))
    stage.places[0].kept.append(msgspec.msgpack.encode(old))
    with pytest.raises(OtherVersionError, match="name another data directory"):
        stage.work(stage.owner("two"))


def test_a_snapshot_of_another_log_is_left_out() -> None:
    """A snapshot whose last decision is not where it says is not believed."""
    other = Stage()
    other.story.detect("db", "process_crash")
    other.tell()
    first = other.owner()
    other.work(first)
    other.snapshot(first)
    stage = some(Stage())
    stage.work(stage.owner())
    stage.places = other.places
    assert stage.work(stage.owner("two")) == 0
    assert len(stage.decisions) == 3


def test_a_snapshot_beyond_the_log_is_left_out() -> None:
    """A snapshot that knows facts which the log does not have is not believed."""
    stage = some(Stage())
    first = stage.owner()
    stage.work(first)
    stage.snapshot(first)
    places = stage.places
    stage = Stage()
    stage.places = places
    stage.tell()
    assert stage.work(stage.owner("two")) == 0


def test_a_recorded_decision_that_the_facts_do_not_give_stops_decide() -> None:
    """Nothing is appended on top of a log that the fold contradicts."""
    stage = some(Stage())
    stage.work(stage.owner())
    partition = stage.broker[DECISIONS]
    changed = msgspec.structs.replace(stage.decisions[2], confidence=0.123)
    partition.records[2] = msgspec.structs.replace(partition.records[2], value=encode(changed))
    with pytest.raises(InvariantError, match="is not what its facts give"):
        stage.work(stage.owner("two"))
    assert len(stage.decisions) == 3


def test_a_hole_in_the_decisions_stops_decide() -> None:
    """A missing number is never written over."""
    stage = some(Stage())
    stage.work(stage.owner())
    del stage.broker[DECISIONS].records[1]
    with pytest.raises(InvariantError, match="follows 0"):
        stage.work(stage.owner("two"))


def test_a_hole_in_the_facts_stops_decide() -> None:
    """A fact that the host left out is not folded over."""
    stage = some(Stage())
    decide = stage.owner()
    stage.run(decide.load([FACTS]))
    with pytest.raises(InvariantError, match="facts are missing"):
        stage.go_on(decide, 1)


def test_facts_that_are_gone_without_a_snapshot_stop_decide() -> None:
    """Without the first facts and without a snapshot there is no state to begin with."""
    stage = some(Stage())
    stage.broker[FACTS].earliest = 2
    with pytest.raises(InvariantError, match="no snapshot reaches there"):
        stage.work(stage.owner())


def test_a_rival_that_writes_the_same_changes_nothing() -> None:
    """Two owners that fold the same facts at a time leave equal repeats, and both go on."""
    stage = some(Stage())
    one, two = stage.owner("one"), stage.owner("two")
    stage.run(one.load([FACTS]))
    stage.run(two.load([FACTS]))
    stage.go_on(one, 0)
    stage.go_on(two, 0)
    stage.story.detect("db", "process_crash")
    before = len(stage.records(FACTS))
    stage.tell()
    stage.go_on(one, before)
    stage.go_on(two, before)
    by_seq: dict[int, set[bytes]] = {}
    for value in stage.values(TOPICS.decisions):
        by_seq.setdefault(decode_decision(value).seq, set()).add(value)
    assert sorted(by_seq) == list(range(len(by_seq)))
    assert all(len(values) == 1 for values in by_seq.values())
    stage.snapshot(two)
    assert stage.work(stage.owner("three")) > before


def test_a_poisonous_fact_is_rejected_in_its_place() -> None:
    """What the fold fails on becomes a decision that halts action, and the facts after it are folded."""
    stage = Stage()
    stage.story.normal(POISON)
    stage.story.detect("api", "process_crash")
    stage.tell()
    stage.work(stage.owner())
    kinds = [(one.kind, one.reason) for one in stage.decisions]
    assert ("fact_rejected", "ZeroDivisionError") in kinds
    assert kinds[-1] == ("withheld", "not_halted")


def test_a_rejection_halts_where_the_pool_hears_it() -> None:
    """After a rejected fact the kill switch is thrown in the inbox too, again by the next owner, until it is a fact."""
    stage = Stage()
    stage.story.normal(POISON)
    stage.tell()
    first = stage.owner()
    stage.work(first)
    stage.append(Ticked(owner="one"))
    stage.go_on(first, len(stage.records(FACTS)) - 1)
    stage.work(stage.owner("two"))
    halted = [decode_inbox(value) for value in stage.values(TOPICS.inbox_people)]
    assert [(type(event), event.author) for event in halted if isinstance(event, ActionHalted)] == [
        (ActionHalted, "logmend")
    ] * 2
    stage.story.halt()
    stage.tell()
    stage.work(stage.owner("three"))
    assert len(stage.values(TOPICS.inbox_people)) == 2


def test_a_recorded_rejection_holds() -> None:
    """Who folds again honours the rejection, even when the fact no longer fails."""
    stage = Stage()
    stage.story.normal(POISON)
    stage.tell()
    stage.work(stage.owner())
    stage.append(Ticked(owner="one"))
    healthy = DecideEngine(
        stage.log,
        TOPICS,
        [],
        lambda snapshot: fold_for(snapshot) if snapshot else _healthy(),
        "two",
        lambda: stage.world.now_ms,
    )
    stage.work(healthy)
    assert [one.kind for one in stage.decisions] == ["config_applied", "fact_rejected"]


def test_a_decision_that_can_not_be_recorded_makes_its_fact_poisonous() -> None:
    """A fact whose decision would be too large is rejected, and the next owner goes on after it."""
    stage = Stage()
    stage.story.say(ActionHalted(author="ann", reason="x" * 999_800))
    stage.tell()
    stage.work(stage.owner())
    stage.story.detect("api", "process_crash")
    stage.tell()
    stage.work(stage.owner("two"))
    kinds = [(one.kind, one.reason) for one in stage.decisions]
    assert kinds[:2] == [("config_applied", kinds[0][1]), ("fact_rejected", "InvariantError")]
    assert kinds[-1] == ("withheld", "not_halted")


def _healthy() -> Fold:
    return Fold.new(CATALOGUE)


def test_what_is_no_fact_is_rejected() -> None:
    """Rubbish in the log of facts is a decision, and the same one for every owner."""
    stage = Stage()
    stage.tell()
    stage.land(Outgoing(TOPICS.facts, b"no fact at all"))
    stage.work(stage.owner())
    stage.work(stage.owner("two"))
    assert [(one.kind, one.reason) for one in stage.decisions][1:] == [("fact_rejected", "undecodable")]


def test_seconds_without_a_fact_are_ticks_while_something_waits() -> None:
    """A tick a second, while a timer is open."""
    stage = some(Stage())
    decide = stage.owner()
    stage.work(decide)
    ticks = []
    for _ in range(8):
        stage.wait(500)
        before = len(stage.records(FACTS))
        stage.run(decide.idle())
        ticks.append(len(stage.records(FACTS)) - before)
    assert sum(ticks) == 4


def test_nothing_ticks_while_nothing_waits() -> None:
    """A quiet fleet appends nothing."""
    stage = Stage()
    stage.tell()
    decide = stage.owner()
    stage.work(decide)
    before = len(stage.records(FACTS))
    stage.wait(5_000)
    stage.run(decide.idle())
    assert len(stage.records(FACTS)) == before


def test_snapshots_are_as_frequent_as_their_places_say() -> None:
    """The file gets one every time, the topic seldom, and none when nothing has changed."""
    stage = some(Stage())
    decide = stage.owner()
    stage.work(decide)
    saved = []
    for _ in range(4):
        stage.wait(FILE_MS)
        stage.run(decide.idle())
        saved.append([place.saves for place in stage.places])
    assert saved == [[1, 0], [1, 0], [1, 0], [1, 1]]


class FullDisk(SimSnapshots):
    """A place without room."""

    async def save(self, snapshot: bytes) -> None:
        """Refuse, as a file does on a full disk."""
        raise InputError(f"no room for {len(snapshot)} bytes: free some")


def test_a_full_disk_costs_a_snapshot_and_no_decision() -> None:
    """A place that refuses its snapshot is passed over; the other one gets it, and decide goes on."""
    stage = some(Stage())
    stage.places[0] = FullDisk(stage.world, 0.0)
    decide = stage.owner()
    stage.work(decide)
    stage.snapshot(decide)
    assert stage.places[0].kept == []
    assert len(stage.places[1].kept) == 1
    stage.story.detect("db", "out_of_memory")
    stage.tell()
    stage.go_on(decide, unpack(stage.places[1].kept[-1]).facts_offset)
    assert stage.decisions[-1].service == "db"


class TooLarge(Fold):
    """A fold whose state holds an integer beyond 64 bits."""

    def snapshot(self) -> bytes:
        """Refuse, as the encoder does."""
        raise OverflowError("can't serialize ints >= 2**64 or < -(2**63)")


def test_a_state_that_can_not_be_saved_costs_a_snapshot_and_no_decision() -> None:
    """Decide goes on without the snapshot, and tries the next one when it is due."""
    stage = Stage()
    keeping = [Keeping(stage.places[0], FILE_MS)]
    decide = DecideEngine(
        stage.log, TOPICS, keeping, lambda _: TooLarge.new(CATALOGUE), "one", lambda: stage.world.now_ms
    )
    some(stage)
    start = len(stage.records(FACTS))
    stage.work(decide)
    stage.snapshot(decide)
    stage.story.detect("db", "out_of_memory")
    stage.tell()
    stage.go_on(decide, start)
    assert stage.decisions[-1].service == "db"
    assert stage.places[0].kept == []
