"""Records that end the process that slices them, and what keeps detect from dying of them for ever: the real one.

``streams.agents.wary`` notes in a file what is cut, and tries it in a forked child after three deaths. Here the file is
real, a death is ``KilledError``, and the child is a call.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from streams.agents import wary
from streams.core.config import RuleSet
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Record
from tests.sim.kernel import KilledError, World
from tests.sim.scene import slicer_for


class SimNotes(wary.Notes):
    """Notes to which nothing is added once their process is dead: what unwinds a stack here would end at once there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_dead = False
        weakref.finalize(self, os.close, self._file)

    def save(self) -> None:
        """Write the notes."""
        if not getattr(self, "is_dead", False):
            super().save()


class Mortal:
    """A slicer (``Cutter``) in the process itself: it dies with it."""

    def __init__(self, slicer: Slicer, notes: SimNotes, world: World) -> None:
        self._slicer = slicer
        self._notes = notes
        self._world = world
        self.zoned = slicer.zoned

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Cut, or die."""
        try:
            return self._slicer.cut(source, partition, term, records, from_offset)
        except KilledError:
            if not _CHILDREN:
                self._notes.is_dead = True
                self._world.plays("record that kills its process")
            raise


_CHILDREN: list[int] = []
"""Holds something while a child would be at work."""


def wary_slicers(path: Path, world: World) -> Callable[[RuleSet], wary.WarySlicer]:
    """Return how one process makes its slicers; the file at ``path`` outlives it."""
    notes = SimNotes(path)
    return lambda rules: wary.WarySlicer(Mortal(slicer_for(rules), notes, world), notes)


def _deadly(take: Callable[[Record], None], records: Sequence[Record]) -> Iterator[int]:
    for index, record in enumerate(records):
        _CHILDREN.append(index)
        try:
            take(record)
        except KilledError:
            yield index
        except Exception:  # noqa: BLE001 - as in the product: an error is no death
            pass
        finally:
            _CHILDREN.pop()


def childless() -> Any:
    """Patch the wary slicer to call what it would have a child do."""
    return mock.patch.object(wary, "deadly", _deadly)
