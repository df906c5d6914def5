"""Portions of a fetch that are worked off one by one, so that the event loop turns between them.

A loop that stands still for 0.75 sessions (4.5 s) has lost its lease, and the next process gets the same fetch: 17 MB
of records that producers compress themselves may hold two million lines, which take 13 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from streams.ports import Record, TopicPartition

Batch = Sequence[tuple[TopicPartition, Sequence[Record]]]

PORTION_BYTES: Final = 8 * 1024 * 1024
"""Lines of so many bytes take about half a second."""
_COMPRESSED: Final = frozenset({b"\x1f\x8b", b"\x28\xb5"})
"""How gzip and zstd begin."""
_COMPRESSED_FIRST: Final = frozenset(start[0] for start in _COMPRESSED)
_COMPRESSED_BYTES_MIN: Final = 256 * 1024
"""A hundred bytes may hold as many lines as are read of one record, which take 0.05 s."""
_COMPRESSED_FACTOR: Final = 20


def portions(batch: Batch, size_bytes: int = PORTION_BYTES) -> Iterator[Batch]:
    """Yield a batch in parts that take about equally long; nothing is left out and the order is kept."""
    if _is_one(batch, size_bytes):
        yield batch
        return
    portion: list[tuple[TopicPartition, Sequence[Record]]] = []
    left_bytes = size_bytes
    for where, records in batch:
        begin = 0
        for index, record in enumerate(records, start=1):
            value = record.value
            if not value:
                continue
            weight = len(value)
            if value[0] in _COMPRESSED_FIRST and value[:2] in _COMPRESSED:
                weight = max(weight * _COMPRESSED_FACTOR, _COMPRESSED_BYTES_MIN)
            left_bytes -= weight
            if left_bytes <= 0:
                portion.append((where, records[begin:index]))
                yield portion
                portion, begin, left_bytes = [], index, size_bytes
        if begin < len(records):
            portion.append((where, records[begin:] if begin else records))
    if portion:
        yield portion


def _is_one(batch: Batch, size_bytes: int) -> bool:
    """Tell, in a third of the time that weighing each record takes, whether a batch of plain records is one portion."""
    values = [value for _, records in batch for record in records if (value := record.value)]
    return 0 < sum(map(len, values)) < size_bytes and _COMPRESSED_FIRST.isdisjoint({value[0] for value in values})
