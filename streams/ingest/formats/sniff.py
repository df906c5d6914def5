"""Which decoder may take bytes that are no JSON, by their first byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.ingest.formats import otlp_proto, packed
from streams.ingest.formats.reading import Item
from streams.ingest.json_lines import JsonReader

Decoder = Callable[[bytes, JsonReader], list[Item] | None]
"""Returns the lines of a value, None when it is of another format; raises ``InputError`` with a reason."""

_MSGPACK_MAPS: Final = (*range(0x80, 0x90), 0xDE, 0xDF)
_MSGPACK_ARRAYS: Final = (0x92, 0x93, 0x94)

DECODERS: Final[dict[int, Decoder]] = {
    0x0A: otlp_proto.decode,
    **dict.fromkeys((*_MSGPACK_MAPS, *_MSGPACK_ARRAYS), packed.decode),
}
"""By first byte. A message of OTLP begins with field 1, of a length that follows: also a text's line feed."""


def decoded(value: bytes, reader: JsonReader) -> list[Item] | None:
    """Return the lines of a value in a binary format; None when it is in none."""
    decoder = DECODERS.get(value[0])
    return decoder(value, reader) if decoder else None
