"""Merging small segments, so that a year of five-second segments is some hundred files.

``FAN_IN`` neighbours of one level become one segment of the next. What goes in is checked against its hash, and what
comes out against the count, the ends and the chain's head of what went in: damage is never sealed under a new hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.compute as pc

from analytics.manifest import FileEntry, Segment, Stream
from analytics.order import groups
from analytics.tables import entry_of, from_parquet, to_parquet
from streams.core.errors import InvariantError

FAN_IN: Final = 12
"""Segments that become one: a minute of five-second segments, then twelve minutes, then two and a half hours."""
LEVEL_MAX: Final = 6
EVIDENCE_LEVEL_MAX: Final = 3
"""Text goes by whole segments, so those of evidence stay short: two and a half hours."""
MERGED_BYTES_MAX: Final = 64 * 1024 * 1024
"""A merged segment is at most this large; the merge holds it in memory."""
MERGED_ROWS_MAX: Final = 1_000_000
"""Rows of all its tables together: ``verify`` has them in memory."""


def plan(stream: Stream, level_max: int) -> Sequence[Segment]:
    """Return the oldest neighbours that should become one segment of at most a level; empty when there are none."""
    segments = stream.segments
    for first in range(len(segments) - FAN_IN + 1):
        run = segments[first : first + FAN_IN]
        small = sum(one.size for one in run) <= MERGED_BYTES_MAX and sum(one.rows for one in run) <= MERGED_ROWS_MAX
        if small and len({one.level for one in run}) == 1 and run[0].level < level_max:
            return run
    return ()


def merge(segments_dir: Path, run: Sequence[Segment]) -> tuple[Segment, dict[str, bytes]]:
    """Return one segment for a run of neighbours, and its files' bytes by name.

    Raises ``InvariantError`` when a file is not as it was written or the result is not what went in.
    """
    first, last = run[0].first, run[-1].last
    entries: list[FileEntry] = []
    contents: dict[str, bytes] = {}
    for table in sorted({file.table for segment in run for file in segment.files}):
        files = [file for segment in run if (file := segment.file_of(table))]
        data = to_parquet(groups(table, [read_checked(segments_dir, file) for file in files]))
        entry = entry_of(table, first, last, sum(file.rows for file in files), data)
        _check(from_parquet(data), entry, run)
        entries.append(entry)
        contents[entry.name] = data
    numbered = [segment for segment in run if segment.last_seq >= 0]
    merged = Segment(
        first=first,
        last=last,
        level=run[0].level + 1,
        files=tuple(entries),
        newest_ms=max(segment.newest_ms for segment in run),
        first_seq=numbered[0].first_seq if numbered else -1,
        last_seq=numbered[-1].last_seq if numbered else -1,
        head=numbered[-1].head if numbered else "",
    )
    return merged, contents


def replaced(stream: Stream, run: Sequence[Segment], merged: Segment) -> Stream:
    """Return a stream with one segment in the place of a run."""
    at = stream.segments.index(run[0])
    segments = (*stream.segments[:at], merged, *stream.segments[at + len(run) :])
    return msgspec.structs.replace(stream, segments=segments)


def read_checked(segments_dir: Path, file: FileEntry) -> Any:
    """Return a file as an Arrow table; ``InvariantError`` when it is not byte for byte what was written."""
    try:
        data = (segments_dir / file.name).read_bytes()
    except FileNotFoundError as error:
        raise InvariantError(f"{file.name} is missing") from error
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise InvariantError(f"{file.name} is damaged: it does not have the hash that it was written with")
    return from_parquet(data)


def _check(table: Any, entry: FileEntry, run: Sequence[Segment]) -> None:
    """Hold a merged table against what it was merged from."""
    wrong = table.num_rows != entry.rows
    if entry.table in {"decisions", "commands"} and not wrong:
        numbered = [segment for segment in run if segment.last_seq >= 0]
        ends = pc.min_max(table.column("seq")).as_py()
        wrong = (ends["min"], ends["max"]) != (numbered[0].first_seq, numbered[-1].last_seq)
    if entry.table == "decisions" and not wrong:
        last = pc.index(table.column("seq"), numbered[-1].last_seq).as_py()
        wrong = table.column("sha256")[last].as_py() != numbered[-1].head
    if wrong:
        raise InvariantError(f"{entry.name}: merging changed count, ends or chain head; nothing was replaced")
