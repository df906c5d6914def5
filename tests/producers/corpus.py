"""Records as producers write them, with what each is expected to come to. ``README.md`` says where they are from.

A file of ``corpus/`` is one producer; a line of it is one record with its expectation; records of the same ``case``
follow each other in one partition, as the lines of a trace do.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from tests.ingest.given import APPEND_MS, TOPIC, Given, at

DIRECTORY = Path(__file__).parent / "corpus"
DAY_MS = 86_400_000
SCHEMAS = {
    1: b"""{"type": "record", "name": "Line", "namespace": "shop", "fields": [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "service", "type": "string"},
        {"name": "level", "type": ["null", "string"], "default": null},
        {"name": "message", "type": "string"}]}"""
}
"""What the registry of the corpus knows."""
Tallies = Counter[tuple[int, str, str, str]]
"""Lines by (second in ms, service, severity, pattern)."""


class Row(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ``times`` lines of a record are expected to come to.

    ``at`` is an ISO time; without its year (``02-01T10:00:00Z``) when the line has none; None for the append time.
    ``text`` is there when the line is expected to be detected: all of its evidence, or its beginning when ``more``
    lists what follows in it. ``index`` and ``back`` say which line stands for it: of this record, or of one so many
    records before in its case.
    """

    at: str | None
    service: str
    rule: str
    severity: str
    host: str = ""
    pattern: str = ""
    text: str | None = None
    more: tuple[str, ...] = ()
    index: int = 0
    back: int = 0
    times: int = 1

    def at_ms(self, append_ms: int) -> int:
        """Return when the line happened, for a record that was appended at ``append_ms``."""
        if self.at is None:
            return append_ms
        if self.at[4] == "-":
            return at(self.at)
        year = datetime.fromtimestamp(append_ms / 1000, UTC).year
        return max(ms for ms in (at(f"{y}-{self.at}") for y in range(year - 1, year + 2)) if ms <= append_ms + DAY_MS)

    def service_in(self, topic: str) -> str:
        """Return the service; a line that nothing names belongs to the topic."""
        return topic if self.rule == "topic" else self.service

    def shown(self, evidence: str) -> bool:
        """Say whether the text of the evidence is the expected one."""
        if not self.more:
            return evidence == self.text
        rest = evidence.removeprefix(self.text or "")
        return rest != evidence and all(part in rest for part in self.more)


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A record: its value as JSON, text or base64, followed by ``tail`` (piece, times, end) when it is long."""

    case: str
    key: str | None = None
    headers: dict[str, str] = {}
    append: str = ""
    json: Raw = Raw(b"")
    text: str | None = None
    base64: str | None = None
    tail: tuple[str, int, str] = ("", 0, "")
    reject: str = ""
    lines: tuple[Row, ...] = ()

    @property
    def value(self) -> bytes | None:
        """Return the record's value, byte by byte as the producer wrote it."""
        if self.json:
            return bytes(self.json)
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        if self.text is None:
            return None
        piece, times, end = self.tail
        return (self.text + piece * times + end).encode()

    @property
    def key_bytes(self) -> bytes | None:
        """Return the record's key."""
        return None if self.key is None else self.key.encode()

    @property
    def header_bytes(self) -> tuple[tuple[str, bytes], ...]:
        """Return the record's headers."""
        return tuple((name, value.encode()) for name, value in self.headers.items())

    def given(self, offset: int) -> Given:
        """Return the record as a broker would deliver it."""
        stamp = at(self.append) if self.append else APPEND_MS
        return Given(self.value, offset, self.key_bytes, self.header_bytes, stamp)


class Case(NamedTuple):
    """The records of one case of a producer, in order."""

    name: str
    entries: tuple[Entry, ...]


class Placed(NamedTuple):
    """A record among those of one partition, and where in it the earlier records of its case stand."""

    entry: Entry
    before: tuple[int, ...] = ()

    def head(self, row: Row, own: int) -> int:
        """Return where the record stands whose line stands for a row; ``own`` is where this one does."""
        return self.before[-row.back] if row.back else own


class Wanted(NamedTuple):
    """A row that is expected to be detected, and the coordinates that stand for it."""

    offset: int
    line: int
    at_ms: int
    row: Row


def cases() -> list[Case]:
    """Return the whole corpus."""
    found = []
    for path in sorted(DIRECTORY.glob("*.jsonl")):
        entries = [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()]
        for case, members in groupby(entries, key=lambda entry: entry.case):
            found.append(Case(f"{path.stem}: {case}", tuple(members)))
    return found


def interleaved(corpus: Iterable[Case]) -> list[Placed]:
    """Return the records of all cases in turn: first the first of each, then the second."""
    found: list[Placed] = []
    before: dict[int, tuple[int, ...]] = {}
    for turn in zip_longest(*(case.entries for case in corpus)):
        for number, entry in enumerate(turn):
            if entry is not None:
                earlier = before.get(number, ())
                before[number] = (*earlier, len(found))
                found.append(Placed(entry, earlier))
    return found


def lines_of(records: Iterable[Placed]) -> int:
    """Return how many lines records hold."""
    return sum(row.times for placed in records for row in placed.entry.lines)


def tallies_of(records: Sequence[Placed], appended: Sequence[int], topic: str = TOPIC) -> Tallies:
    """Return the expected tallies of records that were appended to a topic at these times."""
    total: Tallies = Counter()
    for number, placed in enumerate(records):
        for row in placed.entry.lines:
            at_ms = row.at_ms(appended[placed.head(row, number)])
            total[at_ms - at_ms % 1000, row.service_in(topic), row.severity, row.pattern] += row.times
    return total


def wanted_of(records: Sequence[Placed], appended: Sequence[int]) -> list[Wanted]:
    """Return the rows that are expected to be detected, of records that stand in one partition from offset 0 on."""
    found = []
    for number, placed in enumerate(records):
        for row in placed.entry.lines:
            if row.text is not None:
                head = placed.head(row, number)
                found.append(Wanted(head, row.index, row.at_ms(appended[head]), row))
    return found
