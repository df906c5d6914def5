"""Answers of the event log as JSON, CSV or Parquet, written as they are read: they may be larger than the memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import polars as pl
import pyarrow.parquet as pq

from analytics.frames import frame_of
from analytics.outfile import whole
from analytics.views import RETRIES_MAX, EventLog, LostSegmentError
from streams.core.errors import InputError

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def export(log: EventLog, sql: str, form: str, sink: BinaryIO) -> int:
    """Write the answer to one SELECT in a format of ``FORMATS``; return how many rows it has.

    JSON is one array of objects, a row a line; times are ISO 8601 in UTC, bytes base64, and what is no number, or a
    time outside of the years 1 to 9999, null. In CSV, lists and structs are such JSON. Raises as ``EventLog.stream``.
    """
    return FORMATS[form](*log.stream(sql), sink)


def export_file(log: EventLog, sql: str, form: str, path: Path, *, force: bool) -> int:
    """Write the answer to a file, whole or not at all; begin again when a merge removes a segment meanwhile.

    Raises ``InputError`` when the file is there and ``force`` is not given, and as ``export`` does.
    """
    with whole(path, force=force) as part:
        for _ in range(RETRIES_MAX):
            try:
                with part.open("wb") as sink:
                    return export(log, sql, form, sink)
            except LostSegmentError:
                if not log.refresh():
                    raise
    raise InputError("the log's files are replaced faster than they can be read: try again")


def _json(_schema: Any, batches: Iterator[Any], sink: BinaryIO) -> int:
    rows = 0
    sink.write(b"[")
    for frame in map(frame_of, batches):
        lines = [_ENCODER.encode(row) for row in frame.iter_rows(named=True)]
        sink.write((b",\n" if rows else b"\n") + b",\n".join(lines) if lines else b"")
        rows += len(lines)
    sink.write(b"\n]\n" if rows else b"]\n")
    return rows


def _csv(schema: Any, batches: Iterator[Any], sink: BinaryIO) -> int:
    rows = 0
    sink.write(flat(frame_of(schema.empty_table())).write_csv().encode())
    for frame in map(frame_of, batches):
        sink.write(flat(frame).write_csv(include_header=False).encode())
        rows += frame.height
    return rows


def _parquet(schema: Any, batches: Iterator[Any], sink: BinaryIO) -> int:
    rows = 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


FORMATS: Final[dict[str, Callable[[Any, Iterator[Any], BinaryIO], int]]] = {
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
}
"""What writes an answer's Arrow schema and batches, and returns the number of rows, by name."""


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that CSV can hold: lists and structs become JSON, bytes base64."""
    texts = [
        pl.Series(name, [None if cell is None else _text(cell) for cell in frame[name].to_list()], pl.String)
        for name, kind in frame.schema.items()
        if kind.is_nested() or kind == pl.Binary
    ]
    return frame.with_columns(texts)


def _text(cell: Any) -> str:
    return base64.b64encode(cell).decode() if isinstance(cell, bytes) else _ENCODER.encode(cell).decode()
