"""Records that kill the process which slices them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from streams.agents.wary import ADDED_BYTES_MAX, DeadlyRecordError, Notes, WarySlicer
from streams.core.config import ZoneSpec
from streams.ingest.slicer import Cut
from streams.ports import Fetched, Record

DIED, REFUSED, CUT = "died", "refused", "cut"


class Fragile:
    """A slicer that dies of some values."""

    def zoned(self, specs: Sequence[ZoneSpec]) -> None:
        """Take no notice."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Die of "kill", sleep over "hang", eat memory for "eat", fail on "fail", and of two "heavy" ones at once."""
        values = [record.value for record in records]
        if b"kill" in values or values.count(b"heavy") > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"hang" in values:
            time.sleep(600)
        if b"eat" in values:
            bytes(2 * ADDED_BYTES_MAX)
        if b"fail" in values:
            raise ValueError("no line")
        return Cut(slices=(), evidence=(), dead=(), lines=len(records), stamps_replaced=0)


def records_of(*values: bytes) -> list[Record]:
    """Return records from offset 100 on."""
    return [Fetched("logs", 0, 100 + index, 0, None, value) for index, value in enumerate(values)]


def in_a_process(work: Callable[[], None]) -> int:
    """Run in a process of its own; return its status, 128 and more for the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            work()
        except DeadlyRecordError:
            os._exit(3)
        except Exception:  # noqa: BLE001 - the status tells
            os._exit(4)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return 128 - status if status < 0 else status


def halved(slicer: WarySlicer, records: Sequence[Record], told: list[int]) -> None:
    """Cut as detect does: by halves when it does not go together; ``told`` gets what no slice can be made of."""
    try:
        slicer.cut("logs", 0, 1, records, records[0].offset)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as detect does
        if len(records) == 1:
            told.append(records[0].offset)
            return
        half = len(records) // 2
        halved(slicer, records[:half], told)
        halved(slicer, records[half:], told)


def process(path: Path, records: Sequence[Record], rejects: Sequence[int]) -> Callable[[], None]:
    """Return what a process does: cuts; it fails unless it rejected exactly ``rejects``."""

    def work() -> None:
        told: list[int] = []
        halved(WarySlicer(Fragile(), Notes(path)), records, told)
        assert told == list(rejects)

    return work


@pytest.mark.parametrize("deadly", [b"kill", b"hang", b"eat"])
def test_what_ends_a_child_is_rejected_alone(tmp_path: Path, deadly: bytes) -> None:
    """After three deaths on a slice, the records that end, hang or bloat a child are rejected, the others are not."""
    path = tmp_path / "notes"
    for _ in range(3):  # whatever the record does to a process, that one ends in the middle of the cut
        assert in_a_process(process(path, records_of(b"a", b"kill", b"b"), ())) == 128 + signal.SIGKILL
    values = records_of(b"a", deadly, b"b", deadly, b"fail")
    assert in_a_process(process(path, values, (101, 103, 104))) == 0


def test_what_is_deadly_together_is_cut_apart(tmp_path: Path) -> None:
    """Records that kill a process only together are cut one by one after a fourth death."""
    path, values = tmp_path / "notes", records_of(b"heavy", b"a", b"heavy")
    for _ in range(4):
        assert in_a_process(process(path, values, ())) == 128 + signal.SIGKILL
    assert in_a_process(process(path, values, ())) == 0


def test_deaths_elsewhere_are_not_counted_together(tmp_path: Path) -> None:
    """Three deaths at different places make nobody a suspect: the fourth process cuts without a child."""
    path = tmp_path / "notes"
    for begin in range(3):
        assert in_a_process(process(path, records_of(*[b"a"] * begin, b"kill")[begin:], ())) == 128 + signal.SIGKILL
    assert in_a_process(process(path, records_of(b"a", b"a", b"a", b"kill")[3:], ())) == 128 + signal.SIGKILL


def test_suspects_are_forgotten_once_they_are_cut(tmp_path: Path) -> None:
    """What was cut after all leaves no suspect: three more deaths are needed there."""
    path = tmp_path / "notes"
    for _ in range(2):
        assert in_a_process(process(path, records_of(b"kill"), ())) == 128 + signal.SIGKILL
    assert in_a_process(process(path, records_of(b"a"), ())) == 0
    for _ in range(3):
        assert in_a_process(process(path, records_of(b"kill"), ())) == 128 + signal.SIGKILL
    assert in_a_process(process(path, records_of(b"kill"), (100,))) == 0


def test_damaged_notes_are_no_notes(tmp_path: Path) -> None:
    """A file that holds no notes is begun anew."""
    path = tmp_path / "notes"
    path.write_bytes(b"\xff{")
    assert in_a_process(process(path, records_of(b"a"), ())) == 0
