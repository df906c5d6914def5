"""Batches as producers could send them, byte by byte: what no library of a producer would write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.util import calc_crc32c

MEGABYTE = 1024 * 1024
CODECS: dict[int, Callable[[bytes], bytes]] = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
Header = tuple[bytes, bytes]


def varint(number: int) -> bytes:
    """Return a zigzag varint."""
    number, out = number << 1 ^ number >> 63, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def gigabyte(codec: int) -> bytes:
    """Return a gigabyte of zeros, packed, without ever making it."""
    if codec == 1:
        head, packer, crc = zlib.compressobj(wbits=31).flush()[:10], zlib.compressobj(wbits=-15), 0
        block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)  # it refers to nothing before it
        for _ in range(1024):
            crc = zlib.crc32(bytes(MEGABYTE), crc)
        return head + block * 1024 + packer.flush() + struct.pack("<II", crc, 1024 * MEGABYTE)
    packed = CODECS[codec](bytes(MEGABYTE))
    return packed[:16] + packed[16:] * 1024 if codec == 2 else packed * 1024


def a_record(value: bytes, delta: int = 0, headers: Sequence[Header] = ()) -> bytes:
    """Return a record as it stands in a batch."""
    head = b"".join(varint(len(name)) + name + varint(len(said)) + said for name, said in headers)
    body = b"\x00\x00" + varint(delta) + varint(-1) + varint(len(value)) + value + varint(len(headers)) + head
    return varint(len(body)) + body


def a_batch(payload: bytes, *, codec: int = 0, base: int = 0, records: int = 1, damage: int = 0) -> bytes:
    """Return a batch around records that are packed already; ``damage`` is added to its checksum."""
    rest = struct.pack(">hiqqqhii", codec, records - 1, 1, 1, -1, -1, -1, records) + payload
    crc = (calc_crc32c(rest) + damage) & 0xFFFF_FFFF
    return struct.pack(">qiibI", base, len(rest) + 9, 0, 2, crc) + rest


def good(base: int, *values: bytes) -> bytes:
    """Return a batch of these values."""
    payload = b"".join(a_record(value, delta) for delta, value in enumerate(values))
    return a_batch(lz4_encode(payload), codec=3, base=base, records=len(values))


def very_many_headers(count: int) -> bytes:
    """Return a record with so many empty headers."""
    body = b"\x00\x00\x00" + varint(-1) + varint(1) + b"x" + varint(count) + bytes(2 * count)
    return varint(len(body)) + body
