"""Questions to the event log in SQL: an in-memory DuckDB over the segments that the newest manifest names.

Every reader has its own connection and takes no lock, so any number of them read while the writer writes. A query sees
one manifest: one moment of the log. ``sql/`` holds one view a file; all their times are TIMESTAMP in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import polars as pl

from analytics.asof import AsOf, cut
from analytics.frames import frame_of, holdable
from analytics.laying import ERASURES, lay, literal
from analytics.manifest import MANIFEST, SEGMENTS, Manifest, load
from streams.catalogue import hints, strategies
from streams.catalogue.codes import refusals
from streams.core.errors import InputError

VIEWS: Final = (
    "facts",
    "lines",
    "detections",
    "tallies",
    "rejects",
    "samples",
    "points",
    "shed",
    "decisions",
    "options",
    "gates",
    "guardrail_blocks",
    "outcomes",
    "commands",
    "healing",
    "recoveries",
    "refusals",
    "probes",
    "changes",
    "incidents",
    "service_health",
    "alerts",
    "phases",
    "phase_statistics",
    "lessons",
    "fix_patterns",
    "fix_attempts",
    "verified_success",
    "performance_metrics",
    "recurrence",
    "false_fire",
    "mttr",
    "stuck",
    "autonomy",
    "findings",
    "specialists",
    "plans",
    "coordination",
    "failures",
    "predictions",
    "prediction_quality",
    "forecasts",
    "exhaustions",
    "anomalies",
    "ties",
    "templates",
    "requests",
    "timeline",
    "mutes",
    "tasks",
    "escalations",
    "pool_tasks",
    "agent_consultations",
    "advisors",
    "votes",
    "cost",
    "erasures",
)
"""Every view, in the order in which they can be made."""
MACROS: Final = ("rates", "sessions", "auto_fix_rate", "escalation_rate", "phase_breakdown", "learning_growth")
"""Tables that take arguments."""
_ALL: Final = (*VIEWS, *MACROS)
_WORD: Final = re.compile(r"\w+")
_LISTING: Final = ("information_schema", "duckdb_", "pg_", "sqlite_")
"""How the names of what lists tables and columns begin."""
BATCH_ROWS: Final = 50_000
"""Rows of a batch of a stream."""
RETRIES_MAX: Final = 5
"""How often a query is asked again because a merge removed a file under it."""
_TOO_FAST: Final = "the log's files are replaced faster than they can be read: ask again"
_FILE_FAULTS: Final = ("IO Error", "Invalid Input Error")
"""How DuckDB's words begin when a file can't be read."""
MEMORY_MB: Final = 1_000
"""Of a question."""
_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "error_on_division_by_zero": "false",
    "ieee_floating_point_ops": "false",
    "late_materialization_max_rows": "10000",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "threads": "2",
}


class LostSegmentError(InputError):
    """A file of the log can't be read: it is damaged, or a merge put another in its place."""


class EventLog:
    """A reader of one log directory. Not for several threads at once: each makes its own.

    ``as_of`` shows the log as it was at a time, or right after the fact of an offset and all that followed from it. A
    query that needs more than ``memory_mb`` fails.
    """

    def __init__(self, directory: Path, as_of: AsOf | None = None, *, memory_mb: int = MEMORY_MB) -> None:
        """Connect; ``InputError`` when the manifest or a segment is damaged."""
        self.directory = directory.resolve()
        self.as_of = as_of
        self._memory_mb = memory_mb
        self.manifest = Manifest()
        self._stamp: tuple[int, ...] = ()
        self._laid: Manifest | None = None
        """The manifest that the views show."""
        self._made: set[str] = set()
        """Views and macros that are there: each is made, in 5 ms and more, before the first query that names it."""
        self._manifest_now()
        self.connection = _connected(self.directory, memory_mb)
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()

    def refresh(self) -> bool:
        """Take the newest manifest into account; True when there was a newer one.

        Raises ``InputError`` when it is damaged, or a segment is missing or damaged.
        """
        self._manifest_now()
        if self._laid is not None and self.manifest.version == self._laid.version:
            return False
        self._lay()
        return True

    def query(self, sql: str, parameters: dict[str, Any] | list[Any] | None = None) -> pl.DataFrame:
        """Answer one SELECT from the newest state of the log.

        INTERVAL comes back as DuckDB's text of it, such as ``00:00:04.5``: Polars has no type for it. Times outside of
        the years 1 to 9999 are NULL.
        Raises ``InputError`` for anything but one SELECT (or DESCRIBE, SUMMARIZE, SHOW), with DuckDB's own words for
        what it can't answer, and when a segment is missing for good.
        """
        self._check(sql)
        self.refresh()
        for _ in range(RETRIES_MAX):
            try:
                return _plain_numbers(frame_of(self._answer(sql, parameters).to_arrow_table()))
            except duckdb.IOException as error:
                if not self.refresh():
                    raise _damage(error, self.manifest) from error
            except duckdb.Error as error:
                raise _explained(error, self.manifest, self._memory_mb) from error
        raise InputError(_TOO_FAST)

    def stream(self, sql: str) -> tuple[Any, Iterator[Any]]:
        """Answer one SELECT as its Arrow schema and record batches: whatever its size, only some are in memory.

        It is of the moment of the log that was read last; until it is read to its end, nothing else may be asked here.
        Raises as ``query`` does, also while it is read, and ``LostSegmentError`` for a file that is gone: when
        ``refresh`` says that there is a newer moment, it was merged away, and the question can be asked again.
        """
        self._check(sql)
        try:
            reader = self._answer(sql).to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise _explained(error, self.manifest, self._memory_mb) from error
        return reader.schema, self._batches(reader)

    def _batches(self, reader: Any) -> Iterator[Any]:
        try:
            yield from reader
        except OSError as error:  # whatever DuckDB can't do comes through Arrow as this
            raise _explained(error, self.manifest, self._memory_mb) from error

    def _answer(self, sql: str, parameters: dict[str, Any] | list[Any] | None = None) -> duckdb.DuckDBPyRelation:
        self.make(_asked(sql))
        return holdable(self.connection.sql(sql, params=parameters))

    def make(self, names: Iterable[str] = _ALL) -> None:
        """Make views and macros that are not there yet, with all that each is made of."""
        wanted = {part for name in names for part in _parts(name)} - self._made
        for name in sorted(wanted, key=_ALL.index):
            self.connection.execute(_definition(name))
            self._made.add(name)

    def _lay(self) -> None:
        """Put the newest manifest under the views, again when a merge removes a file meanwhile."""
        for _ in range(RETRIES_MAX):
            try:
                if self.as_of is None:
                    lay(self.connection, self.directory, self.manifest, self._laid)
                else:
                    lay(self.connection, self.directory, self.manifest, None)
                    lay(self.connection, self.directory, self.manifest, None, cut(self.connection, self.as_of))
            except (duckdb.IOException, duckdb.InvalidInputException) as error:
                if not self._manifest_now():
                    raise _damage(error, self.manifest) from error
            else:
                self._laid = self.manifest
                return
        raise InputError(_TOO_FAST)

    def _check(self, sql: str) -> None:
        """Let nothing pass that could write: COPY and ATTACH may reach into the log directory."""
        try:
            statements = self.connection.extract_statements(sql)
        except duckdb.Error as error:
            raise InputError(str(error)) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise InputError("only one SELECT (or DESCRIBE, SUMMARIZE, SHOW) can be asked at a time")

    def _manifest_now(self) -> bool:
        """Read the manifest if the file changed; True when it did."""
        try:
            found = (self.directory / MANIFEST).stat()
        except FileNotFoundError:
            return False
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return False
        self.manifest = load(self.directory)
        self._stamp = stamp
        return True


def connect(directory: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with the views over the log as it is now; it can read nothing beside the log."""
    log = EventLog(directory)
    log.make()
    return log.connection


@cache
def _definition(name: str) -> str:
    """Return the SQL that makes a view or a macro."""
    return files("analytics").joinpath("sql", f"{name}.sql").read_text("utf-8")


@cache
def _parts(name: str) -> frozenset[str]:
    """Return a view or macro and all those before it that it may be made of: whose names occur in its SQL."""
    words = set(_WORD.findall(_definition(name)))
    return frozenset({name}.union(*(_parts(one) for one in _ALL[: _ALL.index(name)] if one in words)))


def _asked(sql: str) -> Iterable[str]:
    """Return what has to be there for a query: what it names, and all when it names nothing or lists what there is."""
    words = set(_WORD.findall(sql.lower()))
    listing = any(word.startswith(_LISTING) for word in words)
    return _ALL if listing else words.intersection(_ALL) or _ALL


def _connected(directory: Path, memory_mb: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={**_SETTINGS, "memory_limit": f"{memory_mb}MB"})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("CREATE SCHEMA segments")
    connection.execute("CREATE TABLE segments.present AS SELECT NULL::TIMESTAMP AS moment")
    connection.execute(files("analytics").joinpath("sql", "macros.sql").read_text("utf-8"))
    connection.execute("CREATE TABLE segments.codes (code VARCHAR, meaning VARCHAR)")
    _insert(connection, "codes", refusals().items())
    connection.execute(
        "CREATE TABLE segments.fixes (pattern VARCHAR, service_type VARCHAR, action VARCHAR, confidence DOUBLE)"
    )
    fixes = ((row.pattern, row.service_type, row.action, row.confidence) for row in strategies().fixes)
    _insert(connection, "fixes", fixes)
    connection.execute(ERASURES)
    connection.execute("CREATE TABLE segments.hints (metric VARCHAR, hint VARCHAR)")
    _insert(connection, "hints", hints().items())
    connection.execute(f"SET allowed_directories = [{literal(f'{directory / SEGMENTS}/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Fill a table at once: row by row it takes 0.3 ms each."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    values = ", ".join("unnest(?)" for _ in columns)
    connection.execute(f"INSERT INTO segments.{table} SELECT {values}", columns)


def _damage(error: Exception, manifest: Manifest) -> InputError:
    """Return what to say of a file that DuckDB can't read; its own words when that is none of the log's."""
    said = str(error)
    if name := next((name for name in sorted(manifest.names()) if name in said), ""):
        return LostSegmentError(f"{name} is missing or damaged: run logmend verify")
    return InputError(said.splitlines()[0])


def _explained(error: Exception, manifest: Manifest, memory_mb: int) -> InputError:
    """Return what to say of a question that can't be answered."""
    said = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or said.startswith("Out of Memory Error"):
        return InputError(f"this needs more than {memory_mb / 1_000:g} GB: add a LIMIT or aggregate")
    if isinstance(error, duckdb.InvalidInputException | duckdb.IOException) or said.startswith(_FILE_FAULTS):
        return _damage(error, manifest)
    return InputError(said)


def _plain_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Return sums of integers, which DuckDB makes 128 bits wide, as the 64 bits that every caller can print."""
    wide = [
        name
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Decimal) and kind.scale == 0 and int(frame[name].abs().max() or 0) < 1 << 63  # type: ignore[arg-type]  # a Decimal
    ]
    return frame.with_columns(pl.col(wide).cast(pl.Int64)) if wide else frame
