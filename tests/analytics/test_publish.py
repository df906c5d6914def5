"""The published file: every view as a table, for a DuckDB that has never heard of us."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from analytics import publish as publishing
from analytics.dictionary import views
from analytics.manifest import SEGMENTS, load
from analytics.publish import publish
from analytics.views import VIEWS, EventLog
from streams.core.errors import InputError, InvariantError
from tests.analytics.archive import archive
from tests.analytics.trouble import troubled

COLUMNS = "FROM duckdb_columns() WHERE table_name = 'tasks'"
FEW = ("facts", "lines", "incidents")
NOW = datetime(2027, 1, 16)  # noqa: DTZ001 - the log's times are UTC without a zone


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """Return the log of a history with something of everything."""
    directory = tmp_path_factory.mktemp("log")
    asyncio.run(archive(troubled(), directory))
    with EventLog(directory) as one:
        yield one


@pytest.fixture(scope="module")
def file(log: EventLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that this log is published as."""
    path = tmp_path_factory.mktemp("out") / "it's published.duckdb"
    publish(log, path, NOW, force=False)
    return path


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish three views only: all of them take a second."""
    held = tuple(view for view in views() if view.name in FEW)
    monkeypatch.setattr(publishing, "views", lambda: held)


def test_every_view_is_a_table_with_the_same_rows(log: EventLog, file: Path) -> None:
    """Columns, types and rows of each table are those of its view."""
    with duckdb.connect(str(file), read_only=True) as reader:
        for view in VIEWS:
            described = f"SELECT column_name, column_type FROM (DESCRIBE {view})"
            assert reader.sql(described).fetchall() == log.query(described).rows(), view
            if view in {"specialists", "coordination"}:  # how long somebody is held grows with the time
                continue
            mine, theirs = log.connection.sql(f"FROM {view}").fetchall(), reader.sql(f"FROM {view}").fetchall()
            assert sorted(map(repr, theirs)) == sorted(map(repr, mine)), view


def test_a_plain_duckdb_opens_it(file: Path) -> None:
    """A program that can import nothing of ours finds the tables and asks them."""
    program = (
        "import duckdb, json, sys\n"
        "reader = duckdb.connect(sys.argv[1], read_only=True)\n"
        "asked = 'SELECT status, count(*) FROM incidents GROUP BY status ORDER BY status'\n"
        "print(json.dumps(reader.sql(asked).fetchall()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(file)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd="/",
    )
    assert json.loads(done.stdout) == [["escalated", 1], ["healed", 1], ["open", 1], ["subsided", 5]]


def test_it_says_what_it_holds(log: EventLog, file: Path) -> None:
    """``published`` names every table with its rows, what it is, and the moment; comments say what each column is."""
    with duckdb.connect(str(file), read_only=True) as reader:
        rows = reader.sql("SELECT view, rows, description, published_at, manifest_version FROM published").fetchall()
        comments = dict(reader.sql("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        columns = dict(reader.sql(f"SELECT column_name, comment {COLUMNS}").fetchall())
        versions = reader.sql("SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert [row[0] for row in rows] == list(VIEWS)
    for view, count, text, at, version in rows:
        assert count == log.query(f"SELECT count(*) FROM {view}").item()
        assert (at, version) == (NOW, log.manifest.version)
        assert text == comments[view] != ""
    tasks = next(view for view in views() if view.name == "tasks")
    assert columns == {column.name: column.meaning for column in tasks.columns}
    assert versions == [("v1.0.0+",)]


@pytest.mark.usefixtures("_few")
def test_nothing_is_overwritten(log: EventLog, tmp_path: Path) -> None:
    """A file that is there stays, unless it is to be replaced; nothing else is left beside it."""
    path = tmp_path / "log.duckdb"
    path.write_text("mine")
    with pytest.raises(InputError, match="is there already: --force replaces it"):
        publish(log, path, NOW, force=False)
    assert path.read_text() == "mine"
    publish(log, path, NOW, force=True)
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.sql("SELECT count(*) FROM published").fetchall() == [(len(FEW),)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_few")
def test_a_file_that_is_not_what_was_read_is_not_published(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are counted in the written file: where one is missing, there is no file."""
    real = publishing._counted
    monkeypatch.setattr(publishing, "_counted", lambda *of: {**real(*of), "incidents": 7})
    with pytest.raises(InvariantError, match="incidents has 7 of 8 rows"):
        publish(log, tmp_path / "log.duckdb", NOW, force=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_few")
async def test_damage_is_not_published(tmp_path: Path) -> None:
    """Where a segment is missing, that is said, and there is no file."""
    directory = await archive(troubled(), tmp_path / "log")
    out = tmp_path / "out"
    out.mkdir()
    with EventLog(directory) as log:
        (directory / SEGMENTS / load(directory).files("evidence")[0].name).unlink()
        with pytest.raises(InputError, match="run logmend verify"):
            publish(log, out / "log.duckdb", NOW, force=False)
    assert list(out.iterdir()) == []


async def test_an_empty_log_is_published_empty(tmp_path: Path) -> None:
    """Before anything was logged, every table is there, with its columns and without rows."""
    with EventLog(tmp_path / "log") as log:
        rows = publish(log, tmp_path / "log.duckdb", NOW, force=False)
    assert rows == dict.fromkeys(VIEWS, 0)
