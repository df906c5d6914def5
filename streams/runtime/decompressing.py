"""Decompression that stops at a limit: what producers pack small may unpack to anything.

aiokafka's own functions unpack a megabyte of gzip to a gigabyte; ``unpacking`` puts these in their places.
"""

from __future__ import annotations

import mmap
import threading
import zlib
from collections.abc import Callable
from typing import Any, Final

import cramjam
from aiokafka.errors import CorruptRecordException

UNPACKED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one batch. A megabyte of log lines packs 5 to 20 times smaller; brokers take batches of 1 MB, ours of 9 MB."""

_RESIDENT_BYTES_MAX: Final = 8 * 1024 * 1024
_XERIAL_HEAD_BYTES: Final = 16
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_MEMBERS_MAX: Final = 16


class TooLargeError(ValueError):
    """A batch that is more than we take."""


def gzip_decode(data: Any) -> bytes:
    """Unpack gzip. Producers write one member; what follows the last is left, as by the broker."""
    parts: list[bytes] = []
    rest, left = bytes(data), UNPACKED_BYTES_MAX
    while not parts or (rest.startswith(_GZIP_MAGIC) and len(parts) < _GZIP_MEMBERS_MAX):
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(rest, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise _too_large()
        if not member.eof:
            raise CorruptRecordException("gzip is cut short")
        rest = member.unused_data
    return b"".join(parts)


def snappy_decode(data: bytes) -> bytes:
    """Unpack snappy, plain or in Xerial's blocks. A block says first how large it will be, and the decoder obeys."""
    if not data.startswith(_XERIAL_MAGIC):
        return _snappy_block(data, UNPACKED_BYTES_MAX)
    parts, left, at = [], UNPACKED_BYTES_MAX, _XERIAL_HEAD_BYTES
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4 + size
        if at > len(data):
            raise CorruptRecordException("snappy is cut short")
        parts.append(_snappy_block(data[at - size : at], left))
        left -= len(parts[-1])
    return b"".join(parts)


def _snappy_block(block: bytes, left: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > left:
        raise _too_large()
    return bytes(cramjam.snappy.decompress_raw(block))


class _Room(threading.local):
    """Memory to unpack into, one for each thread; its pages take no room before they are written to."""

    def __init__(self) -> None:
        self.pages = mmap.mmap(-1, UNPACKED_BYTES_MAX)

    def unpack(self, decompress_into: Callable[[bytes, mmap.mmap], int], data: bytes) -> bytes:
        """Return what ``data`` unpacks to. It is faster than memory that grows, too."""
        try:
            size = decompress_into(data, self.pages)
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                self._let_go()
                raise _too_large() from error
            raise
        found = self.pages[:size]
        if size > _RESIDENT_BYTES_MAX:
            self._let_go()
        return found

    def _let_go(self) -> None:
        self.pages.madvise(mmap.MADV_DONTNEED)


_room: Final = _Room()


def lz4_decode(data: bytes) -> bytes:
    """Unpack lz4 frames."""
    return _room.unpack(cramjam.lz4.decompress_into, data)


def zstd_decode(data: bytes) -> bytes:
    """Unpack zstd frames."""
    return _room.unpack(cramjam.zstd.decompress_into, data)


def _too_large() -> TooLargeError:
    return TooLargeError(f"more than {UNPACKED_BYTES_MAX >> 20} MB unpacked")
