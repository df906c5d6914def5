"""Decisions laid apart by kind in merged segments, and read in their order again.

Of ten decisions nine tell of a minute: what was assessed, predicted, forecast. Most questions are about the others. So
a merged file has row groups of the steps (all other kinds), then of each of those kinds, each part in order of offsets:
by the statistics of ``kind`` a question leaves out what it is not about, unread. Files that were never merged, and
those of releases that laid nothing apart, are one such part. What needs the log's order takes it from here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from analytics.tables import Row

APART: Final = "decisions"
"""The table that is laid apart."""
MINUTELY: Final = ("assessed", "forecast", "predicted")
"""Kinds of which every measured minute has some."""
GROUP_ROWS: Final = 50_000
_OFFSET: Final = "kafka_offset"


def groups(table: str, files: Sequence[Any]) -> Iterator[Any]:
    """Yield the row groups of a merged file of a table, from the Arrow tables of what is merged, oldest first."""
    for part in _parts(files) if table == APART else (files,):
        yield from _grouped(part)


def _parts(files: Sequence[Any]) -> Iterator[Iterator[Any]]:
    """Yield the parts of some files, each as what the files have of it."""
    minutely = pa.array(MINUTELY)
    yield (one.filter(pc.invert(pc.is_in(one.column("kind"), value_set=minutely))) for one in files)
    for kind in MINUTELY:
        yield (one.filter(pc.equal(one.column("kind"), kind)) for one in files)


def _grouped(tables: Iterator[Any] | Sequence[Any]) -> Iterator[Any]:
    """Yield tables of at least ``GROUP_ROWS`` rows, but for the last."""
    held: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= GROUP_ROWS:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if any(one.num_rows for one in held):
        yield pa.concat_tables(held).combine_chunks()


class Sliced(Protocol):
    """What an Arrow table can be asked for here."""

    def slice(self, offset: int, length: int, /) -> Any:
        """Return so many rows from one on, as an Arrow table."""
        ...


class _InOrder:
    """The rows of an Arrow table in order of offsets; only those of a slice are copied."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._places = pc.sort_indices(table.column(_OFFSET))

    def slice(self, offset: int, length: int, /) -> Any:
        places = sorted(self._places.slice(offset, length).to_pylist())
        some = pa.concat_tables([self._table.slice(first, count) for first, count in _neighbours(places)])
        return some.take(pc.sort_indices(some, sort_keys=[(_OFFSET, "ascending")]))


def _neighbours(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the number of each run of rising places without a gap."""
    begin = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at] != places[at - 1] + 1:
            yield places[begin], at - begin
            begin = at


def in_order(name: str, table: Any) -> Sliced:
    """Return what slices an Arrow table of a file in order of offsets: itself, if it is not laid apart."""
    return _InOrder(table) if name == APART else table


def rows_in_order(source: Any, columns: Sequence[str], batch_rows: int) -> Iterator[Row]:
    """Yield some columns of an open Parquet file's rows in order of offsets, with a batch of each part in memory."""
    wanted = [_OFFSET, *columns]
    runs = (_rows(source.iter_batches(batch_rows, row_groups=run, columns=wanted)) for run in _runs(source.metadata))
    return heapq.merge(*runs, key=itemgetter(_OFFSET))


def _rows(batches: Iterator[Any]) -> Iterator[Row]:
    for batch in batches:
        yield from batch.to_pylist()


def _runs(metadata: Any) -> list[list[int]]:
    """Return a file's row groups as few lists of them, in each of which offsets only rise."""
    at = metadata.schema.names.index(_OFFSET)
    runs: list[list[int]] = []
    ends: list[int] = []
    for number in range(metadata.num_row_groups):
        found = metadata.row_group(number).column(at).statistics
        free = next((place for place, end in enumerate(ends) if end < found.min), len(runs))
        if free == len(runs):
            runs.append([])
            ends.append(found.max)
        runs[free].append(number)
        ends[free] = found.max
    return runs
