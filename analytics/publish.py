"""The event log as one DuckDB file: every view as a table, for whoever has DuckDB and no Logmend.

The file holds what the views showed at one moment of the log, in the views' own types; ``published`` says of each table
what it is and how many rows it has. It has DuckDB's storage version 1.0, which every DuckDB from 1.0 on reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from analytics.dictionary import View, views
from analytics.outfile import whole
from analytics.views import RETRIES_MAX, EventLog, LostSegmentError
from streams.core.errors import InputError, InvariantError

STORAGE: Final = "v1.0.0"
_CONTENTS: Final = """
    CREATE TABLE published (
        view VARCHAR, rows BIGINT, description VARCHAR, published_at TIMESTAMP, manifest_version BIGINT
    )
"""
_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",
    "memory_limit": "1GB",
    "preserve_insertion_order": "true",
    "threads": "2",
}


def publish(log: EventLog, path: Path, now: datetime, *, force: bool) -> dict[str, int]:
    """Write every view to a DuckDB file, whole or not at all; return rows by view, as they were counted in the file.

    ``now`` is when that is, in UTC. Raises ``InputError`` when the file is there and ``force`` is not given, or can't
    be written, or a segment is damaged; ``InvariantError`` when the file does not hold as many rows as the views have.
    """
    with whole(path, force=force) as part:
        written = _written(log, part, now)
        _compare(written, _counted(part, written))
    return written


def _written(log: EventLog, part: Path, now: datetime) -> dict[str, int]:
    """Write the file, again from the start when a merge removes a segment meanwhile."""
    for _ in range(RETRIES_MAX):
        part.unlink(missing_ok=True)
        try:
            return _write(log, part, now)
        except LostSegmentError:
            if not log.refresh():
                raise
        except duckdb.Error as error:  # the log's own are told as InputError: this one is the file's
            raise InputError(f"the file can't be written: {str(error).splitlines()[0]}") from error
        finally:
            part.with_name(f"{part.name}.wal").unlink(missing_ok=True)
    raise InputError("the log's files are replaced faster than they can be copied: try again")


def _write(log: EventLog, part: Path, now: datetime) -> dict[str, int]:
    written = {}
    with closing(duckdb.connect(":memory:", config=dict(_SETTINGS))) as target:
        target.execute(f"ATTACH {_literal(str(part))} AS published (STORAGE_VERSION '{STORAGE}')")
        target.execute("USE published")
        target.execute(_CONTENTS)
        for view in (one for one in views() if one.columns):
            target.begin()  # each change alone would be synced on its own
            _create(view, target)
            written[view.name] = _copy(log, view, target)
            row = [view.name, written[view.name], view.about.strip(), now, log.manifest.version]
            target.execute("INSERT INTO published VALUES (?, ?, ?, ?, ?)", row)
            target.commit()
        target.execute("USE memory")
        target.execute("DETACH published")
    return written


def _create(view: View, target: duckdb.DuckDBPyConnection) -> None:
    """Make a table with a view's columns, in its types, and the dictionary's words as comments."""
    columns = ", ".join(f'"{column.name}" {column.kind}' for column in view.columns)
    target.execute(f"CREATE TABLE {view.name} ({columns})")
    target.execute(f"COMMENT ON TABLE {view.name} IS {_literal(view.about.strip())}")
    for column in view.columns:
        if column.meaning:
            target.execute(f'COMMENT ON COLUMN {view.name}."{column.name}" IS {_literal(column.meaning)}')


def _copy(log: EventLog, view: View, target: duckdb.DuckDBPyConnection) -> int:
    """Copy a view's rows; return how many were read."""
    rows = 0
    _, batches = log.stream(f"FROM {view.name}")
    for batch in batches:
        target.register("batch", pa.Table.from_batches([batch]))
        target.execute(f"INSERT INTO {view.name} FROM batch")
        rows += batch.num_rows
    return rows


def _counted(part: Path, tables: Iterable[str]) -> dict[str, int]:
    """Return the rows of each table, as a reader of the file finds them."""
    with closing(duckdb.connect(str(part), read_only=True)) as reader:
        return {name: reader.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in tables}  # noqa: S608  # names of ours


def _compare(written: Mapping[str, int], counted: Mapping[str, int]) -> None:
    wrong = [f"{view} has {counted[view]} of {rows} rows" for view, rows in written.items() if counted[view] != rows]
    if wrong:
        raise InvariantError(f"the file is not what was read: {'; '.join(wrong)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
