from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.confluent import UNKNOWN_SCHEMA, Book
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Registered, SchemaId
from streams.topics import Topics
from tests.ingest.given import TOPIC, Given, cut, only
from tests.producers import binary
from tests.producers.corpus import (
    DIRECTORY,
    SCHEMAS,
    Placed,
    Tallies,
    Wanted,
    cases,
    interleaved,
    lines_of,
    tallies_of,
    wanted_of,
)

UNKNOWN_ID = 99
Owners = Counter[tuple[str, str, str, str, str]]
"""Detected lines by (service, rule, host, severity, pattern)."""
CORPUS = {case.name: case for case in cases()}


def slicer() -> Slicer:
    """Return a new slicer with the shipped rules, and what the registry of the corpus answers."""
    book = Book()
    known: dict[SchemaId, Registered | str] = {
        number: Registered("AVRO", text.decode()) for number, text in SCHEMAS.items()
    }
    book.learn({**known, UNKNOWN_ID: UNKNOWN_SCHEMA.removeprefix("confluent avro: ")})
    return Slicer(matcher.shipped(), Topics(), book=book)


def delivered(records: Sequence[Placed]) -> list[Given]:
    """Return records as one partition holds them."""
    return [placed.entry.given(offset) for offset, placed in enumerate(records)]


def appended(records: Sequence[Placed]) -> list[int]:
    """Return when each of some records was appended."""
    return [given.timestamp for given in delivered(records)]


def tallied(slices: Sequence[Slice]) -> Tallies:
    """Count lines by second, service, severity and pattern."""
    total: Tallies = Counter()
    for piece in slices:
        for tally in piece.tallies:
            total[tally.at_ms, tally.service, tally.severity, tally.pattern] += tally.count
    return total


def alone(name: str) -> tuple[list[Placed], Cut]:
    """Return the records of a case, and what they come to by themselves."""
    records = interleaved([CORPUS[name]])
    return records, cut(*delivered(records), by=slicer())


@pytest.mark.parametrize("name", binary.FILES)
def test_binary_records_are_what_their_script_builds(name: str) -> None:
    """A file of records that nobody can read as text says nothing that its script does not say."""
    assert (DIRECTORY / f"{name}.jsonl").read_bytes() == binary.built(name)


@pytest.mark.parametrize("name", CORPUS)
def test_every_line_is_accounted_for(name: str) -> None:
    """Each line of a record is counted under its second, service, severity and pattern; what holds none is a reject."""
    records, result = alone(name)
    piece = only(result)
    assert [(r.offset, r.reason) for r in piece.rejects] == rejected(records)
    assert [record.value for record, _ in result.dead] == [p.entry.value for p in records if p.entry.reject]
    assert tallied([piece]) == tallies_of(records, appended(records))
    assert (piece.from_offset, piece.to_offset, piece.lines) == (0, len(records), lines_of(records))


@pytest.mark.parametrize(
    "name", [name for name in CORPUS if any(row.text for e in CORPUS[name].entries for row in e.lines)]
)
def test_detected_lines_say_whose_they_are(name: str) -> None:
    """A detected line has its service, the rule that named it, host, time to the millisecond, place and text."""
    records, result = alone(name)
    wanted = wanted_of(records, appended(records))
    found = sorted(
        (line.offset, line.index, d.service, d.service_rule, d.host, d.severity, d.pattern)
        for d in only(result).detections
        for line in d.lines
    )
    assert found == sorted(
        {(w.offset, w.line, w.row.service, w.row.rule, w.row.host, w.row.severity, w.row.pattern) for w in wanted}
    )
    evidence = {(e.offset, e.index, e.pattern): e for e in result.evidence}
    for w in wanted:
        shown = evidence[w.offset, w.line, w.row.pattern]
        assert shown.at_ms == w.at_ms
        assert w.row.shown(shown.text), shown.text


@pytest.mark.parametrize("records", [1, 7, 100_000])
def test_interleaved(records: int) -> None:
    """All formats mixed in one partition, fetched any number at a time, come to what each comes to alone."""
    entries = interleaved(CORPUS.values())
    given, by = delivered(entries), slicer()
    cuts = [cut(*given[start : start + records], by=by) for start in range(0, len(given), records)]
    slices = [piece for one in cuts for piece in one.slices]
    assert tallied(slices) == tallies_of(entries, appended(entries))
    assert sum(piece.lines for piece in slices) == lines_of(entries)
    assert [piece.from_offset for piece in slices] == [0, *(piece.to_offset for piece in slices[:-1])]
    assert [(r.offset, r.reason) for piece in slices for r in piece.rejects] == rejected(entries)
    assert owned(slices) == owners(wanted_of(entries, appended(entries)), TOPIC)


def rejected(records: Sequence[Placed]) -> list[tuple[int, str]]:
    """Return offset and reason of the records that no decoder takes."""
    return [(offset, placed.entry.reject) for offset, placed in enumerate(records) if placed.entry.reject]


def owners(wanted: Sequence[Wanted], topic: str) -> Owners:
    """Count the lines that are expected to be detected."""
    return Counter((w.row.service_in(topic), w.row.rule, w.row.host, w.row.severity, w.row.pattern) for w in wanted)


def owned(slices: Sequence[Slice]) -> Owners:
    """Count detected lines."""
    total: Owners = Counter()
    for piece in slices:
        for d in piece.detections:
            total[d.service, d.service_rule, d.host, d.severity, d.pattern] += d.count
    return total
