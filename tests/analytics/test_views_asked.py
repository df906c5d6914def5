"""Questions to the event log: what they reach, what they cost, and in which types they are answered."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics.manifest import SEGMENTS
from analytics.views import VIEWS, EventLog, connect
from streams.core.errors import InputError
from tests.analytics.archive import archive
from tests.analytics.history import History, story


def test_every_view_can_be_asked_first(tmp_path: Path) -> None:
    """A view is made with all that it is made of, whichever is asked for first: here the last ones are."""
    with EventLog(tmp_path) as log:
        assert [view for view in reversed(VIEWS) if not log.query(f'SELECT * FROM "{view.upper()}"').is_empty()] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW TABLES",
        "SELECT table_name AS name FROM information_schema.tables WHERE table_name <> 'one of the lines'",
        "SELECT view_name AS name FROM duckdb_views() ANTI JOIN lines ON lines.service = view_name",
    ],
)
def test_who_asks_which_views_there_are_sees_them_all(tmp_path: Path, sql: str) -> None:
    """A list of views has those that nobody has asked for yet."""
    with EventLog(tmp_path) as log:
        assert set(VIEWS) <= set(log.query(sql)["name"])


@pytest.mark.parametrize(
    "sql",
    [
        "COPY decisions TO '{segments}/x.parquet'",
        "ATTACH '{segments}/x.duckdb'",
        "EXPLAIN ANALYZE COPY decisions TO '{segments}/x.parquet'",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "FROM read_text('/etc/hostname')",
        "FROM read_csv('{log}/manifest.json')",
        "FROM read_parquet('https://example.org/x.parquet')",
        "FROM glob('/etc/*')",
        "",
    ],
)
async def test_questions_reach_nothing_else(told: tuple[History, EventLog], sql: str) -> None:
    """A question can read the log and nothing else, and can write nothing at all."""
    _, log = told
    before = sorted(path.name for path in (log.directory / SEGMENTS).iterdir())
    with pytest.raises(InputError):
        log.query(sql.format(segments=log.directory / SEGMENTS, log=log.directory))
    assert sorted(path.name for path in (log.directory / SEGMENTS).iterdir()) == before


async def test_variables_of_the_program_are_no_tables(told: tuple[History, EventLog]) -> None:
    """A frame in the calling program can't be asked by its name."""
    _, log = told
    secret = pl.DataFrame({"a": [1]})
    with pytest.raises(InputError, match="secret"):
        log.query("FROM secret")
    assert secret.height == 1


async def test_a_wrong_question_is_answered_in_words(told: tuple[History, EventLog]) -> None:
    """What DuckDB can't answer is an input error with DuckDB's own words."""
    _, log = told
    with pytest.raises(InputError, match="nope"):
        log.query("SELECT nope FROM decisions")


async def test_a_question_has_one_gigabyte(told: tuple[History, EventLog]) -> None:
    """A question that needs more memory is refused in one line, and the next one is answered, by two threads."""
    _, log = told
    with pytest.raises(InputError, match=r"^this needs more than 1 GB: add a LIMIT or aggregate$"):
        log.query("SELECT list(range) FROM range(300000000)")
    limits = "SELECT current_setting('memory_limit'), current_setting('threads')"
    assert log.query(limits).row(0) == ("953.6 MiB", 2)


async def test_a_reader_may_be_given_less(told: tuple[History, EventLog]) -> None:
    """Who has little memory says so, and a question that needs more is refused with that figure."""
    _, log = told
    with (
        EventLog(log.directory, memory_mb=100) as small,
        pytest.raises(InputError, match=r"^this needs more than 0\.1 GB: add a LIMIT or aggregate$"),
    ):
        small.query("SELECT list(range) FROM range(300000000)")


async def test_sums_are_plain_integers(told: tuple[History, EventLog]) -> None:
    """A sum of integers is a 64-bit integer, not a decimal."""
    _, log = told
    frame = log.query("SELECT sum(lines) AS lines FROM facts")
    assert frame.schema == {"lines": pl.Int64}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT INTERVAL 1 DAY AS d, 7 AS n", [("1 day", 7)]),
        ("SELECT [INTERVAL 90 SECOND] AS d", [("['00:01:30']",)]),
        (
            'SELECT i * INTERVAL 1 HOUR AS "a ""b""" FROM range(3) t(i) ORDER BY i DESC LIMIT 2',
            [("02:00:00",), ("01:00:00",)],
        ),
        (
            "SELECT decided_at - happened_at AS took FROM decisions WHERE took IS NOT NULL ORDER BY seq LIMIT 1",
            [("00:00:00.01",)],
        ),
    ],
)
async def test_intervals_are_text(told: tuple[History, EventLog], sql: str, expected: list[tuple[object, ...]]) -> None:
    """The difference of two times, alone or in a list, is its text, and names and order stay as they were asked."""
    _, log = told
    assert log.query(sql).rows() == expected


async def test_odd_directory_names_are_read(tmp_path: Path) -> None:
    """Quotes, blanks and brackets in the directory's name are only a name."""
    history = story()
    directory = await archive(history, tmp_path / "it's [a] log")
    with EventLog(directory) as log:
        assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)


async def test_a_plain_connection_has_the_views(tmp_path: Path) -> None:
    """``connect`` gives a DuckDB connection with the views and a locked configuration."""
    history = story()
    connection = connect(await archive(history, tmp_path))
    assert connection.execute("SELECT count(*) FROM incidents").fetchall() == [(3,)]
    with pytest.raises(duckdb.Error):
        connection.execute("SET enable_external_access = true")
    connection.close()
