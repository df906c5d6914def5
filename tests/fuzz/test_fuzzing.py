"""A few thousand fuzzed records with every test run; ``make fuzz`` tries a million, and asks for the time too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec
import pytest

from streams import codec
from streams.core.errors import InputError
from streams.ingest import matcher
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Record
from tests.fuzz import files
from tests.fuzz.__main__ import rerun, run
from tests.fuzz.domains import DOMAINS, Tally, tried, trouble
from tests.fuzz.trial import CHUNK_RECORDS, TOPICS, Failure, an_event, chunk

SECRET = b"hunter2"
CHUNKS = 6


class Breaking(Slicer):
    """A slicer with bugs: it fails on one secret, and forgets records that say ``AKIA``."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Cut, fail, or cut too little."""
        if any(SECRET in (record.value or b"") for record in records):
            raise ZeroDivisionError("hunter2")
        cut = super().cut(source, partition, term, records, from_offset)
        if cut.slices and any(b"AKIA" in (record.value or b"") for record in records):
            return msgspec.structs.replace(cut, slices=(*cut.slices[1:], cut.slices[0]), dead=())
        return cut


def breaking() -> Slicer:
    """Return a slicer with the bugs."""
    return Breaking(matcher.shipped(), TOPICS)


@pytest.mark.parametrize("number", range(4))
def test_a_chunk_of_records_is_accounted_for(number: int) -> None:
    """Nothing is raised, lost or unreadable, whatever the records are."""
    done = chunk(seed=2026, number=number)
    assert done.records >= CHUNK_RECORDS
    assert [failure for failure in done.failures if failure.problem != "slow"] == []


def test_a_seed_and_a_number_make_the_same_records_again() -> None:
    """What failed once can be seen again."""
    first, again = chunk(7, 3, 200), chunk(7, 3, 200)
    assert (first.records, first.lines, first.rejects, first.value_bytes) == (
        again.records,
        again.lines,
        again.rejects,
        again.value_bytes,
    )


def test_a_crash_is_found_with_the_record_that_makes_it() -> None:
    """The others of its batch are not blamed."""
    done = chunk(1, 1, make=breaking)
    crashes = [failure for failure in done.failures if failure.problem == "ZeroDivisionError: hunter2"]
    assert crashes
    assert all(SECRET in (failure.value or b"") for failure in crashes)


def test_records_that_are_forgotten_are_found() -> None:
    """A cut that leaves something out is a failure, without any exception."""
    problems = {failure.problem for failure in chunk(1, 1, make=breaking).failures}
    assert problems & {"rejects are not the dead letters", "slices do not join"}


def test_a_run_ends_well_when_nothing_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its sums are printed, and no file of failures is written."""
    status = run(seed=5, inputs=1, jobs=1, seconds=60.0, out=tmp_path / "failures")
    assert "seed 5: " in capsys.readouterr().out
    assert (tmp_path / "failures").exists() == bool(status)


def test_failures_can_be_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds the bytes: a record that is fine by now is said to be."""
    kept = Failure(
        problem="crash", seed=1, chunk=1, cpu_ms=1.0, topic="logs", value=b"\xff{", key=None, headers=(), timestamp=0
    )
    path = tmp_path / "failures"
    path.write_bytes(msgspec.json.encode(kept) + b"\n")
    assert rerun(path) == 0
    assert "nothing" in capsys.readouterr().out


def test_every_domain_takes_some_of_its_inputs_and_refuses_others() -> None:
    """Inputs that are all refused at once would try nothing behind the first check."""
    tallies: dict[str, Tally] = {}
    for number in range(CHUNKS):
        assert list(trouble(Random(number), tallies)) == []
    assert {name for name, tally in tallies.items() if tally.taken and tally.refused} == {*DOMAINS, "facts"}


def test_an_error_that_no_domain_knows_is_found() -> None:
    """What is neither taken nor refused is a failure, and said."""

    def fail() -> bool:
        raise ZeroDivisionError("once")

    tally = Tally()
    assert tried(fail, tally) == "ZeroDivisionError: once"
    assert tally.inputs == 0


@pytest.mark.parametrize(
    "text", [b"a = " + b"[" * 4000, b"\xff", b"a = 1e400", b'[[rules]]\nid = "\\ud800"', b"[[services]]"]
)
def test_a_damaged_file_is_refused(text: bytes) -> None:
    """Whatever is in it, reading it gives the error that names the file."""
    assert not files.taken(text)


def refused(data: bytes) -> InputError | None:
    """Return the error at which decoding fails, or None."""
    try:
        codec.decode(data)
    except InputError as error:
        return error
    return None


DAMAGED = 5_000


def test_the_same_damaged_event_is_refused_with_the_same_words() -> None:
    """A reason is recorded in a slice, so it depends on the bytes alone, not on objects of this process."""
    random = Random(2026)
    for data in [an_event(random) for _ in range(DAMAGED)]:
        first = refused(data)  # still held, so that what the second decoding makes stands at other addresses
        assert str(first) == str(refused(data)), data


def test_damaged_events_are_refused_for_few_reasons() -> None:
    """Numbers and names of events apart there are a dozen; none is a text of the library that reads Avro."""
    random = Random(2027)
    said = {str(refused(an_event(random))) for _ in range(DAMAGED)} - {"None"}
    shapes = {re.sub(r"malformed \w+|fingerprint \w*|\d+(?= bytes)", "*", text) for text in said}
    assert len(said) > len(shapes)
    assert shapes == {
        "*: cut short, or a length in it is wrong",
        "*: cut short, or the number of a branch or symbol in it is wrong",
        "*: a text in it is no UTF-8",
        "*: * bytes follow it",
        "unknown schema *: written by a newer release?",
        "not an event: no Avro single-object marker",
    }
