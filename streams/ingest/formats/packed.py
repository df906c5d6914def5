"""msgpack as Fluent Bit and Fluentd write it: maps, alone or with their time, one after the other in one record.

| what stands in a record | from |
|---|---|
| map | Fluent Bit's Kafka output |
| [time, map], [[time, metadata], map] | Fluent Bit's events, since 2.1 with metadata |
| [tag, time, map], [tag, [[time, map], …]], [tag, bytes of [time, map] …], then options | Fluentd's forward protocol |

A time is a number of seconds or the extension type 0 (``EventTime``: seconds and nanoseconds, 4 bytes each).
Lengths are believed only as far as the record reaches; levels and values are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgpack

from streams.core.errors import InputError
from streams.ingest.formats import reasons, wrapping
from streams.ingest.formats.reading import LINES_MAX, Item
from streams.ingest.json_lines import JsonReader

DEPTH_MAX: Final = 64
VALUES_MAX: Final = 500_000
_ARRAY_ITEMS_MAX: Final = 16_384
"""Room for an array is made when its length is read, so that no length may be believed that is much larger."""
_MAP_ITEMS_MAX: Final = 4_096
_EXTENSION_BYTES_MAX: Final = 1_024
_EVENT_TIME: Final = 0
_EVENT_TIME_BYTES: Final = 8
_TIME_KEY: Final = "created"
"""Where the time beside a map goes: a key that is asked late, so that a time in the map itself wins."""


def decode(value: bytes, _reader: JsonReader) -> list[Item] | None:
    """Return the maps in a record; None when the bytes are no msgpack of maps. ``InputError`` beyond the limits."""
    items: list[Item] = []
    try:
        for found in _Objects(value).found():
            maps = _maps(found)
            if not maps:
                return None
            items += maps[: LINES_MAX - len(items)]
            if len(items) >= LINES_MAX:
                break
    except InputError:
        raise
    except (ValueError, OverflowError, msgpack.UnpackException):
        return None
    return items or None


class _Objects:
    """The objects that stand one after the other in some bytes; bytes in maps and keys of maps are made texts."""

    def __init__(self, value: bytes) -> None:
        self._value: Final = value
        self._containers = 0
        self._values = 0

    def found(self) -> Iterator[Any]:
        """Yield the objects; raise ``ValueError`` when bytes are left over."""
        unpacker = msgpack.Unpacker(
            max_buffer_size=len(self._value),
            max_array_len=_ARRAY_ITEMS_MAX,
            max_map_len=_MAP_ITEMS_MAX,
            max_ext_len=_EXTENSION_BYTES_MAX,
            strict_map_key=False,
            unicode_errors="replace",
            timestamp=1,
            ext_hook=_extension,
            object_pairs_hook=self._map,
            list_hook=self._list,
        )
        unpacker.feed(self._value)
        for found in unpacker:
            if self._containers > DEPTH_MAX and _deeper_than(found, DEPTH_MAX):
                raise InputError(reasons.TOO_DEEP)
            yield found
        if unpacker.tell() != len(self._value):
            raise ValueError("not whole")

    def _map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        self._count(len(pairs))
        return {
            key if type(key) is str else _shown(key): _shown(value) if type(value) is bytes else value
            for key, value in pairs
        }

    def _list(self, values: list[Any]) -> list[Any]:
        self._count(len(values))
        return values

    def _count(self, values: int) -> None:
        self._containers += 1
        self._values += 1 + values
        if self._values > VALUES_MAX:
            raise InputError(reasons.TOO_MANY_VALUES)


def _maps(found: Any) -> list[dict[str, Any]]:
    """Return the maps of one object, each with its time; ``[]`` when the object is of no shape that we know."""
    match found:
        case dict():
            return [found]
        case [[time, _] | time, dict() as fields]:
            return [_timed(time, fields)]
        case [str(), int() | float() as time, dict() as fields, *_]:
            return [_timed(time, fields)]
        case [str(), list() as entries, *_]:
            return _entries(entries)
        case [str(), bytes() as entries, *_]:
            return _entries(list(_Objects(_unpacked(entries)).found()))
    return []


def _entries(entries: list[Any]) -> list[dict[str, Any]]:
    """Return the maps of ``[[time, map], …]``; ``[]`` unless every entry is one."""
    if not all(type(entry) is list and len(entry) == 2 and type(entry[1]) is dict for entry in entries):
        return []
    return [_timed(entry[0], entry[1]) for entry in entries]


def _unpacked(data: bytes) -> bytes:
    return wrapping.gunzip(data) if data.startswith(wrapping.GZIP) else data


def _timed(time: Any, found: dict[str, Any]) -> dict[str, Any]:
    return {**found, _TIME_KEY: time} if _TIME_KEY not in found and type(time) in {int, float} else found


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if type(value) is bytes else str(value)


def _extension(kind: int, data: bytes) -> Any:
    """Return an event's time in nanoseconds, or the bytes of another extension as digits."""
    if kind == _EVENT_TIME and len(data) == _EVENT_TIME_BYTES:
        return int.from_bytes(data[:4], "big") * 1_000_000_000 + int.from_bytes(data[4:], "big")
    return data.hex()


def _deeper_than(value: Any, levels: int) -> bool:
    """Say whether lists and maps are nested in more than some levels."""
    if type(value) is dict:
        value = list(value.values())
    if type(value) is not list:
        return False
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in value)
