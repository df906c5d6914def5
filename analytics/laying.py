"""Puts the segments of a manifest under the views: a DuckDB view a table, over the table's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
from msgspec.structs import astuple

from analytics.asof import WHOLE, Cut
from analytics.manifest import SEGMENTS, Manifest
from analytics.tables import SCHEMAS
from streams.core.canary import SERVICE as CANARY

ERASURES: Final = """
    CREATE TABLE segments.erasures (
        id VARCHAR, service VARCHAR, before_ms BIGINT, erased_ms BIGINT, author VARCHAR, reason VARCHAR, texts BIGINT
    )
"""
"""Makes the table of what the manifest itself records: the fields of ``manifest.Erasure``."""
_OF_LINES: Final = frozenset({"detections", "tallies"})
"""What counts lines: the canary's are none of anybody's."""


def lay(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    manifest: Manifest,
    laid: Manifest | None,
    ends: Cut = WHOLE,
) -> None:
    """Put the tables of the manifest under the views, all at once or, when a file can't be read, not at all.

    Those that have the same files as in the manifest that was ``laid`` before stay. What comes after ``ends`` is left
    out.
    """
    other = [table for table in SCHEMAS if laid is None or manifest.files(table) != laid.files(table)]
    with _transaction(connection):
        for table in other:
            paths = [str(directory / SEGMENTS / file.name) for file in ends.files(manifest, table)]
            source = f"{_source(table, paths)} {ends.condition(table)}" if paths else _source(table, paths)
            connection.execute(f"CREATE OR REPLACE VIEW segments.{table} AS {source}")
        if laid is None or manifest.erasures != laid.erasures:
            connection.execute("DELETE FROM segments.erasures")
            for one in manifest.erasures:
                connection.execute("INSERT INTO segments.erasures VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(one))
        connection.execute("UPDATE segments.present SET moment = make_timestamp($1 * 1000)", [ends.now_ms])


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _source(table: str, paths: Sequence[str]) -> str:
    """Return the SQL of all rows of some files of a table; without files, of none."""
    if paths:
        files = f"SELECT * FROM read_parquet([{', '.join(map(literal, paths))}])"  # noqa: S608  # quoted paths of ours
        return f"SELECT * FROM ({files} WHERE service <> {literal(CANARY)})" if table in _OF_LINES else files  # noqa: S608  # as above
    columns = ", ".join(f'NULL::{_sql_type(field.type)} AS "{field.name}"' for field in SCHEMAS[table])
    return f"SELECT {columns} WHERE false"


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _sql_type(arrow: Any) -> str:
    """Return the DuckDB type of an Arrow type, as ``read_parquet`` would find it."""
    match str(arrow).split("<")[0]:
        case "list":
            return f"{_sql_type(arrow.value_type)}[]"
        case "struct":
            fields = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in arrow)
            return f"STRUCT({fields})"
        case name:
            return _SQL_TYPES[name]


_SQL_TYPES: Final = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN", "binary": "BLOB"}
