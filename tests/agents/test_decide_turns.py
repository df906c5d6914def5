"""Decide on a slow host: a backlog is folded bit by bit, and others have their turn meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, groupby

from streams.agents.decide import TURN_MS, DecideEngine, Keeping
from streams.core.events import Ticked
from streams.core.saved import unpack
from streams.ports import Outgoing
from tests.agents.test_decide import FILE_MS, Stage, some
from tests.sim.kernel import Process
from tests.sim.scene import FACTS, POISON, TOPICS, fold_for


class Slow(Stage):
    """A stage on a host so slow that each fact takes the time after which others have their turn."""

    def __init__(self) -> None:
        super().__init__()
        self.awaits = 0
        self._clock = count(0, TURN_MS)

    def before_call(self, process: Process) -> None:
        """Count how often the engine waits."""
        super().before_call(process)
        self.awaits += 1

    def owner(self, name: str = "one") -> DecideEngine:
        """Return a new owner with a clock that goes on whenever it is looked at."""
        keeping = [Keeping(self.places[0], FILE_MS)]
        return DecideEngine(self.log, TOPICS, keeping, fold_for, name, lambda: next(self._clock))


def test_a_long_batch_is_decided_bit_by_bit() -> None:
    """What was decided is appended when folding takes long: who dies in a long batch has not worked in vain."""
    stage = some(Slow())
    slow = stage.owner()
    stage.run(slow.load([FACTS]))
    before = len(stage.landed)
    stage.go_on(slow, 0)
    portions = [len(list(rows)) for _, rows in groupby(stage.landed[before:], key=lambda record: record.timestamp)]
    assert portions == [1, 2]


def test_others_have_their_turn_while_a_long_batch_is_folded() -> None:
    """The lease is kept, and a group's questions are answered, while nothing is decided for long."""
    stage = Slow()
    for _ in range(20):
        stage.append(Ticked(owner="one"))
    slow = stage.owner()
    stage.run(slow.load([FACTS]))
    before = stage.awaits
    stage.go_on(slow, 0)
    assert stage.awaits - before >= 20


def test_a_poisonous_fact_in_a_long_batch_holds_nobody_up() -> None:
    """What is folded again without it is folded in turns too."""
    stage = Slow()
    for _ in range(20):
        stage.append(Ticked(owner="one"))
    stage.story.normal(POISON)
    stage.tell()
    slow = stage.owner()
    stage.run(slow.load([FACTS]))
    before = stage.awaits
    stage.go_on(slow, 0)
    assert [one.kind for one in stage.decisions] == ["config_applied", "fact_rejected"]
    assert stage.awaits - before >= 40


def test_the_state_is_kept_in_the_middle_of_a_long_batch() -> None:
    """Who is ended in a batch that takes too long leaves a snapshot, so that the next owner gets further."""
    stage = some(Slow())
    slow = stage.owner()
    stage.run(slow.load([FACTS]))
    for _ in range(2 * FILE_MS // TURN_MS):
        stage.append(Ticked(owner="one"))
    whole = len(stage.records(FACTS, 0))
    stage.go_on(slow, 0)
    first, *_ = [unpack(data).facts_offset for data in stage.places[0].kept]
    assert 0 < first < whole


def test_what_is_to_be_done_waits_for_no_later_fact() -> None:
    """Of two crashes in one fetch, the first one's command is appended before the second one is folded."""
    stage = some(Stage())
    stage.story.detect("db", "process_crash")
    stage.tell()
    decide = stage.owner()
    at_facts: list[int] = []
    append = stage.log.append

    async def noting(records: Sequence[Outgoing]) -> Sequence[int]:
        at_facts.append(decide._fold.directory.facts_offset)
        return await append(records)

    stage.log.append = noting  # type: ignore[method-assign]  # the engine's, for this test
    stage.work(decide)
    kinds = [one.kind for one in stage.decisions]
    assert kinds == ["config_applied", "incident_opened", "commanded", "incident_opened", "withheld"]
    assert at_facts == [stage.decisions[index].facts_offset + 1 for index in (2, 4)]
