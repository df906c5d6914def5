"""What is shed under pressure, when, and what never is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.core.beside import Evidence
from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.shedding import LOOK_MS, TEMPLATES, TEXTS, Pressure, rung_of
from streams.ingest.slicer import Cut, Slicer
from streams.topics import Topics
from tests.ingest.given import cut, json, only, records, redactor

SAID = st.sampled_from(
    [
        json(service="api", level="info", message="request 17 done"),
        json(service="api", level="error", message="cannot frobnicate the wibble of 10.0.0.1"),
        json(service="api", level="critical", message="cannot frobnicate the wibble of 10.0.0.1"),
        json(service="db", level="warning", message="write failed: No space left on device"),
        json(service="db", level="fatal", message="worker process crashed: segmentation fault (core dumped)"),
        b'2024-02-01 10:00:00 ERROR job failed\nTraceback (most recent call last):\n  File "a.py", line 1, in b',
        b'  File "a.py", line 1, in b',
        b"\x00\x01\x02\x03\xff\xfe",
    ]
)
UNKNOWN = json(service="api", level="error", message="cannot frobnicate the wibble")
KNOWN = json(service="db", level="warning", message="write failed: No space left on device")
CRITICAL = json(service="api", level="critical", message="cannot frobnicate the wibble")


def under(rung: int) -> Slicer:
    """Return a slicer of the shipped rules that sheds this much."""
    pressure = Pressure()
    pressure.rung = rung
    return Slicer(matcher.shipped(), Topics(), redactor(), pressure=pressure)


def critical(result: Cut) -> tuple[bytes, list[Evidence]]:
    """Return the bytes of a slice with nothing but its critical detections and tallies, and their evidence."""
    piece = only(result)
    bare = Slice(
        **{name: getattr(piece, name) for name in ("source", "partition", "term", "from_offset", "to_offset", "lines")},
        rules_sha256=piece.rules_sha256,
        at_max_ms=piece.at_max_ms,
        append_max_ms=piece.append_max_ms,
        detections=tuple(one for one in piece.detections if one.severity in {"critical", "fatal"}),
        tallies=tuple(one for one in piece.tallies if one.severity in {"critical", "fatal"}),
        rejects=piece.rejects,
    )
    return codec.encode(bare), [one for one in result.evidence if one.severity in {"critical", "fatal"}]


@given(st.lists(SAID, min_size=1, max_size=12), st.sampled_from([TEMPLATES, TEXTS]))
def test_what_is_critical_is_byte_for_byte_what_it_is_without_pressure(said: list[bytes], rung: int) -> None:
    """Critical detections, their counts, places, templates and text, and what was rejected, are the same bytes."""
    assert critical(cut(*records(*said), by=under(rung))) == critical(cut(*records(*said), by=under(0)))


@given(st.lists(SAID, min_size=1, max_size=12), st.sampled_from([TEMPLATES, TEXTS]))
def test_every_line_is_counted(said: list[bytes], rung: int) -> None:
    """Lines by second, service, severity and rule are the same; only templates are missing, and as many as it says."""
    kept, coarse = (only(cut(*records(*said), by=under(each))) for each in (0, rung))

    def counts(piece: Slice) -> Counter[tuple[int, str, str, str]]:
        found: Counter[tuple[int, str, str, str]] = Counter()
        for one in piece.tallies:
            found[one.at_ms, one.service, one.severity, one.pattern] += one.count
        return found

    assert counts(coarse) == counts(kept)
    assert coarse.lines == kept.lines
    templated = [sum(one.count for one in piece.tallies if one.template) for piece in (kept, coarse)]
    assert templated[0] - templated[1] == coarse.shed_templates
    assert kept.shed_templates == kept.shed_texts == 0


@pytest.mark.parametrize(
    ("rung", "patterns", "texts", "shed"),
    [
        (0, ["", "disk_full", ""], 3, (0, 0)),
        (TEMPLATES, ["disk_full", ""], 2, (1, 0)),
        (TEXTS, ["disk_full", ""], 1, (1, 1)),
    ],
)
def test_templates_go_first_and_texts_after_them(
    rung: int, patterns: list[str], texts: int, shed: tuple[int, int]
) -> None:
    """The slice says how many lines lost their template, and how many named ones their text."""
    result = cut(*records(UNKNOWN, KNOWN, CRITICAL), by=under(rung))
    piece = only(result)
    assert [one.pattern for one in piece.detections] == patterns
    assert len(result.evidence) == texts
    assert (piece.shed_templates, piece.shed_texts) == shed
    assert all(one.lines for one in piece.detections)


@given(st.lists(SAID, min_size=1, max_size=12), st.sampled_from([0, TEMPLATES, TEXTS]))
def test_a_slice_says_how_it_is_cut_again(said: list[bytes], rung: int) -> None:
    """The same records at the rung that a slice tells give the same slice and the same evidence."""
    result = cut(*records(*said), by=under(rung))
    assert cut(*records(*said), by=under(rung_of(only(result)))) == result


def rungs(*lags_s: float, limit_s: int = 60) -> list[int]:
    """Return the rung after each of some looks, at which lag was so many seconds."""
    pressure = Pressure(limit_s * 1_000)
    found = []
    pressure.seen(int(lags_s[0] * 1_000), 0)
    for number, lag_s in enumerate(lags_s, start=1):
        pressure.seen(int(lag_s * 1_000), number * LOOK_MS)
        found.append(pressure.rung)
    return found


@pytest.mark.parametrize(
    ("lags_s", "expected"),
    [
        ((58, 62, 66, 70), [0, 1, 2, 2]),  # falls further and further back
        ((0, 5, 10, 15), [0, 0, 0, 0]),  # not so far yet
        ((600, 500, 400, 300, 200, 100, 10), [0] * 7),  # an outage is over
        ((58, 62, 61, 50, 40, 29), [0, 1, 1, 1, 1, 0]),  # stays until half of the limit
        ((58, 62, 61, 61.5, 62.4, 63.1), [0, 1, 1, 1, 1, 2]),  # slow growth adds up
        ((0.1, 3_600.1, 3_600.4, 3_600.2, 3_600.5), [0] * 5),  # a clock was set
        ((90, 90.4, 90.1, 90.4), [0] * 4),  # a clock that is ahead
        ((0, 300, 240, 180), [0] * 4),  # a partition was taken from another process
    ],
)
def test_what_falls_further_back_sheds(lags_s: tuple[float, ...], expected: list[int]) -> None:
    """Lag beyond the limit that grows climbs a rung a look; a backlog that shrinks and clocks that jump do not."""
    assert rungs(*lags_s) == expected


def test_a_limit_of_zero_never_sheds() -> None:
    """Whoever sets it to 0 keeps everything however late it is."""
    assert rungs(58, 62, 66, 70, limit_s=0) == [0, 0, 0, 0]
