"""Answers in files: the same rows in every format, in any size, whole or not at all, and in nobody's place."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analytics.dictionary import views
from analytics.export import FORMATS, export, export_file
from analytics.manifest import SEGMENTS, load
from analytics.outfile import whole
from analytics.views import EventLog, LostSegmentError
from streams.core.errors import InputError
from tests.analytics.archive import archive
from tests.analytics.trouble import troubled

MANY = 120_001
EXPORTED = ("incidents", "decisions", "pool_tasks")
"""Views with columns of all types that any has; the last one is empty."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    """Return the log of a history with something of everything."""
    directory = tmp_path_factory.mktemp("log")
    asyncio.run(archive(troubled(), directory))
    with EventLog(directory) as one:
        yield one


def written(log: EventLog, sql: str, form: str) -> bytes:
    """Return what an answer is in a format."""
    sink = io.BytesIO()
    rows = export(log, sql, form, sink)
    assert rows == log.query(sql).height
    return sink.getvalue()


def test_the_exported_views_have_every_type() -> None:
    """No view has a column of a type that none of those has which are exported here."""
    kinds = {view.name: {column.kind.partition("(")[0] for column in view.columns} for view in views()}
    assert set().union(*kinds.values()) == set().union(*(kinds[view] for view in EXPORTED))


@pytest.mark.parametrize("view", EXPORTED)
def test_a_view_is_exported_in_every_format(log: EventLog, view: str) -> None:
    """JSON, CSV and Parquet of a view have its columns, and as many rows as it has, also none."""
    frame = log.query(f"FROM {view}")
    assert frame.is_empty() == (view == EXPORTED[-1])
    rows = json.loads(written(log, f"FROM {view}", "json"))
    assert [list(row) for row in rows] == [frame.columns] * frame.height
    read = pl.read_csv(io.BytesIO(written(log, f"FROM {view}", "csv")), infer_schema=False)
    assert (read.columns, read.height) == (frame.columns, frame.height)
    parquet = pl.read_parquet(io.BytesIO(written(log, f"FROM {view}", "parquet")))
    assert parquet.schema == frame.schema
    assert parquet.height == frame.height


def test_parquet_has_the_very_values(log: EventLog) -> None:
    """What is read from a Parquet file is what the log answers."""
    sql = "FROM decisions ORDER BY seq"
    assert pl.read_parquet(io.BytesIO(written(log, sql, "parquet"))).equals(log.query(sql))


ODD = """
    SELECT 1 AS n, NULL AS nothing, 'a,"b"' || chr(10) || 'ü<' AS text, TIMESTAMP '2026-11-22 03:04:05.5' AS at,
        'nan'::DOUBLE AS no_number, 0.5::DECIMAL(4, 2) AS share, [1, 2] AS list, {'a': [TRUE]} AS nested,
        'AB'::BLOB AS bytes, INTERVAL 90 SECOND AS took, sum(range)::HUGEINT AS wide FROM range(3)
"""


def test_odd_values_are_json(log: EventLog) -> None:
    """Times are ISO 8601, bytes base64, numbers numbers, and what is none is null."""
    assert json.loads(written(log, ODD, "json"), parse_constant=pytest.fail) == [
        {
            "n": 1,
            "nothing": None,
            "text": 'a,"b"\nü<',
            "at": "2026-11-22T03:04:05.500000",
            "no_number": None,
            "share": 0.5,
            "list": [1, 2],
            "nested": {"a": [True]},
            "bytes": "QUI=",
            "took": "00:01:30",
            "wide": 3,
        }
    ]


def test_odd_values_are_csv(log: EventLog) -> None:
    """Lists and structs are JSON in CSV, bytes base64; quotes and line ends in text are kept."""
    (row,) = pl.read_csv(io.BytesIO(written(log, ODD, "csv")), infer_schema=False).to_dicts()
    assert (row["text"], row["list"], row["nested"]) == ('a,"b"\nü<', "[1,2]", '{"a":[true]}')
    assert (row["bytes"], row["took"], row["wide"], row["at"][:19]) == ("QUI=", "00:01:30", "3", "2026-11-22T03:04:05")


NEVER = """
    SELECT 'infinity'::TIMESTAMP AS at, '-infinity'::TIMESTAMPTZ AS zoned, 'infinity'::DATE AS day,
        ['290000-01-01'::TIMESTAMP, TIMESTAMP '9999-12-31 23:59:59'] AS list,
        {'day': '0001-12-31 (BC)'::DATE} AS nested, MAP {'at': 'infinity'::TIMESTAMP} AS map,
        'infinity'::TIMESTAMP_S AS seconds, ['infinity'::TIMESTAMP_S] AS several
"""


def test_times_that_no_calendar_has_are_null(log: EventLog) -> None:
    """Infinity, and years that ISO 8601 has no four digits for, at any depth; a question gets the same."""
    nothing = {"at": None, "zoned": None, "day": None, "seconds": None}
    nested = {"list": [None, "9999-12-31T23:59:59"], "nested": {"day": None}, "several": [None]}
    text = {"map": "{at=infinity}"}
    assert json.loads(written(log, NEVER, "json")) == [{**nothing, **nested, **text}]
    (row,) = pl.read_csv(io.BytesIO(written(log, NEVER, "csv")), infer_schema=False).to_dicts()
    cells = {"list": '[null,"9999-12-31T23:59:59"]', "nested": '{"day":null}', "several": "[null]"}
    assert row == {**nothing, **cells, **text}
    assert log.query(NEVER).row(0)[:3] == (None, None, None)


def test_cells_of_csv_are_the_json_of_others(log: EventLog) -> None:
    """In a list or a struct, bytes are base64, times ISO 8601, and what is no number null."""
    sql = "SELECT {'a': 'AB'::BLOB} AS s, ['AB'::BLOB] AS l, [TIMESTAMP '2026-11-22 03:04'] AS t, ['nan'::DOUBLE] AS n"
    (row,) = pl.read_csv(io.BytesIO(written(log, sql, "csv")), infer_schema=False).to_dicts()
    assert row == {"s": '{"a":"QUI="}', "l": '["QUI="]', "t": '["2026-11-22T03:04:00"]', "n": "[null]"}


@pytest.mark.parametrize("form", FORMATS)
def test_many_rows_are_one_document(log: EventLog, form: str) -> None:
    """More rows than a batch holds come in their order, once each, under one heading."""
    data = written(log, f"SELECT range AS n, [range] AS l FROM range({MANY})", form)
    read = {"json": lambda: pl.DataFrame(json.loads(data)), "csv": lambda: pl.read_csv(data)}
    frame = read.get(form, lambda: pl.read_parquet(data))()
    assert frame["n"].to_list() == list(range(MANY))


@pytest.mark.parametrize("form", FORMATS)
def test_a_failure_half_way_leaves_nothing(log: EventLog, tmp_path: Path, form: str) -> None:
    """What can't be answered to its end makes no file and leaves no part of one; the error is in DuckDB's words."""
    sql = f"SELECT CAST(if(range = {MANY}, 'x', '1') AS INTEGER) AS n FROM range({MANY + 10})"
    with pytest.raises(InputError, match="Could not convert string 'x'"):
        export_file(log, sql, form, tmp_path / "out", force=False)
    assert list(tmp_path.iterdir()) == []
    assert log.query("SELECT 1").item() == 1


def test_nothing_is_overwritten(log: EventLog, tmp_path: Path) -> None:
    """A file that is there stays as it is; only --force replaces it, also one that came to be there meanwhile."""
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"out\.csv is there already: --force replaces it"):
        export_file(log, "SELECT 1 AS a", "csv", path, force=False)
    assert path.read_text() == "mine"
    assert export_file(log, "SELECT 1 AS a", "csv", path, force=True) == 1
    assert path.read_text() == "a\n1\n"
    late = tmp_path / "late.csv"
    with pytest.raises(InputError, match="is there already"):
        _write_late(late)
    assert late.read_text() == "theirs"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["late.csv", "out.csv"]


def _write_late(late: Path) -> None:
    with whole(late, force=False) as part:
        part.write_text("ours")
        late.write_text("theirs")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where nothing can be linked, whatever that file system calls it, a new file is written, and an old one stays."""

    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "out"
    with whole(path, force=False) as part:
        part.write_text("ours")
    with pytest.raises(InputError, match="is there already"), whole(path, force=False) as part:
        raise AssertionError("it is refused before")
    late = tmp_path / "late"
    with pytest.raises(InputError, match="is there already"):
        _write_late(late)
    assert (path.read_text(), late.read_text()) == ("ours", "theirs")


def test_what_replaces_a_file_does_so_when_it_is_done(tmp_path: Path) -> None:
    """Until the last byte is written, the old file is there; when it fails, it stays."""
    path = tmp_path / "out"
    path.write_text("old")
    with suppress(ZeroDivisionError), whole(path, force=True) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with whole(path, force=True) as part:
        part.write_text("newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "said"), [("no/such/out", "No such file"), (".", "is no file"), ("pipe", "is no file")]
)
def test_where_nothing_can_be_written_is_said(log: EventLog, tmp_path: Path, name: str, said: str) -> None:
    """A directory that is not there, or something that is no file in its place, is named in one line, and stays."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=said):
        export_file(log, "SELECT 1", "json", tmp_path / name, force=True)
    assert (tmp_path / "pipe").is_fifo()


def test_a_segment_that_was_merged_away_is_asked_for_again(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export begins again from the newer moment; what it had written until then is not in the file."""
    real, times = EventLog.stream, []

    def stream(self: EventLog, sql: str) -> tuple[Any, Iterator[Any]]:
        times.append(sql)
        schema, batches = real(self, sql)
        return schema, batches if len(times) > 1 else _cut(batches)

    monkeypatch.setattr(EventLog, "stream", stream)
    monkeypatch.setattr(EventLog, "refresh", lambda _: True)
    path = tmp_path / "out.csv"
    assert export_file(log, f"SELECT range AS n FROM range({MANY})", "csv", path, force=False) == MANY
    assert len(times) == 2
    assert pl.read_csv(path)["n"].to_list() == list(range(MANY))


def _cut(batches: Iterator[Any]) -> Iterator[Any]:
    yield next(batches)
    list(batches)
    raise LostSegmentError("merged away")


async def test_a_lost_segment_says_verify(tmp_path: Path) -> None:
    """A segment that is gone for good is named, with what to do about it, and no file is made."""
    directory = await archive(troubled(), tmp_path / "log")
    with EventLog(directory) as log:
        (directory / SEGMENTS / load(directory).files("decisions")[0].name).unlink()
        with pytest.raises(LostSegmentError, match=r"^decisions-.* is missing or damaged: run logmend verify$"):
            export_file(log, "FROM decisions", "json", tmp_path / "out", force=False)
    assert not (tmp_path / "out").exists()
