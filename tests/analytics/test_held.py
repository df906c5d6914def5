"""Types of an answer's columns: what a frame can't hold is text, and what it can stays what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from analytics.views import EventLog

SECONDS = "TIMESTAMP_S '2026-11-22 10:00:00'"
TIME = datetime(2026, 11, 22, 10)  # noqa: DTZ001 - the times of views are UTC without a zone


@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        (SECONDS, pl.Datetime("us"), TIME),
        (f"[{SECONDS}]", pl.List(pl.Datetime("us")), [TIME]),
        (f"array_value({SECONDS}, {SECONDS})", pl.Array(pl.Datetime("us"), 2), [TIME, TIME]),
        (f"{{'a \"b\"': [{SECONDS}]}}", pl.Struct({'a "b"': pl.List(pl.Datetime("us"))}), {'a "b"': [TIME]}),
        ("{'TIMESTAMP_S': 1}", pl.Struct({"TIMESTAMP_S": pl.Int32}), {"TIMESTAMP_S": 1}),
        ("{'INTERVAL': 1}", pl.Struct({"INTERVAL": pl.Int32}), {"INTERVAL": 1}),
        ("map {1: {'DATE': 2}}", pl.Map(pl.Int32, pl.Struct({"DATE": pl.Int32})), {1: {"DATE": 2}}),
        ("map {1: DATE '2026-11-22'}", pl.String, "{1=2026-11-22}"),
        ("{'a': INTERVAL 1 DAY}", pl.String, "{'a': 1 day}"),
    ],
)
def test_what_a_column_is_does_not_hang_on_the_names_in_it(tmp_path: Path, sql: str, kind: Any, value: Any) -> None:
    """Fields may be called like types."""
    with EventLog(tmp_path) as log:
        answer = log.query(f"SELECT {sql} AS x")
    assert answer.schema == {"x": kind}
    assert answer.rows() == [(value,)]
