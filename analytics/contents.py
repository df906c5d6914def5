"""What is in the files, held against what the raw records say.

Every table is built again from the raw records, by the readers that wrote it, so a changed cell is found even where the
hashes were made to fit. After a damaged segment a stream goes on where the manifest says that it ended; facts do not,
because the terms and positions in them are lost with it, and then only the hashes of the files after it are checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from msgspec import Struct

from analytics.manifest import MANIFEST, SEGMENTS, FileEntry, Manifest, Segment, Stream, file_name
from analytics.order import APART, in_order
from analytics.readers import DecisionsReader, FactsReader, Raw, Reader, Rows, digest_of, reader_for
from analytics.tables import build, from_parquet
from streams.codec import decode_decision, encode
from streams.core.errors import InvariantError
from streams.core.kinds import SENDING_KINDS
from streams.core.slices import Ledger

_BATCH_RECORDS: Final = 1_000


class Finding(Struct, frozen=True, kw_only=True):
    """Something is not as it should be. ``file`` is ``""`` for what is in none."""

    file: str
    message: str


class Contents:
    """Goes once through all streams of a manifest, with one segment in memory; ``counts`` is what was looked at."""

    def __init__(self, directory: Path, manifest: Manifest) -> None:
        self.counts: Counter[str] = Counter()
        self._segments = directory / SEGMENTS
        self._manifest = manifest
        self._facts_end = max(manifest.stream("facts").position, 0)
        self._commanded: dict[int, str] = {}
        """Digest of the command in each decision that sends one, by number, until the command is met."""
        self._unread: list[range] = []
        """Numbers in damaged segments of decisions or commands: nothing can be said of them."""

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong, stream by stream."""
        for name in ("facts", "decisions", "commands", "evidence"):
            yield from self._stream(name, self._manifest.stream(name))
        for gone in self._manifest.retired:
            _, found = self._read(gone.name, gone.size, gone.sha256)
            yield from found
        yield from self._unsent(self._manifest.stream("commands"))

    def _stream(self, name: str, stream: Stream) -> Iterator[Finding]:
        reader: Reader | None = _reader_at(name, stream, 0, -1, "")
        for segment in stream.segments:
            if reader is not None:
                gap_before = any(gap.last + 1 == segment.first for gap in stream.gaps)
                last_seq = getattr(reader, "last_seq", -1)
                reader = _reader_at(name, stream, segment.first, last_seq, "") if gap_before else reader.copy()
            reader, found = self._segment(name, segment, reader)
            yield from found
        if isinstance(reader, FactsReader) and reader.ledger != self._manifest.ledger:
            yield Finding(file=MANIFEST, message="terms and positions are not those of the facts")
        if isinstance(reader, DecisionsReader) and (reader.last_seq, reader.head) != (stream.last_seq, stream.head):
            yield Finding(file=MANIFEST, message="the chain's head is not that of the last decision")

    def _segment(self, name: str, segment: Segment, reader: Reader | None) -> tuple[Reader | None, list[Finding]]:
        """Check one segment; return the reader that stands behind it (None: nowhere), and what was found."""
        tables, found = self._tables(segment)
        if found:
            return self._behind(name, segment, reader), found
        if reader is None or name not in tables:
            return reader, found
        comparison = _Comparison(segment, tables)
        try:
            for rows in _rebuilt(name, tables[name], reader):
                self._count(name, rows)
                comparison.take(rows)
                found.extend(self._cross(name, segment, rows))
        except InvariantError as error:
            return self._behind(name, segment, reader), [Finding(file=_main(name, segment), message=str(error))]
        found.extend(comparison.findings())
        found.extend(_check_ends(name, segment, tables[name]))
        return reader, found

    def _behind(self, name: str, segment: Segment, reader: Reader | None) -> Reader | None:
        """Return the reader behind a segment that can't be read, from what the manifest says of its end."""
        self._unread.append(range(segment.first_seq, segment.last_seq + 1))
        if name == "facts" or reader is None:
            return None
        last_seq = segment.last_seq if segment.last_seq >= 0 else getattr(reader, "last_seq", -1)
        return _reader_at(name, Stream(), segment.last + 1, last_seq, segment.head or getattr(reader, "head", ""))

    def _count(self, name: str, rows: Rows) -> None:
        self.counts[name] += len(rows.get(name, ()))
        if name == "facts":
            self.counts["undecodable_facts"] += sum(row["verdict"] == "undecodable" for row in rows.get("facts", ()))

    # ------------------------------------------------------------------------------------------------------- files

    def _tables(self, segment: Segment) -> tuple[dict[str, Any], list[Finding]]:
        tables: dict[str, Any] = {}
        findings: list[Finding] = []
        for file in segment.files:
            data, found = self._read(file.name, file.size, file.sha256)
            findings.extend(found)
            if data is not None:
                try:
                    tables[file.table] = from_parquet(data)
                except (pa.ArrowException, OSError) as error:
                    findings.append(Finding(file=file.name, message=f"is no Parquet file: {error}"))
                else:
                    findings.extend(_check_rows(file, tables[file.table]))
        return tables, findings

    def _read(self, name: str, size: int, sha256: str) -> tuple[bytes | None, list[Finding]]:
        """Return a file's bytes if they are those that were written."""
        try:
            data = (self._segments / name).read_bytes()
        except OSError as error:
            return None, [Finding(file=name, message=f"can't be read: {error.strerror}")]
        self.counts["files"] += 1
        self.counts["bytes"] += len(data)
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            return None, [Finding(file=name, message="is not as it was written: its SHA-256 is not the manifest's")]
        return data, []

    # ---------------------------------------------------------------------------------------------- between streams

    def _cross(self, name: str, segment: Segment, rows: Rows) -> Iterator[Finding]:
        """Check what decisions and commands refer to."""
        file = _main(name, segment)
        for row in rows.get("decisions", ()):
            if row["facts_offset"] >= self._facts_end:
                message = f"decision {row['id']} is about fact {row['facts_offset']}, which is not in the log"
                yield Finding(file=file, message=message)
            if row["kind"] in SENDING_KINDS:
                command = decode_decision(row["kafka_value"]).command
                self._commanded[row["seq"]] = digest_of(encode(command)) if command else ""
        for row in rows.get("commands", ()):
            expected = self._commanded.pop(row["seq"], None)
            if expected is None and not self._is_unread(row["seq"]):
                yield Finding(file=file, message=f"command {row['id']} has no decision that sends it")
            elif expected is not None and expected != digest_of(row["kafka_value"]):
                yield Finding(file=file, message=f"command {row['id']} is not the command of its decision")

    def _unsent(self, commands: Stream) -> Iterator[Finding]:
        """Check that what was commanded was sent: all but the newest, which may not be out yet."""
        for seq in sorted(self._commanded):
            if seq < commands.last_seq and not commands.gaps and not self._is_unread(seq):
                yield Finding(file="", message=f"decision seq {seq} commands, but its command is not in the log")

    def _is_unread(self, seq: int) -> bool:
        return any(seq in numbers for numbers in self._unread)


def _reader_at(name: str, stream: Stream, position: int, last_seq: int, head: str) -> Reader:
    """Return the reader that stands before an offset, as the writer's did."""

    def twice(seq: int) -> str:
        raise InvariantError(f"{name}: seq {seq} is there twice")

    gaps = tuple(gap for gap in stream.gaps if gap.last + 1 == position)
    return reader_for(name, Stream(position=position, last_seq=last_seq, head=head, gaps=gaps), Ledger(), twice)


def _main(name: str, segment: Segment) -> str:
    """Return the name of a segment's file of raw records."""
    return file_name(name, segment.first, segment.last)


def _rebuilt(name: str, table: Any, reader: Reader) -> Iterator[Rows]:
    """Yield the rows that the raw records of a table give, some records at a time."""
    columns = [name for name in table.column_names if name.startswith("kafka_") or name == "decisions_offset"]
    records = in_order(name, table.select(columns))
    for begin in range(0, table.num_rows, _BATCH_RECORDS):
        rows: Rows = {}
        for row in records.slice(begin, _BATCH_RECORDS).to_pylist():
            raw = (row["kafka_offset"], row["kafka_append_ms"], row["kafka_key"], row["kafka_value"])
            reader.take(Raw(*raw, row.get("decisions_offset", -1)), rows)
        yield rows


def _check_rows(file: FileEntry, table: Any) -> Iterator[Finding]:
    if table.num_rows != file.rows:
        yield Finding(file=file.name, message=f"has {table.num_rows} rows, but the manifest says {file.rows}")


class _Comparison:
    """Holds the stored tables of a segment against the rows that its raw records give, as these come."""

    def __init__(self, segment: Segment, tables: Mapping[str, Any]) -> None:
        self._segment, self._tables = segment, tables
        self._ordered = {name: in_order(name, table) for name, table in tables.items()}
        self._compared = dict.fromkeys(tables, 0)
        self._wrong: dict[tuple[str, str], str] = {}

    def take(self, rows: Rows) -> None:
        """Compare the next rows of every table."""
        for name, some in rows.items():
            if name not in self._tables:
                self._wrong[name, ""] = "is missing, but the raw records have rows for it"
                continue
            built = build(name, some)
            stored = self._ordered[name].slice(self._compared[name], len(some))
            self._compared[name] += len(some)
            if stored.schema.names != built.schema.names or stored.num_rows != built.num_rows:
                self._wrong[name, ""] = "has other rows or columns than the raw records give"
                continue
            for column in built.schema.names:
                if not _equal(stored.column(column), built.column(column)):
                    self._wrong[name, column] = f"column {column} does not say what the raw records say"

    def findings(self) -> Iterator[Finding]:
        """Yield what was wrong, once every row was taken."""
        for name, table in self._tables.items():
            if self._compared[name] != table.num_rows:
                self._wrong[name, ""] = "has other rows or columns than the raw records give"
        for (name, _), message in sorted(self._wrong.items()):
            yield Finding(file=file_name(name, self._segment.first, self._segment.last), message=message)


def _equal(stored: Any, built: Any) -> bool:
    """Say whether two columns hold the same; a NaN is equal to a NaN here."""
    return bool(stored.equals(built)) or repr(stored.to_pylist()) == repr(built.to_pylist())


def _check_ends(name: str, segment: Segment, table: Any) -> Iterator[Finding]:
    """Check that the records lie within the segment's name, and the ends and the head that the manifest gives."""
    rows = in_order(name, table)
    offsets = table.column("kafka_offset").to_pylist()
    if name == APART:
        offsets.sort()
    if offsets != sorted(set(offsets)) or offsets[0] < segment.first or offsets[-1] > segment.last:
        yield Finding(file=_main(name, segment), message="holds offsets out of order or beyond its name")
    if name not in {"decisions", "commands"}:
        return
    first, last = (rows.slice(place, 1).to_pylist()[0] for place in (0, table.num_rows - 1))
    ends = first["seq"], last["seq"]
    head = last["sha256"] if name == "decisions" else ""
    if (*ends, head) != (segment.first_seq, segment.last_seq, segment.head):
        yield Finding(file=_main(name, segment), message="has other ends or another chain head than the manifest says")
