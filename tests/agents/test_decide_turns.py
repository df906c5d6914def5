"""Decide on a slow host: a backlog is folded bit by bit, and others have their turn meanwhile."""

from __future__ import annotations

from itertools import count, groupby

from streams.agents.decide import TURN_MS, DecideEngine
from streams.core.events import Ticked
from tests.agents.test_decide import Stage, some
from tests.sim.kernel import Process
from tests.sim.scene import FACTS, TOPICS, fold_for


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
        return DecideEngine(self.log, TOPICS, [], fold_for, name, lambda: next(self._clock))


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
