"""How many of the corpus's secrets are left in what detect appends, and how many harmless lines it alters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.codec import encode
from streams.ingest.redact import Redactor
from streams.ingest.slicer import Cut
from tests.ingest.given import Given, cut, slicer
from tests.ingest.redaction import corpus
from tests.ingest.redaction.embedding import WAYS, Embed
from tests.ingest.redaction.making import Case

HERE = Path(__file__).parent
LABELLED = HERE.parent / "labelled"
RECALL_MIN = 0.99
BENIGN = [line for line in (HERE / "benign.txt").read_text("utf-8").splitlines() if line]


def stored(found: Cut) -> str:
    """Return all that a cut gives to our topics, dead letters aside, as the text that its bytes hold."""
    made = [encode(event) for event in (*found.slices, *found.evidence)]
    reasons = [reason.encode() for _, reason in found.dead]
    return b"\0".join((*made, *reasons)).decode("utf-8", "replace")


def leaks(cases: tuple[Case, ...], way: Embed) -> list[Case]:
    """Return the cases whose secret is left when each stands in a record of its own; all must give evidence."""
    by = slicer()
    left = []
    for offset, case in enumerate(cases):
        found = cut(Given(way(case.line), offset=offset), by=by)
        assert found.evidence, f"no evidence of {case.line}"
        if case.left_in(stored(found)):
            left.append(case)
    return left


def test_the_corpus_is_large() -> None:
    """There are at least three hundred secrets, no two alike, in at least twenty shapes, half of them held out."""
    cases = corpus.whole()
    assert len({case.secret for case in cases}) >= 300
    assert len({case.shape for case in cases}) >= 20
    assert len(corpus.half("held_out")) >= 150


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("half", ["held_out", "second"])
def test_secrets_are_gone_from_what_is_stored(half: str, way: Embed) -> None:
    """Of each half, written in each way, 99 of 100 secrets leave no eight characters in slices and evidence."""
    cases = corpus.half(half)
    left = leaks(cases, way)
    assert len(left) <= (1 - RECALL_MIN) * len(cases), [case.line[:200] for case in left]


def test_the_corpus_would_show_a_leak() -> None:
    """A secret that is not redacted is counted: this keeps the figure above from being empty."""
    case = Case("none", "error: the colour is Kestrel-1999-indigo today", "Kestrel-1999-indigo")
    assert all(leaks((case,), way) == [case] for way in WAYS)


@pytest.mark.parametrize("line", BENIGN)
def test_harmless_line_is_kept(line: str) -> None:
    """Ids, hashes, counters, addresses and talk of passwords stay as they are."""
    assert Redactor().text(line) == line


def test_labelled_lines_are_kept() -> None:
    """Of the real lines that the rules are tested with, less than one in a hundred is altered."""
    lines = [
        json.loads(row)["line"][:1000]
        for path in sorted(LABELLED.glob("*.jsonl"))
        for row in path.read_text("utf-8").splitlines()
    ]
    assert len(lines) > 100
    redactor = Redactor()
    altered = [line for line in lines if redactor.text(line) != line]
    assert len(altered) < 0.01 * len(lines), altered
