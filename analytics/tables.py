"""Tables of the event log: their columns, and Parquet bytes to and from them.

A table's typed columns are those of the event struct it holds, by one mapping of types, so the two can't drift apart.
Columns named ``kafka_*`` are the raw record: offset, append time in ms, key and value bytes. Derived tables carry
``facts_offset`` and ``ordinal``: the fact they stand in, and their place in it.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, get_args, get_origin

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from analytics.manifest import FileEntry, file_name
from streams.core.advice import AdvisorsReported, OpinionGiven
from streams.core.beside import Evidence
from streams.core.events import Command, Decision, Detection, OutcomeReported, ProbeReported, Reject, Sample, Tally
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import EscalationAnswered, HealRequested, MuteLifted, MuteSet, TaskSubmitted

Row = dict[str, Any]

IN_RECORDS_ALONE: Final = frozenset({"trace"})
"""Fields that came after event logs were written: files with and without a column can't be merged, so it has none."""

_PLAIN: Final = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_(), bytes: pa.binary()}


def arrow_type(annotation: Any) -> Any:
    """Return the Arrow type of a field: structs nest, tuples are lists, an optional struct may be null."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if get_origin(annotation) is tuple:
        return pa.list_(arrow_type(get_args(annotation)[0]))
    if isinstance(annotation, types.UnionType):
        return arrow_type(next(one for one in get_args(annotation) if one is not types.NoneType))
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return pa.struct(_columns(annotation))
    raise TypeError(f"no column type for {annotation!r}")


def _columns(event: type[Struct], **renamed: str) -> list[Any]:
    """Return a struct's columns; ``renamed`` are those whose name a table has for something else."""
    fields = [field for field in msgspec.structs.fields(event) if field.name not in IN_RECORDS_ALONE]
    return [pa.field(renamed.get(field.name, field.name), arrow_type(field.type)) for field in fields]


def _plain(**columns: type) -> list[Any]:
    return [pa.field(name, _PLAIN[kind]) for name, kind in columns.items()]


_RAW: Final = _plain(kafka_offset=int, kafka_append_ms=int, kafka_key=bytes, kafka_value=bytes)
_DERIVED: Final = _plain(facts_offset=int, ordinal=int, facts_append_ms=int, source=str, source_partition=int)
_SAID: Final = [*_DERIVED, *_plain(message_offset=int, message_append_ms=int)]

SCHEMAS: Final[dict[str, Any]] = {
    "facts": pa.schema(
        [
            *_RAW,
            *_plain(
                kind=str,
                verdict=str,
                source=str,
                source_partition=int,
                term=int,
                from_offset=int,
                to_offset=int,
                lines=int,
                append_max_ms=int,
                rules_sha256=str,
            ),
        ]
    ),
    "detections": pa.schema([*_DERIVED, *_plain(append_max_ms=int, rules_sha256=str), *_columns(Detection)]),
    "tallies": pa.schema([*_DERIVED, *_columns(Tally)]),
    "rejects": pa.schema([*_DERIVED, *_columns(Reject)]),
    "samples": pa.schema([*_DERIVED, *_plain(from_offset=int), *_columns(Sample)]),
    "points": pa.schema([*_DERIVED, *_plain(from_offset=int, to_offset=int, points=int, unmapped=int)]),
    "shed": pa.schema(
        [*_DERIVED, *_plain(from_offset=int, to_offset=int, lines=int, shed_templates=int, shed_texts=int)]
    ),
    "outcomes": pa.schema([*_SAID, *_columns(OutcomeReported)]),
    "probes": pa.schema([*_SAID, *_columns(ProbeReported)]),
    "specialist_reports": pa.schema([*_SAID, *_columns(SpecialistReported)]),
    "findings": pa.schema([*_SAID, *_columns(FindingReported)]),
    "advisor_reports": pa.schema([*_SAID, *_columns(AdvisorsReported)]),
    "opinions": pa.schema([*_SAID, *_columns(OpinionGiven, source="answered_from")]),
    "answers": pa.schema([*_SAID, *_columns(EscalationAnswered)]),
    "mutes_set": pa.schema([*_SAID, *_columns(MuteSet)]),
    "mutes_lifted": pa.schema([*_SAID, *_columns(MuteLifted)]),
    "tasks_submitted": pa.schema([*_SAID, *_columns(TaskSubmitted)]),
    "heals_requested": pa.schema([*_SAID, *_columns(HealRequested)]),
    "changes": pa.schema(
        [
            *_SAID,
            *_plain(
                kind=str,
                name=str,
                sha256=str,
                body=bytes,
                author=str,
                reason=str,
                decision_id=str,
                command_sha256=str,
                approved=bool,
            ),
        ]
    ),
    "decisions": pa.schema([*_RAW, *_plain(sha256=str), *_columns(Decision)]),
    "commands": pa.schema([*_RAW, *_plain(decisions_offset=int), *_columns(Command)]),
    "evidence": pa.schema([*_RAW, *_columns(Evidence)]),
}
"""Every table by name. Those of facts: what the readers' rule accepts, and ``facts`` itself, with everything."""


def build(table: str, rows: Sequence[Row]) -> Any:
    """Return an Arrow table of rows; a row names every column of the table."""
    return pa.Table.from_pylist(rows, schema=SCHEMAS[table])


def to_parquet(tables: Iterable[Any]) -> bytes:
    """Return one Parquet file with a row group for each of some Arrow tables of equal columns."""
    sink = pa.BufferOutputStream()
    rest = iter(tables)
    first = next(rest)
    with pq.ParquetWriter(sink, first.schema, compression="zstd") as writer:
        for table in chain((first,), rest):
            writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_parquet(data: bytes) -> Any:
    """Return the Arrow table that a file's bytes hold."""
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def entry_of(table: str, first: int, last: int, rows: int, data: bytes) -> FileEntry:
    """Return what the manifest says of a table's file for Kafka offsets [first, last]."""
    return FileEntry(
        name=file_name(table, first, last),
        table=table,
        rows=rows,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def plain(event: Struct) -> Row:
    """Return a struct as columns."""
    row: Row = msgspec.to_builtins(event, builtin_types=(bytes,))
    return row
