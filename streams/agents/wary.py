"""Records that kill the process that slices them: noted before each cut, tried in a child after three deaths.

What a record does to native code, to memory or to time can't be caught. So before a cut it is noted in a file what is
cut, and a process that starts finds there what its predecessor died of. From the third death on the same records are
first cut in a child with limits, one by one; a record that ends the child is refused from then on, so that detect
rejects it alone and goes on with the others.
"""

from __future__ import annotations

import mmap
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec
from msgspec import Struct

from streams import telemetry
from streams.core.config import ZoneSpec
from streams.ingest.slicer import Cut
from streams.ports import Record

if TYPE_CHECKING:
    from streams.agents.detect import Cutter

DEATHS_MAX: Final = 3
"""A process that is killed from outside in the middle of a cut leaves the same note; not this often on one slice."""
RECORD_SECONDS_MAX: Final = 1.0
ADDED_BYTES_MAX: Final = 512 * 1024 * 1024
"""How much memory a record may take in the child; the largest record that is read takes a quarter of it."""
EXIT_DEADLY: Final = 1


class DeadlyRecordError(Exception):
    """Among these records is one that ends processes; of a single record: it is that one."""


class Suspect(Struct):
    """Records of one partition on which processes died, and what the child said of them.

    Those below ``tried_to`` were tried, and ``deadly`` are the offsets of those that ended the child.
    """

    from_offset: int
    to_offset: int
    deaths: int = 1
    tried_to: int = -1
    deadly: list[int] = []


class _Noted(Struct):
    """What is in the file: the cut under way (partition, offsets), and the suspects by partition."""

    now: tuple[str, int, int] | None = None
    suspects: dict[str, Suspect] = {}


class Notes:
    """The file of one process. It outlives a kill -9, not the machine: what does not help another start is no use."""

    def __init__(self, path: Path) -> None:
        """Read what the predecessor left; if it died in a cut, that is one death more."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._noted = msgspec.json.decode(path.read_bytes().partition(b"\n")[0], type=_Noted)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._noted = _Noted()
        if self._noted.now is not None:
            self._died(*self._noted.now)
            self._noted.now = None
            self.save()

    def _died(self, where: str, start: int, end: int) -> None:
        known = self._noted.suspects.get(where)
        if known is None or end <= known.from_offset or known.to_offset <= start:
            self._noted.suspects[where] = Suspect(start, end)
            return
        known.deaths += 1
        if known.tried_to < 0:  # it is in both
            known.from_offset, known.to_offset = max(known.from_offset, start), min(known.to_offset, end)

    def save(self) -> None:
        """Write the notes; a line of JSON, over the one before."""
        os.pwrite(self._file, msgspec.json.encode(self._noted) + b"\n", 0)

    def suspect(self, where: str, end: int) -> Suspect | None:
        """Return what killed processes among the records below ``end`` that are still to be cut; None if nothing."""
        known = self._noted.suspects.get(where)
        return known if known is not None and known.from_offset < end else None

    @contextmanager
    def under_way(self, where: str, start: int, end: int) -> Iterator[None]:
        """Note that records [start, end) are cut. Suspects are forgotten once they were."""
        self._noted.now = where, start, end
        self.save()
        try:
            yield
            known = self._noted.suspects.get(where)
            if known is not None and end >= known.to_offset:
                del self._noted.suspects[where]
        finally:
            self._noted.now = None
            self.save()


class WarySlicer:
    """A slicer (``streams.agents.detect.Cutter``) that refuses with ``DeadlyRecordError`` what ended processes."""

    def __init__(self, slicer: Cutter, notes: Notes) -> None:
        self._slicer = slicer
        self._notes = notes

    def zoned(self, specs: Sequence[ZoneSpec]) -> None:
        """See ``Cutter.zoned``."""
        self._slicer.zoned(specs)

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """See ``Cutter.cut``; after three deaths on these records those that end a child are refused."""
        where, end = f"{source}/{partition}", records[-1].offset + 1 if records else from_offset
        suspect = self._notes.suspect(where, end)
        if suspect is not None and suspect.deaths >= DEATHS_MAX:

            def alone(record: Record) -> None:
                self._slicer.cut(source, partition, term, (record,), record.offset)

            self._refuse(suspect, records, end, alone)
        with self._notes.under_way(where, from_offset, end):
            return self._slicer.cut(source, partition, term, records, from_offset)

    def _refuse(self, suspect: Suspect, records: Sequence[Record], end: int, alone: Callable[[Record], None]) -> None:
        """Try what was not tried; raise when one is deadly, or when they were deadly together and are several."""
        untried = [record for record in records if record.offset >= suspect.tried_to]
        for index in deadly(alone, untried):
            suspect.deadly.append(untried[index].offset)
            suspect.tried_to = untried[index].offset + 1
            self._notes.save()
            telemetry.handled("slicer", f"the record at offset {untried[index].offset} ends processes")
        suspect.tried_to = max(suspect.tried_to, end)
        suspect.to_offset = max(suspect.to_offset, end)
        self._notes.save()
        together = suspect.deaths > DEATHS_MAX and len(records) > 1
        if together or not {record.offset for record in records}.isdisjoint(suspect.deadly):
            raise DeadlyRecordError(f"{len(records)} records after {suspect.deaths} deaths")


def deadly(take: Callable[[Record], None], records: Sequence[Record]) -> Iterator[int]:
    """Yield the index of each record on which a forked child that takes them one by one ends, hangs, or eats memory."""
    begin = 0
    with mmap.mmap(-1, mmap.PAGESIZE) as reached:
        while begin < len(records):
            child = os.fork()
            if not child:
                _take_all(take, records, begin, reached)
            _, status = os.waitpid(child, 0)
            if not status:
                return
            at = int.from_bytes(reached[:8], "little")
            yield at
            begin = at + 1


def _take_all(take: Callable[[Record], None], records: Sequence[Record], begin: int, reached: mmap.mmap) -> NoReturn:
    """Be the child: nothing of the parent's but its memory is touched, and every way out is ``os._exit``."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = _size_bytes() + ADDED_BYTES_MAX
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for index in range(begin, len(records)):
            reached[:8] = index.to_bytes(8, "little")
            signal.setitimer(signal.ITIMER_REAL, RECORD_SECONDS_MAX)
            try:
                take(records[index])
            except MemoryError:
                os._exit(EXIT_DEADLY)
            except Exception:  # noqa: BLE001, S110 - an error is no death: detect rejects such a record by itself
                pass
        os._exit(0)
    finally:
        os._exit(EXIT_DEADLY)


def _size_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * mmap.PAGESIZE
