"""The corpus through a whole fleet: folded, archived, asked and explained, and on no screen or disk a secret."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from analytics.manifest import SEGMENTS
from streams.cli import main
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.ingest.given import Given, cut, slicer
from tests.ingest.redaction import corpus
from tests.ingest.redaction.embedding import WAYS
from tests.ingest.redaction.making import RUN, Case

LEAKS_MAX = len(corpus.whole()) // 100
QUESTIONS = ("FROM lines", "FROM detections", "FROM decisions", "FROM incidents", "FROM tallies", "FROM rejects")


@pytest.fixture(scope="module")
def history() -> History:
    """Return what a fleet recorded of the corpus, each case in another producer's way."""
    history = History()
    history.begin()
    by = slicer()
    for offset, case in enumerate(corpus.whole()):
        way = WAYS[offset % len(WAYS)]
        line = f"no space left on device, {case.line}"
        found = cut(Given(way(line), offset=offset, timestamp=history.now_ms), by=by)
        for one in found.evidence:
            history.put(history.topics.evidence, one)
        for piece in found.slices:
            history.fact(piece)
    return history


@pytest.fixture(scope="module")
def home(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with the event log of that."""
    data_dir = tmp_path_factory.mktemp("home")
    asyncio.run(archive(history, data_dir / "log"))
    return data_dir


@pytest.fixture(autouse=True)
def _in_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(home))


def shown(*arguments: str) -> str:
    """Return all that a command prints."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def texts(value: object) -> Iterator[str]:
    """Yield every text in a cell, those in bytes and nested values too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def left_in(text: str) -> list[Case]:
    """Return the cases of whose secret a run is left in a text, which is long: all its own runs are taken once."""
    there = {text[at : at + RUN] for at in range(len(text) - RUN + 1)}
    return [case for case in corpus.whole() if any(run in (there if len(run) == RUN else text) for run in case.runs())]


def test_the_fleet_had_something_to_say(history: History, home: Path) -> None:
    """The corpus opens incidents and leaves evidence: the claims below are about full tables."""
    assert any(decision.kind == "incident_opened" for decision in history.decisions)
    rows = shown("sql", "SELECT count(*) AS n FROM lines").split()
    assert int(rows[-1]) == len(corpus.whole())


def test_segments_hold_no_secret(home: Path) -> None:
    """No column of any segment, nested values and raw records included, has a secret."""
    cells: list[str] = []
    for file in (home / "log" / SEGMENTS).glob("*.parquet"):
        for column in pq.read_table(file).to_pydict().values():
            cells.extend(text for cell in column for text in texts(cell))
    assert cells
    assert len(left := left_in("\0".join(cells))) <= LEAKS_MAX, left


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_sql_shows_no_secret(form: str) -> None:
    """No answer about lines, detections and decisions shows a secret, in any form."""
    answers = "\0".join(shown("sql", question, "--format", form) for question in QUESTIONS)
    assert re.search(r"\[value:[0-9a-f]{12}\]", answers)
    assert len(left := left_in(answers)) <= LEAKS_MAX, left


def test_why_shows_no_secret(history: History) -> None:
    """No explanation of an incident shows a secret, to people or as JSON."""
    incidents = {decision.incident for decision in history.decisions if decision.incident}
    answers = "\0".join(shown("why", one) + shown("why", one, "--json") for one in incidents)
    assert re.search(r"\[[a-z]+:[0-9a-f]{12}\]", answers)
    assert len(left := left_in(answers)) <= LEAKS_MAX, left
