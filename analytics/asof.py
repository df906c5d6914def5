"""The log as it was: where each stream ends at a moment, and what of the tables lies before that.

A moment is a time of Kafka's clock, or an offset of the facts. At an offset the log has the facts up to that one, every
decision that follows from them and the commands of these. At a time it has what had been appended by then; a
decision is left out with its fact and a command with its decision, so nothing ever lacks its cause. Text that has been
erased since, or has outlived its retention, does not come back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import duckdb

from analytics.manifest import FileEntry, Manifest
from streams.core.errors import InputError

_OFFSET: Final = re.compile(r"[0-9]{1,18}")
AsOf = datetime | int
"""A time (UTC when it has no zone) or an offset of the facts."""
_RAW: Final = ("facts", "decisions", "commands", "evidence")
"""Tables of the streams themselves; all others are derived from facts."""


class Cut(NamedTuple):
    """The last offset of each stream that is shown (None: all of it), and what time it is then, in ms (None: now)."""

    facts: int | None = None
    decisions: int | None = None
    commands: int | None = None
    evidence: int | None = None
    now_ms: int | None = None

    def last(self, table: str) -> int | None:
        """Return the last offset that is shown of a table's stream."""
        end: int | None = getattr(self, table if table in _RAW else "facts")
        return end

    def files(self, manifest: Manifest, table: str) -> Sequence[FileEntry]:
        """Return the files of a table that have anything to show."""
        end = self.last(table)
        if end is None:
            return manifest.files(table)
        segments = manifest.stream(table if table in _RAW else "facts").segments
        return [file for segment in segments if segment.first <= end if (file := segment.file_of(table))]

    def condition(self, table: str) -> str:
        """Return the WHERE clause that lets through what is shown of a table."""
        end = self.last(table)
        column = "kafka_offset" if table in _RAW else "facts_offset"
        return "" if end is None else f"WHERE {column} <= {end}"


WHOLE: Final = Cut()


def parse(text: str) -> AsOf:
    """Return the moment that a text names, an offset of the facts or an ISO 8601 time; else ``InputError``."""
    if _OFFSET.fullmatch(text):
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is neither an offset of the facts nor a time such as 2026-11-20T10:00") from None


def cut(connection: duckdb.DuckDBPyConnection, as_of: AsOf) -> Cut:
    """Return where the streams end at a moment; ``connection`` has the whole log under ``segments``."""
    return _at_time(connection, as_of) if isinstance(as_of, datetime) else _at_offset(connection, as_of)


def _at_time(connection: duckdb.DuckDBPyConnection, moment: datetime) -> Cut:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    now_ms = int(aware.timestamp() * 1000)
    late = f"kafka_append_ms > {now_ms}"
    facts = _before_first(connection, "facts", late)
    decisions = _before_first(connection, "decisions", f"{late} OR {_above('facts_offset', facts)}")
    commands = _before_first(connection, "commands", f"{late} OR {_above('decisions_offset', decisions)}")
    return Cut(facts, decisions, commands, _before_first(connection, "evidence", late), now_ms)


def _at_offset(connection: duckdb.DuckDBPyConnection, offset: int) -> Cut:
    decisions = _before_first(connection, "decisions", f"facts_offset > {offset}")
    commands = _before_first(connection, "commands", _above("decisions_offset", decisions))
    now_ms = _one(connection, f"SELECT max(kafka_append_ms) FROM segments.facts WHERE kafka_offset <= {offset}")  # noqa: S608  # a number
    evidence = _before_first(connection, "evidence", f"kafka_append_ms > {now_ms or 0}")
    return Cut(offset, decisions, commands, evidence, now_ms)


def _above(column: str, end: int | None) -> str:
    return "false" if end is None else f"{column} > {end}"


def _before_first(connection: duckdb.DuckDBPyConnection, table: str, late: str) -> int | None:
    """Return the offset before the first row for which a condition holds; None when it holds for none."""
    return _one(connection, f"SELECT min(kafka_offset) - 1 FROM segments.{table} WHERE {late}")  # noqa: S608  # names and numbers of ours


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int | None:
    row: tuple[Any, ...] | None = connection.execute(sql).fetchone()
    return row[0] if row else None
