"""A short log made long: its rows again and again, with numbers, ids, offsets and times moved on.

What names something else still names it: a command its decision, a decision its fact and the line that caused it, an
opinion its question. The rules go by the columns' names, so tables that come to the log later are repeated too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow.parquet as pq

from analytics.compact import MERGED_ROWS_MAX
from analytics.manifest import (
    MANIFEST,
    SEGMENTS,
    STREAMS,
    FileEntry,
    Manifest,
    Segment,
    Stream,
    file_name,
    load,
    seal,
)
from analytics.order import APART, GROUP_ROWS, groups
from analytics.tables import SCHEMAS, to_parquet

FLEETS: Final = 10
"""Fleets side by side: each has services of its own, and begins its turn a tenth of the log's length after another."""
SEGMENT_DECISIONS: Final = 100_000
_SEQ: Final = frozenset({"seq", "previous_seq", "command_seq"})
_IDS: Final = frozenset(
    {"id", "incident", "refers_to", "command_id", "decision_id", "question_id", "plan", "escalation_id", "mute_id"}
)
_SOURCE_OFFSETS: Final = frozenset({"offset", "from_offset", "to_offset", "message_offset"})
_PLACE: Final = 1_000_000
"""By so much offsets of sources move on each time."""
_YEAR_2001_MS: Final = 1_000_000_000_000
"""Numbers of milliseconds above this are times, those below are spans."""


class Steps(NamedTuple):
    """By how much things move on each time: decisions, offsets of each stream, and milliseconds."""

    decisions: int
    offsets: dict[str, int]
    time_ms: int


def repeat(source: Path, directory: Path, decisions: int) -> None:
    """Write a log of at least so many decisions: that of ``source``, as often as it takes."""
    manifest = load(source)
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "4GB", "preserve_insertion_order": "true"})
    connection.execute("SET enable_progress_bar = false")
    for table in SCHEMAS:
        names = [str(source / SEGMENTS / file.name) for file in manifest.files(table)]
        if names:
            rows = "SELECT *, row_number() OVER () AS place FROM read_parquet($1)"
            connection.execute(f'CREATE TABLE "{table}" AS {rows}', [names])
    first, last = connection.execute("SELECT min(kafka_append_ms), max(kafka_append_ms) FROM facts").fetchall()[0]
    held = manifest.stream("decisions").last_seq + 1
    offsets = {name: manifest.stream(name).position for name in STREAMS}
    steps = Steps(held, offsets, (last - first) // FLEETS)
    turns = -(-decisions // held)
    (directory / SEGMENTS).mkdir(parents=True, exist_ok=True)
    streams = {name: _stream(connection, directory, manifest.stream(name), name, steps, turns) for name in STREAMS}
    _, data = seal(Manifest(streams=streams), Manifest())
    (directory / MANIFEST).write_bytes(data)


def _stream(
    connection: duckdb.DuckDBPyConnection, directory: Path, one: Stream, name: str, steps: Steps, turns: int
) -> Stream:
    tables = sorted({file.table for segment in one.segments for file in segment.files})
    rows = sum(segment.rows for segment in one.segments) or 1
    at_once = max(1, min(SEGMENT_DECISIONS // steps.decisions, MERGED_ROWS_MAX // rows))
    segments = tuple(
        _segment(connection, directory, name, tables, steps, range(begin, min(begin + at_once, turns)))
        for begin in range(0, turns, at_once)
    )
    return Stream(
        topic=one.topic,
        position=steps.offsets[name] * turns,
        last_seq=segments[-1].last_seq,
        segments=segments,
    )


def _segment(
    connection: duckdb.DuckDBPyConnection, directory: Path, name: str, tables: list[str], steps: Steps, turns: range
) -> Segment:
    first, last = turns.start * steps.offsets[name], turns.stop * steps.offsets[name] - 1
    files = tuple(_file(connection, directory, table, steps, turns, (first, last)) for table in tables)
    numbered = name in {"decisions", "commands"}
    ends = (turns.start * steps.decisions, turns.stop * steps.decisions - 1) if numbered else (-1, -1)
    return Segment(first=first, last=last, level=6, files=files, newest_ms=0, first_seq=ends[0], last_seq=ends[1])


def _file(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    table: str,
    steps: Steps,
    turns: range,
    ends: tuple[int, int],
) -> FileEntry:
    path = directory / SEGMENTS / file_name(table, *ends)
    columns = ", ".join(f'{_moved(table, field.name, field.type, steps)} AS "{field.name}"' for field in SCHEMAS[table])
    connection.execute(f"""
        COPY (
            SELECT {columns}
            FROM range({turns.start}, {turns.stop}) AS turns (turn), "{table}" AS one
            ORDER BY turn, place
        )
        TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS})
    """)
    if table == APART:
        path.write_bytes(to_parquet(groups(table, [pq.read_table(path)])))
    data = path.read_bytes()
    (rows,) = connection.execute(f'SELECT count(*) * {len(turns)} FROM "{table}"').fetchall()[0]
    return FileEntry(name=path.name, table=table, rows=rows, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _moved(table: str, name: str, kind: Any, steps: Steps) -> str:
    """Return the expression of a table's column, moved on by its turn."""
    stream = table if table in STREAMS else "facts"
    column = f'one."{name}"'
    match name:
        case "facts_offset":
            return f"{column} + turn * {steps.offsets['facts']}"
        case "decisions_offset":
            return f"{column} + turn * {steps.offsets['decisions']}"
        case "kafka_offset":
            return f"{column} + turn * {steps.offsets[stream]}"
        case "task_id":
            return f"left({column}, 24) || lpad(turn::VARCHAR, 12, '0')"
        case "sha256" | "previous_sha256" if table == "decisions":
            return f"sha256(concat('{name}', one.seq + turn * {steps.decisions}))"
    return _part(column, name, kind, steps)


def _part(value: str, name: str, kind: Any, steps: Steps) -> str:
    """Return the expression of a value of some name, down into lists and structs."""
    text = str(kind)
    if text.startswith("struct"):
        parts = (f'"{one.name}" := {_part(_field(value, one.name), one.name, one.type, steps)}' for one in kind)
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"
    if text.startswith("list"):
        if name == "arguments":
            plan = _part("each.value", "plan", None, steps)
            changed = f"CASE WHEN each.name = 'plan' THEN {plan} ELSE each.value END"
            return f"list_transform({value}, lambda each: struct_pack(name := each.name, value := {changed}))"
        if name in {"causes", "lines"}:
            return f"list_transform({value}, lambda each: {_part('each', name, kind.value_type, steps)})"
        return value
    return _plain(value, name, steps)


def _field(value: str, name: str) -> str:
    return f'{value}."{name}"'


def _plain(value: str, name: str, steps: Steps) -> str:
    moved = value
    if name in _SEQ:
        moved = f"CASE WHEN {value} >= 0 THEN {value} + turn * {steps.decisions} ELSE {value} END"
    elif name in _IDS:
        first, fact, last = (f"split_part({value}, '-', {place})" for place in (1, 2, 3))
        other = f"TRY_CAST({fact} AS BIGINT) + turn * {steps.offsets['facts']}"
        moved = f"CASE WHEN {value} = '' THEN '' ELSE concat({first}, '-', {other}, '-', {last}) END"
    elif name in _SOURCE_OFFSETS:
        moved = f"{value} + turn * {_PLACE}"
    elif name == "service":
        moved = f"CASE WHEN {value} = '' THEN '' ELSE concat({value}, '-', turn % {FLEETS}) END"
    elif name.endswith("_ms"):
        moved = f"CASE WHEN {value} > {_YEAR_2001_MS} THEN {value} + turn * {steps.time_ms} ELSE {value} END"
    return moved
