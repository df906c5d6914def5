"""Raw rows of a stream in their order, however long it takes and whatever is merged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from analytics.manifest import SEGMENTS, Manifest, Segment, load
from analytics.order import rows_in_order
from analytics.tables import Row
from streams.core.errors import InputError

_BATCH_ROWS = 2_000


def scan(directory: Path, manifest: Manifest, name: str, columns: Sequence[str]) -> Iterator[Row]:
    """Yield some columns of a stream's raw rows, up to where ``manifest`` ends.

    Raises ``InputError`` when a file is missing for good or is no Parquet file.
    """
    end = manifest.stream(name).position
    position = manifest.stream(name).start
    while (segment := _segment_at(manifest, name, position)) is not None and segment.first < end:
        file = segment.file_of(name)
        try:
            source = pq.ParquetFile(directory / SEGMENTS / file.name) if file else None
        except FileNotFoundError as error:
            newer = load(directory)
            if newer.version == manifest.version:
                name = file.name if file else name
                raise InputError(f"{name} is missing or damaged: run logmend verify") from error
            manifest = newer
            continue
        except (OSError, ValueError) as error:
            raise InputError(f"{file.name if file else name}: {error}") from error
        if source is not None:
            with source:
                for row in rows_in_order(source, columns, _BATCH_ROWS):
                    if position <= row["kafka_offset"] < end:
                        yield row
        position = segment.last + 1


def _segment_at(manifest: Manifest, name: str, position: int) -> Segment | None:
    """Return the first segment that reaches to an offset or beyond."""
    return next((one for one in manifest.stream(name).segments if one.last >= position), None)
