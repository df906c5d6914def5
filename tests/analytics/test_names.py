"""Names of an answer's columns: whatever is asked, each has one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import EventLog


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT 1 AS x, 2 AS x", ["x", "x_1"]),
        ("SELECT 1 AS x, 2 AS x_1, 3 AS x, 4 AS x", ["x", "x_1", "x_2", "x_3"]),
        ("SELECT 1 AS x, 2 AS X", ["x", "X"]),
        ('SELECT 1 AS "a ""b""", 2 AS "a ""b"""', ['a "b"', 'a "b"_1']),
        ("SELECT a.i, b.i FROM range(4) a(i) JOIN range(4) b(i) USING (i) ORDER BY a.i DESC LIMIT 1", ["i", "i_1"]),
        ("SELECT count(*), count(*) FROM decisions", ["count_star()", "count_star()_1"]),
        ("SELECT INTERVAL 1 DAY AS x, 2 AS x", ["x", "x_1"]),
    ],
)
def test_columns_of_one_name_are_numbered(tmp_path: Path, sql: str, names: list[str]) -> None:
    """A name that is there already gets the next free number, and no value moves to another column."""
    with EventLog(tmp_path) as log:
        answer = log.query(sql)
    assert answer.columns == names
    if sql.startswith("SELECT 1 AS"):
        assert answer.rows() == [tuple(range(1, len(names) + 1))]
