"""What wraps a whole value: compression by the producer itself, byte order marks, UTF-16, a JSON string.

Each row of ``WRAPPINGS`` is told by a value's first bytes. It returns what is inside, or None when there is nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import cramjam
import msgspec

from streams.core.errors import InputError
from streams.ingest.formats import reasons

UNWRAPPED_BYTES_MAX: Final = 16 * 1024 * 1024
GZIP: Final = b"\x1f\x8b\x08"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MEMBERS_MAX: Final = 64
_WBITS_OF_GZIP: Final = 31
_ODD_SHARE_MAX: Final = 0.05


def gunzip(value: bytes) -> bytes:
    """Return what gzip holds, one member or several; ``InputError`` when it is damaged or larger than 16 MB."""
    parts: list[bytes] = []
    room = UNWRAPPED_BYTES_MAX
    for _ in range(_MEMBERS_MAX):
        member = zlib.decompressobj(_WBITS_OF_GZIP)
        try:
            part = member.decompress(value, room + 1)
        except zlib.error as error:
            raise InputError(reasons.DAMAGED_GZIP) from error
        room -= len(part)
        if room < 0:
            raise InputError(reasons.TOO_LARGE)
        parts.append(part)
        value = member.unused_data.lstrip(b"\x00")
        if not member.eof:
            break
        if not value:
            return b"".join(parts)
    raise InputError(reasons.DAMAGED_GZIP)


def _unzstd(value: bytes) -> bytes:
    """Return what zstd holds; the room is given beforehand, so that a bomb fails instead of unfolding."""
    room = bytearray(UNWRAPPED_BYTES_MAX)
    try:
        size = cramjam.zstd.decompress_into(value, room)
    except cramjam.DecompressionError as error:
        raise InputError(reasons.ZSTD) from error
    return bytes(memoryview(room)[:size])


def _without_mark(value: bytes) -> bytes:
    return value[3:]


def _of_utf16(value: bytes) -> bytes | None:
    """Return UTF-16 with a byte order mark as UTF-8; None for other bytes.

    A line in UTF-16 has NULs, with each space, digit and Latin letter; what begins with the mark by chance has none.
    """
    if b"\x00" not in value:
        return None
    text = value[: len(value) & ~1].decode("utf-16", "replace")
    odd = text.count("\ufffd")
    return text.encode() if odd <= len(text) * _ODD_SHARE_MAX else None


def _of_json_string(value: bytes) -> bytes | None:
    """Return the text of a JSON string, which is what serializers of JSON make of a line."""
    try:
        return msgspec.json.decode(value, type=str).encode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _after_blanks(value: bytes) -> bytes | None:
    """Return a JSON value without the blanks and line feeds before it; None for text that is indented."""
    bare = value.lstrip()
    try:
        msgspec.json.decode(bare, type=_Json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return bare


_Json = dict[str, msgspec.Raw] | list[msgspec.Raw]

WRAPPINGS: Final[tuple[tuple[bytes, Callable[[bytes], bytes | None]], ...]] = (
    (GZIP, gunzip),
    (_ZSTD, _unzstd),
    (b"\xef\xbb\xbf", _without_mark),
    (b"\xff\xfe", _of_utf16),
    (b"\xfe\xff", _of_utf16),
    (b'"', _of_json_string),
    *((blank, _after_blanks) for blank in (b" ", b"\t", b"\r", b"\n")),
)
_FIRST_BYTES: Final = frozenset(start[0] for start, _ in WRAPPINGS)


def unwrapped(value: bytes) -> bytes | None:
    """Return what a value wraps; None when it wraps nothing. ``InputError`` when it does and can't be opened."""
    if value[0] not in _FIRST_BYTES:
        return None
    return next((opened(value) for start, opened in WRAPPINGS if value.startswith(start)), None)
