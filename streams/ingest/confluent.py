"""The wire format of Confluent's serializers: a schema's id, then the payload.

The id stands before the payload, or in a header with the whole value as payload: 0x00 and four bytes, or 0x01 and the
16 bytes of a GUID (since platform 8.1). Which schema it is the registry knows; asking it is I/O, so whoever cuts
records asks first (``Book.unknown``, ``Book.learn``), and the book is read while cutting.

Source: Confluent Platform 8.1 documentation, "Formats, Serializers, and Deserializers: Wire format".
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from streams.core.errors import InputError
from streams.ingest.avro_schemas import AvroReader
from streams.ingest.json_lines import JsonReader
from streams.ports import Record, Registered, SchemaId

Decoded = dict[str, Any] | list[dict[str, Any]] | bytes | str
"""An object (one line), objects (a line each), text (as plain text), or a ``str``: why the record is rejected."""

NO_REGISTRY: Final = "confluent avro: no registry"
UNKNOWN_SCHEMA: Final = "confluent avro: unknown schema"
SCHEMA_HEADERS: Final = frozenset({"__value_schema_id", "value.schema.id"})
SCHEMA_ID_MAX: Final = 1 << 20
"""Larger numbers after a NUL are text or something else; registries count from 1, Confluent's cloud from 100 000."""
SCHEMAS_MAX: Final = 2_000
_CONTROLS: Final = bytes(set(range(32)) - {0, 9, 10, 12, 13, 27}) + b"\x7f"
_PREFIX_BYTES: Final = {0: 5, 1: 17}
_SNIFFED_BYTES: Final = 2048


def frame_of(record: Record, value: bytes) -> tuple[SchemaId, int] | None:
    """Return the schema id that a record names and where its payload begins; None when it names none."""
    for name, said in record.headers:
        if name in SCHEMA_HEADERS and (found := _id_in_header(said)):
            return found, 0
    size = _PREFIX_BYTES.get(value[0], 0)
    if not size or len(value) <= size:
        return None
    if size != 5:
        return str(uuid.UUID(bytes=value[1:17])), size
    number = int.from_bytes(value[1:5], "big")
    return (number, size) if 0 < number < SCHEMA_ID_MAX else None


def _id_in_header(said: bytes | None) -> SchemaId | None:
    """Return the id in a header: a magic byte and an id, or four bytes alone. A Protobuf GUID has indexes behind it."""
    if not said:
        return None
    if len(said) in {4, 5} and (len(said) == 4 or not said[0]):
        return int.from_bytes(said[-4:], "big")
    return str(uuid.UUID(bytes=said[1:17])) if len(said) >= 17 and said[0] == 1 else None


class Book:
    """The schemas that are known. One for a process; what ``learn`` was told last is what ``read`` says."""

    def __init__(self) -> None:
        self._json: Final = JsonReader()
        self._known: Final[dict[SchemaId, AvroReader | str]] = {}
        """By id, for ever: a reader, the word ``JSON``, or why its records are rejected."""
        self._now: Mapping[SchemaId, str] = {}
        """What the last question did not answer."""

    def unknown(self, records: Iterable[Record]) -> set[SchemaId]:
        """Return the ids of schemas that some records name and nobody has told of yet; cheap for lines of JSON."""
        found = set()
        for record in records:
            value = record.value
            if value and (value[0] < 2 or record.headers):
                frame = frame_of(record, value)
                if frame and frame[0] not in self._known and not self._is_line(value):
                    found.add(frame[0])
        return found

    def _is_line(self, value: bytes) -> bool:
        """Say whether a value is a JSON object, which is read without a schema; a payload of Avro may begin alike."""
        return value[0] == 0x7B and type(self._json.decode(value)) is dict

    def learn(self, answers: Mapping[SchemaId, Registered | str]) -> None:
        """Take in a registry's answers. Schemas are kept; why there is none (a ``str``) holds until the next call."""
        self._now = {id_: f"confluent avro: {said}" for id_, said in answers.items() if isinstance(said, str)}
        for id_, said in answers.items():
            if not isinstance(said, str):
                while len(self._known) >= SCHEMAS_MAX:
                    del self._known[next(iter(self._known))]
                self._known[id_] = _compiled(said)

    def read(self, record: Record, value: bytes) -> Decoded | None:
        """Return what a record of this format holds; None when it is of another format."""
        frame = frame_of(record, value)
        if frame is None:
            return None
        id_, start = frame
        known = self._known.get(id_)
        if isinstance(known, AvroReader):
            return _read_avro(known, value[start:])
        if known == _JSON:
            return self._read_json(value[start:]) or "confluent json: no object and no text"
        if known:
            return known
        if start and value[start] in b"{[" and (found := self._read_json(value[start:])):
            return found
        return self._unread(id_, start, value)

    def _unread(self, id_: SchemaId, start: int, value: bytes) -> str | None:
        """Return why a schema is not there; None when the record needs none, because it may well be something else.

        Bytes that only look like a frame are text that begins with a NUL, or nothing that we know.
        """
        reason = self._now.get(id_, NO_REGISTRY)
        if start and reason in {NO_REGISTRY, UNKNOWN_SCHEMA} and (start != 5 or not _has_controls(value)):
            return None
        return reason

    def _read_json(self, payload: bytes) -> Decoded | None:
        found = self._json.decode(payload)
        return found.encode("utf-8", "replace") if type(found) is str else _lines(found)


_JSON: Final = "JSON"


def _compiled(registered: Registered) -> AvroReader | str:
    """Return what reads a schema's payloads, or why there is no such thing."""
    if registered.kind == _JSON:
        return _JSON
    if registered.kind != "AVRO":
        return f"confluent {registered.kind.lower()[:20]} is not read"
    try:
        return AvroReader.of(registered.text, registered.references)
    except InputError as error:
        return f"confluent avro: schema refused: {error}"


def _read_avro(reader: AvroReader, payload: bytes) -> Decoded:
    try:
        value = reader.read(payload)
    except InputError as error:
        return f"confluent avro: {error}"
    if type(value) is str:
        return value.encode("utf-8", "replace")
    return _lines(value) or "confluent avro: no record and no text"


def _lines(value: Any) -> Decoded | None:
    if type(value) is dict or (type(value) is list and value and all(type(item) is dict for item in value)):
        return value
    return None


def _has_controls(value: bytes) -> bool:
    sample = value[:_SNIFFED_BYTES]
    return len(sample.translate(None, _CONTROLS)) < len(sample)
