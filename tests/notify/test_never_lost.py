"""Whatever fails and whenever the process dies: all is told, and the same id is always the same message."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.notify.journal import Due, Journal, Position
from tests.notify.deciding import Kept, notice

BURST = 3
STEPS = ("decide", "again", "deliver", "fail", "die", "wait")


class World:
    """A journal, a channel, and a receiver that remembers every content that came under an id."""

    def __init__(self, directory: Path, *, bundles: bool) -> None:
        self._directory = directory
        self._channel = Kept(bundles=bundles)
        self._journal = Journal.open(directory, BURST)
        self._now_s = 1_800_000_000.0
        self.decided = 0
        self.came: dict[str, set[tuple[str, ...]]] = {}
        self.noted: list[str] = []

    def decide(self) -> None:
        """Have as much new to tell as is a message each within a minute."""
        self._tell(range(self.decided + 1, self.decided + BURST + 1))
        self.decided += BURST

    def again(self) -> None:
        """Read the newest decisions once more."""
        self._tell(range(max(1, self.decided - 1), self.decided + 1))

    def _tell(self, numbers: range) -> None:
        told = [notice(number) for number in numbers]
        self._journal.take("t", Position(0, 0), {}, told, [self._channel], self._now_s)

    def deliver(self) -> None:
        """Deliver what is due and note it."""
        while due := self._due():
            self._receive(due)
            self._journal.told(due.number)
            self.noted += [one.id for one in due.message.notices]

    def fail(self) -> None:
        """Fail at a message, which may have arrived all the same."""
        if due := self._due():
            self._receive(due)
            self._journal.failed(due.number, self._now_s + 7)

    def die(self) -> None:
        """Die between delivery and note, and start again."""
        if due := self._due():
            self._receive(due)
        self.close()
        self._journal = Journal.open(self._directory, BURST)

    def wait(self) -> None:
        """Let time pass."""
        self._now_s += 45

    def finish(self) -> None:
        """Deliver whatever is left."""
        while self._journal.waiting("kept"):
            self.deliver()
            self.wait()

    def close(self) -> None:
        """End."""
        self._journal.close()

    def _due(self) -> Due | None:
        return self._journal.due(self._channel.name, self._now_s)

    def _receive(self, due: Due) -> None:
        content = tuple(one.id for one in due.message.notices)
        self.came.setdefault(due.message.id, set()).add(content)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@example(steps=["decide", "decide", "deliver", "wait", "wait", "fail", "decide", "decide"], bundles=True)
@example(steps=["decide", "decide", "deliver", "wait", "wait", "die", "decide", "decide"], bundles=True)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=10, max_size=40), bundles=st.booleans())
def test_all_is_told_and_an_id_stands_for_one_content(in_memory: Path, steps: list[str], bundles: bool) -> None:  # noqa: FBT001 - drawn
    """Over any course of decisions, repeats, failures, deaths and pauses; what was noted is noted once."""
    with tempfile.TemporaryDirectory(dir=in_memory) as directory:
        world = World(Path(directory), bundles=bundles)
        for step in steps:
            getattr(world, step)()
        world.finish()
        world.close()
    assert sorted(world.noted) == sorted(f"1-{number}-0" for number in range(1, world.decided + 1))
    assert [message_id for message_id, contents in world.came.items() if len(contents) != 1] == []
