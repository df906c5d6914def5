"""The event log as one DuckDB file: every view as a table, for whoever has DuckDB and no Logmend.

The file holds what the views showed at one moment of the log, in the views' own types; ``published`` says of each table
what it is and how many rows it has. It has DuckDB's storage version 1.0, which every DuckDB from 1.0 on reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from analytics.outfile import whole
from analytics.views import RETRIES_MAX, VIEWS, EventLog, LostSegmentError
from streams.core.errors import InputError, InvariantError

STORAGE: Final = "v1.0.0"
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
        for _ in range(RETRIES_MAX):
            part.unlink()
            try:
                written = _write(log, part, now)
                break
            except LostSegmentError:
                if not log.refresh():
                    raise
        _compare(written, _counted(part))
    return written


def description(view: str) -> str:
    """Return what a view is, as its SQL says at its head."""
    head = takewhile(lambda line: line.startswith("--"), _definition(view).splitlines())
    return " ".join(line.removeprefix("--").strip() for line in head)


def _definition(view: str) -> str:
    return files("analytics").joinpath("sql", f"{view}.sql").read_text("utf-8")


def _written(log: EventLog, part: Path, now: datetime) -> dict[str, int]:
    """Write the file, again from the start when a merge removes a segment meanwhile."""
    for _ in range(RETRIES_MAX):
        part.unlink(missing_ok=True)
        try:
            return _write(log, part, now)
        except LostSegmentError:
            if not log.refresh():
                raise
    raise InputError("the log's files are replaced faster than they can be copied: try again")


def _write(log: EventLog, part: Path, now: datetime) -> dict[str, int]:
    with closing(duckdb.connect(":memory:", config=dict(_SETTINGS))) as target:
        target.execute(f"ATTACH '{_quoted(str(part))}' AS published (STORAGE_VERSION '{STORAGE}')")
        target.execute("USE published")
        target.execute(
            "CREATE TABLE published (view VARCHAR, rows BIGINT, description VARCHAR, published_at TIMESTAMP, "
            "manifest_version BIGINT)"
        )
        log.make()
        written = {view: _copy(log, view, target) for view in VIEWS}
        for view, rows in written.items():
            target.execute(
                "INSERT INTO published VALUES (?, ?, ?, ?, ?)",
                [view, rows, description(view), now, log.manifest.version],
            )
        target.execute("USE memory")
        target.execute("DETACH published")
    return written


def _copy(log: EventLog, view: str, target: duckdb.DuckDBPyConnection) -> int:
    """Copy a view, in its own types; return how many rows were read."""
    described = log.connection.execute(f"DESCRIBE {view}").fetchall()
    columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in described)
    target.execute(f"CREATE TABLE {view} ({columns})")
    target.execute(f"COMMENT ON TABLE {view} IS '{_quoted(description(view))}'")
    _, batches = log.stream(f"FROM {view}")  # a name of ours
    rows = 0
    for batch in batches:
        target.register("batch", pa.Table.from_batches([batch]))
        target.execute(f"INSERT INTO {view} FROM batch")
        rows += batch.num_rows
    return rows


def _counted(part: Path) -> dict[str, int]:
    """Return the rows of each view's table, as a reader of the file finds them."""
    with closing(duckdb.connect(str(part), read_only=True)) as reader:
        return {view: reader.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0] for view in VIEWS}  # noqa: S608  # names of ours


def _compare(written: Mapping[str, int], counted: Mapping[str, int]) -> None:
    wrong = [f"{view} has {counted[view]} of {rows} rows" for view, rows in written.items() if counted[view] != rows]
    if wrong:
        raise InvariantError(f"the file is not what was read: {'; '.join(wrong)}")


def _quoted(text: str) -> str:
    return text.replace("'", "''")
