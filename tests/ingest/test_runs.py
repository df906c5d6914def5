"""Runs of records: what is taken as a whole comes to the same as record by record."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.events import Slice
from streams.ingest import matcher, runs
from streams.ingest.runs import RUN_RECORDS, Run, Runs, Shape, _decoded, shape_of
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Record
from streams.topics import Topics
from tests.ingest.given import Given

APPENDED_MS = 1_790_000_000_000
TEXTS = (
    *("all is well", "all is well", "GET /health 200", "Out of memory: Killed process 7 (java)", "Traceback:", ""),
    *(" indented", "\tat com.example.Main(Main.java:7)", "ends so\n", '{"message": "inner"}', "connection refused"),
    *("ERROR something odd happened", "INFO started", "naïve \ud800", "\x00", "x" * 9_000),
    *(" ", "\n", "\r\n", " connection refused", " {", '{"half', "connection refused\r\n", '\n  File "a.py", line 3'),
)
TIMES = (
    *("2026-09-21T12:53:20.000Z", "2026-09-21T12:53:20.999Z", "2026-09-21T12:53:21.5Z", "2026-09-21T12:53:20"),
    *("2026-09-21 12:53:20.000Z", "2026-13-01T00:00:00.000Z", "2027-09-21T12:53:20.000Z", "1999-01-01T00:00:00.000Z"),
    *("2026-09-21T12:53:20.000z", "", "1790000000", "2026-09-21T12:53:20.000Z "),
)
SERVICES = ("api", "web-7d4b9c6f5d-x2x7k", "", "-", "pass=hunter2secret", "db")
LEVELS = ("info", "INFO", "warn", "error", "critical", "odd", "", "30", "50")
VALUES = {
    "message": st.sampled_from(TEXTS),
    "ts": st.sampled_from(TIMES),
    "service": st.sampled_from(SERVICES),
    "level": st.sampled_from(LEVELS) | st.integers(0, 60) | st.none(),
    "host": st.sampled_from(("node-1", "", "node-2")) | st.none(),
    "error": st.sampled_from(("", "boom")),
    "thread": st.sampled_from(("main", 7, None, {"a": [1, "é"]})),
}


@st.composite
def values(draw: st.DrawFn) -> list[bytes]:
    """Draw the values of records: mostly of a few shapes, one after the other, with others between."""
    found: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        keys = draw(st.permutations(["message", "ts", "service"]))
        keys += draw(st.lists(st.sampled_from(["level", "host", "error", "thread"]), unique=True, max_size=2))
        for _ in range(draw(st.integers(1, 20))):
            said = {key: draw(VALUES[key]) for key in keys}
            if draw(st.integers(0, 9)) == 0:
                said.pop(draw(st.sampled_from(keys)))
            value = json.dumps(said).encode()
            if draw(st.integers(0, 14)) == 0:
                odd = (b"", b" " + value, value + b"\n", value[:-1], b"plain text", value[:-1] + b', "ts": "x"}')
                value = draw(st.sampled_from(odd))
            found.append(value)
    return found


def cut(records: Sequence[Record]) -> Cut:
    """Return what a new slicer makes of records."""
    return Slicer(matcher.shipped(), Topics()).cut("logs", 0, 1, records, 0)


def one_by_one(records: Sequence[Record]) -> Cut:
    """Return the same without runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runs, "learn", lambda *_: None)
        return cut(records)


def said(found: Cut) -> object:
    """Return all that a cut says, but for where slices end and in which order they count."""
    tallies: Counter[object] = Counter()
    detections: Counter[object] = Counter()
    for piece in found.slices:
        for tally in piece.tallies:
            tallies[tally.at_ms, tally.service, tally.severity, tally.pattern, tally.template] += tally.count
        for one in piece.detections:
            detections[one.service, one.service_rule, one.host, one.pattern, one.severity, one.template] += one.count
    return tallies, detections, found.evidence, found.dead, found.lines, found.stamps_replaced, _bounds(found.slices)


def _bounds(slices: Sequence[Slice]) -> object:
    at_ms, append_ms = max(one.at_max_ms for one in slices), max(one.append_max_ms for one in slices)
    return slices[0].from_offset, slices[-1].to_offset, at_ms, append_ms


@given(values(), st.lists(st.sampled_from(((), (("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"),)))))
def test_runs_change_nothing_but_the_speed(found: list[bytes], headers: list[tuple[tuple[str, bytes], ...]]) -> None:
    """Whatever records hold: counts, detections, evidence and dead letters are those of one record at a time."""
    records = [
        Given(
            value,
            offset=number,
            timestamp=APPENDED_MS + number,
            headers=headers[number] if number < len(headers) else (),
        )
        for number, value in enumerate(found)
    ]
    assert said(cut(records)) == said(one_by_one(records))


def good(number: int, **other: object) -> dict[str, object]:
    """Return what a record of a run says; lines in which something is seen, levels and times take turns."""
    return {
        "ts": f"2026-09-21T12:53:20.{900 - number % 7:03}Z",
        "service": ("api", "db")[number % 2],
        "message": ("all is well", "Out of memory: Killed process 7 (java)", "ERROR something odd")[number % 3],
        "level": ("info", "error", "warn", "critical")[number % 4],
        "host": f"node-{number % 5}",
        **other,
    }


NESTED = b"[" * 5_000 + b"]" * 5_000
LEFT_OUT = json.dumps({key: value for key, value in good(0).items() if key != "service"}).encode()
ENDS = (
    *(b"", b"plain text", b" " + json.dumps(good(0)).encode(), json.dumps(good(0)).encode() + b"\n", LEFT_OUT),
    *(json.dumps(good(0)).encode()[:-1], json.dumps(good(0)).encode()[:-1] + b', "n": ' + NESTED + b"}"),
    json.dumps(good(0)).encode()[:-1] + b', "ts": "2026-09-21T12:53:19.000Z"}',
    *(json.dumps(good(0, message=text)).encode() for text in (*TEXTS, 7, None)),
    *(json.dumps(good(0, ts=text)).encode() for text in (*TIMES, 7)),
    *(json.dumps(good(0, service=text)).encode() for text in SERVICES),
    *(json.dumps(good(0, level=value)).encode() for value in (30, None, "odd", "")),
    *(json.dumps(good(0, **{key: "boom"})).encode() for key in ("error", "thread", "trace_id")),
)
"""Values of which each may end a run."""


@pytest.mark.parametrize("odd", ENDS, ids=range(len(ENDS)))
def test_what_ends_a_run_is_taken_as_it_would_be_by_itself(odd: bytes) -> None:
    """Neither it nor what stands before and behind it comes to anything else."""
    values = [json.dumps(good(number)).encode() for number in range(24)]
    values[12:12] = [odd]
    records = [Given(value, offset=number, timestamp=APPENDED_MS + number % 5) for number, value in enumerate(values)]
    assert said(cut(records)) == said(one_by_one(records))


@pytest.mark.parametrize("late", [11, 12, 23])
def test_a_time_that_is_ahead_of_its_records_own_append_is_replaced(late: int) -> None:
    """The earliest append of a run is what its times are held against, wherever in it that record stands."""
    records = [
        Given(
            json.dumps(good(number)).encode(),
            offset=number,
            timestamp=APPENDED_MS - (2 * 86_400_000 if number == late else 0),
        )
        for number in range(24)
    ]
    found = cut(records)
    assert found.stamps_replaced == 1
    assert said(found) == said(one_by_one(records))


def test_records_of_one_shape_are_taken_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the first record of a shape, none is decoded to a dictionary."""
    value = b'{"ts": "2026-09-21T12:53:20.000Z", "service": "api", "message": "all is well", "level": "info", "n": %d}'
    records = [Given(value % number, offset=number, timestamp=APPENDED_MS) for number in range(3 * RUN_RECORDS)]
    taken: list[int] = []
    read = Runs.read

    def counting(runs: Runs, some: Sequence[Record]) -> Run:
        run = read(runs, some)
        taken.append(len(run.texts))
        return run

    monkeypatch.setattr(Runs, "read", counting)
    assert cut(records).lines == len(records)
    assert sum(taken) == len(records) - 1


@pytest.mark.parametrize(
    "keys",
    [
        ("message", "ts"),
        ("message", "service"),
        ("message", "ts", "service", "error"),
        ("message", "ts", "service", "level", "severity"),
        ("message", "ts", "service", "severity_number"),
        ("message", "ts", "service", "method", "path", "status"),
    ],
)
def test_what_takes_more_than_text_time_and_service_has_no_shape(keys: tuple[str, ...]) -> None:
    """Details, several levels, numbers for levels and requests are left to who takes one record at a time."""
    assert shape_of(keys) is None
    assert shape_of(("message", "ts", "service")) is not None


@pytest.mark.parametrize("together", [1, 2, 3])
def test_what_stands_behind_the_end_of_a_run_is_decoded_once(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """However often runs end: each record that is not taken by itself is decoded once."""
    decoded: list[int] = []

    def counting(shape: Shape, records: Sequence[Record]) -> list[object]:
        found = _decoded(shape, records)
        decoded.extend(record.offset for record in records[: len(found)])
        return found

    monkeypatch.setattr(runs, "_decoded", counting)
    records = [
        Given(
            json.dumps(good(number, **({"message": ""} if number % 40 < together else {}))).encode(),
            offset=number,
            timestamp=APPENDED_MS,
        )
        for number in range(2 * RUN_RECORDS)
    ]
    assert said(cut(records)) == said(one_by_one(records))
    assert len(decoded) > RUN_RECORDS
    assert max(Counter(decoded).values()) == 1


def test_records_are_let_go_of_when_they_are_cut() -> None:
    """Nothing of a fetch is held while the next one is waited for, also where its last record ended a run."""
    slicer = Slicer(matcher.shipped(), Topics())
    said = [json.dumps(good(number, **({"message": ""} if number == 99 else {}))).encode() for number in range(100)]
    records = [Given(value, offset=number, timestamp=APPENDED_MS) for number, value in enumerate(said)]
    held = weakref.ref(records[50])
    slicer.cut("logs", 0, 1, records, 0)
    del records
    assert held() is None
