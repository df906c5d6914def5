"""From records to one segment and its files' bytes."""

from __future__ import annotations

from collections.abc import Sequence

from analytics.manifest import Segment, file_name
from analytics.readers import CommandsReader, DecisionsReader, Raw, Reader, Rows
from analytics.tables import build, entry_of, to_parquet
from streams.core.errors import InvariantError
from streams.ports import Record


def raw_of(record: Record) -> Raw:
    """Return a record as it is archived; ``InvariantError`` when a command's header is none of ours."""
    offset = next((value for name, value in record.headers if name == "decisions_offset"), b"-1")
    if not offset.lstrip(b"-").isdigit():
        raise InvariantError(f"{record.topic} offset {record.offset}: decisions_offset is {offset!r}")
    return Raw(record.offset, record.timestamp, record.key, record.value or b"", int(offset))


def segment_of(
    first: int, last: int, records: Sequence[Raw], rows: Rows, reader: Reader
) -> tuple[Segment, dict[str, bytes]]:
    """Return the segment of some rows and its files' bytes by name."""
    entries = []
    contents = {}
    for table, some in rows.items():
        data = to_parquet([build(table, some)])
        entries.append(entry_of(table, first, last, len(some), data))
        contents[file_name(table, first, last)] = data
    numbers = [row["seq"] for table in ("decisions", "commands") for row in rows.get(table, ())]
    segment = Segment(
        first=first,
        last=last,
        level=0,
        files=tuple(entries),
        newest_ms=max((record.append_ms for record in records), default=0),
        first_seq=numbers[0] if numbers else -1,
        last_seq=numbers[-1] if numbers and isinstance(reader, DecisionsReader | CommandsReader) else -1,
        head=reader.head if numbers and isinstance(reader, DecisionsReader) else "",
    )
    return segment, contents
