from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.ports import TopicPartition
from streams.runtime.readiness import Announcing


class Entry:
    """A row of a table that refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


class Resting:
    """An engine with a table and nothing to do."""

    def __init__(self) -> None:
        self.table: list[Entry] = []

    async def load(self, partitions: object) -> dict[TopicPartition, int]:
        """Make the table anew."""
        self.table = [Entry() for _ in range(100)]
        return {}

    async def process(self, batch: object) -> None:
        """Do nothing."""

    async def idle(self) -> None:
        """Do nothing."""


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_what_an_engine_holds_once_it_is_loaded_is_not_looked_at_again(tmp_path: Path) -> None:
    """After it has taken its partitions, the collector no longer looks at what the engine holds."""
    engine = Resting()
    await Announcing(engine, tmp_path).load([])
    looked_at = {id(one) for one in gc.get_objects()}
    assert len(engine.table) == 100
    assert not looked_at & {id(entry) for entry in engine.table}


async def test_what_is_dropped_at_the_next_load_is_not_kept_for_ever(tmp_path: Path) -> None:
    """What refers to itself and is not held any more is freed when partitions are taken the next time."""
    engine = Resting()
    announcing = Announcing(engine, tmp_path)
    await announcing.load([])
    dropped = weakref.ref(engine.table[0])
    await announcing.load([])
    assert dropped() is None
