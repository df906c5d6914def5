"""The tallies of a slice as Avro bytes: hundreds in each, nearly all with names that were written before.

They are nine tenths of what a slice takes to encode. fastavro takes 4 us for one; here what its names come to is
remembered, and only two numbers are new. Avro's specification, "Binary encoding": a record is its fields one after the
other, an array a count, that many items and a zero, a text its length and its UTF-8, a number a zigzag varint.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from streams.core.events import Tally


def encoded(tallies: Sequence[Tally]) -> bytes:
    """Return the array that holds ``tallies``.

    Raises ``OverflowError`` for a number beyond 64 bits and ``UnicodeEncodeError`` for text that is not Unicode.
    """
    if not tallies:
        return b"\x00"
    parts = [_number(len(tallies))]
    for tally in tallies:
        parts.append(_number(tally.at_ms))
        parts.append(_names(tally.service, tally.severity, tally.pattern, tally.template))
        parts.append(_number(tally.count))
    parts.append(b"\x00")
    return b"".join(parts)


@lru_cache(maxsize=16_384)
def _names(*names: str) -> bytes:
    return b"".join(_number(len(text)) + text for text in (name.encode() for name in names))


@lru_cache(maxsize=16_384)
def _number(number: int) -> bytes:
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError(f"{number} takes more than 64 bits")
    left = number << 1 ^ number >> 63
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
