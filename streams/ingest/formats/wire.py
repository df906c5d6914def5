"""The outer structure of protobuf messages, read without building them.

A request of OTLP is a few levels of messages in messages. Walking over their lengths tells within microseconds whether
bytes are such a request at all, and lets its log records be parsed one at a time, so that a small record which unfolds
into millions of empty messages costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

NUMBERS_MAX: Final = 1_000
"""Numbers in one message: those that are walked over have two or three, and millions would take seconds."""
_VARINT_BYTES_MAX: Final = 10
_ONE_BYTE: Final = 0x80
"""Most numbers are below this, and so one byte; they are read without a call."""
_FIXED_BYTES: Final = {1: 8, 5: 4}
_NUMBER: Final = 0
_LENGTH_DELIMITED: Final = 2


def parts(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (field number, begin, end) of the length-delimited fields in ``data[begin:end]``; numbers are passed over.

    Raises ``ValueError`` where the bytes are no protobuf message, which is not before all fields were walked over.
    """
    at = begin
    numbers = 0
    while at < end:
        tag, at = (data[at], at + 1) if data[at] < _ONE_BYTE else _varint(data, at, end)
        field, kind = tag >> 3, tag & 7
        if not field:
            raise ValueError("field 0")
        if kind == _LENGTH_DELIMITED:
            size, at = (data[at], at + 1) if at < end and data[at] < _ONE_BYTE else _varint(data, at, end)
            if size > end - at:
                raise ValueError("longer than its message")
            yield field, at, at + size
            at += size
            continue
        numbers += 1
        if numbers > NUMBERS_MAX:
            raise ValueError("too many numbers")
        at = _varint(data, at, end)[1] if kind == _NUMBER else at + _fixed_bytes(kind)
    if at != end:
        raise ValueError("longer than its message")


def _fixed_bytes(kind: int) -> int:
    size = _FIXED_BYTES.get(kind)
    if size is None:
        raise ValueError(f"wire type {kind}")
    return size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a variable-length number and where it ends."""
    number = shift = 0
    for position in range(at, min(end, at + _VARINT_BYTES_MAX)):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position + 1
        shift += 7
    raise ValueError("number without an end")
