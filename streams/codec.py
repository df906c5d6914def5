"""Events to bytes and back: Avro single-object encoding of everything that is recorded.

A framed event is ``C3 01``, the eight-byte CRC-64-AVRO fingerprint of the schema it was written with, and the Avro
body. Only released schemas (``schemas/released.json``) are read; an older version is resolved to the newest.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from typing import Any, Final, NamedTuple, get_args

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer

import schemas
from streams import tallies
from streams.core.base import Event
from streams.core.beside import Evidence, Heartbeat
from streams.core.errors import InputError, InvariantError
from streams.core.events import (
    Command,
    Decision,
    Detection,
    Fact,
    InboxEvent,
    Message,
    Reject,
    Sample,
    Slice,
    Tally,
)

EVENT_BYTES_MAX: Final = 1_000_000
"""Largest framed event, read or written. Every item of every array takes a byte at least, so it bounds them too."""

_MARKER: Final = b"\xc3\x01"
_HEAD_BYTES: Final = 10
_EVENTS: Final[tuple[type[Event], ...]] = (
    *get_args(Fact),
    *get_args(InboxEvent),
    Decision,
    Command,
    Evidence,
    Heartbeat,
)

_WHAT_IS_WRONG: Final[dict[type[Exception], str]] = {
    EOFError: "cut short, or a length in it is wrong",
    IndexError: "cut short, or the number of a branch or symbol in it is wrong",
    UnicodeDecodeError: "a text in it is no UTF-8",
    ValueError: "a value in it is none that its schema allows",
    TypeError: "a value in it is of another kind than its schema says",
    OverflowError: "a number in it is too large",
    MemoryError: "a length in it is too large",
}
"""What is said of bytes at which fastavro fails, the most specific before its base. Never the error's own text: a
reason becomes part of a slice, equal bytes must give equal slices, and those texts hold addresses of objects."""


class _Writer(NamedTuple):
    """How an event is written; a slice in two parts, between which its tallies stand."""

    head: bytes
    schema: Any
    behind_tallies: Any | None = None


class _Reader(NamedTuple):
    """How one fingerprint is read: ``resolve_to`` is the newest schema when ``schema`` is an older one."""

    event: type[Event]
    schema: Any
    resolve_to: Any | None


def schema_name(event: type[Event]) -> str:
    """Return the name under which an event's schema is released: ``LinesLost`` is ``lines_lost``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


@cache
def _parsed(name: str, version: int) -> Any:
    return parse_schema(schemas.load(name, version))


def _writers() -> dict[type[Event], _Writer]:
    prints = {(release.name, release.version): release.fingerprint for release in schemas.released()}
    table = {}
    for event in _EVENTS:
        name = schema_name(event)
        version = schemas.latest(name)
        table[event] = _Writer(_MARKER + prints[name, version], *_parts(name, version))
    return table


def _parts(name: str, version: int) -> tuple[Any, ...]:
    """Return the schema of an event; that of a slice as two, without the tallies between their fields."""
    whole = schemas.load(name, version)
    at = [field["name"] for field in whole["fields"]].index("tallies") if name == "slice" else 0
    if not at:
        return (_parsed(name, version),)
    before, behind = whole["fields"][:at], whole["fields"][at + 1 :]
    return parse_schema({**whole, "fields": before}), parse_schema({**whole, "fields": behind})


def _readers() -> dict[bytes, _Reader]:
    events = {schema_name(event): event for event in _EVENTS}
    table = {}
    for release in schemas.released():
        newest = schemas.latest(release.name)
        resolve_to = None if release.version == newest else _parsed(release.name, newest)
        schema = _parsed(release.name, release.version)
        table[_MARKER + release.fingerprint] = _Reader(events[release.name], schema, resolve_to)
    return table


_WRITERS: Final = _writers()
_READERS: Final = _readers()


def encode(event: Event) -> bytes:
    """Return the framed bytes of a recorded event.

    Raises ``InvariantError`` for what could not be read again: more than ``EVENT_BYTES_MAX``, an integer beyond 64
    bits, text that is not Unicode, or a struct that is only ever a part of another.
    """
    writer = _WRITERS.get(type(event))
    if writer is None:
        raise InvariantError(f"{type(event).__name__} is not recorded by itself")
    out = BytesIO(writer.head)
    out.seek(_HEAD_BYTES)
    try:
        wire = _to_wire(event)
        schemaless_writer(out, writer.schema, wire)
        if isinstance(event, Slice):
            out.write(tallies.encoded(event.tallies))
            schemaless_writer(out, writer.behind_tallies, wire)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvariantError(f"{type(event).__name__} does not fit its schema: {error}") from error
    if out.tell() > EVENT_BYTES_MAX:
        raise InvariantError(f"{type(event).__name__} takes {out.tell()} bytes of at most {EVENT_BYTES_MAX}")
    return out.getvalue()


def _to_wire(event: Event) -> dict[str, Any]:
    """Return an event as fastavro takes it; a tuple in a union names the branch, which saves the search for it."""
    if isinstance(event, Slice) and (event.messages or event.tallies):  # tallies are written by themselves
        bare = _to_wire(msgspec.structs.replace(event, messages=(), tallies=()))
        messages = [{"offset": m.offset, "append_ms": m.append_ms, "body": encode(m.event)} for m in event.messages]
        return {**bare, "messages": messages}
    wire: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    if isinstance(event, Decision) and event.command is not None:
        wire["command"] = ("logmend.Command", wire["command"])
    return wire


def decode(data: bytes) -> Event:
    """Return the event that framed bytes hold.

    Raises ``InputError`` when they are too long, of a schema that was never released, cut short, or followed by
    something else.
    """
    reader = _reader_of(data)
    body = BytesIO(data)
    body.seek(_HEAD_BYTES)
    try:
        record = schemaless_reader(body, reader.schema, reader.resolve_to)
        event = _from_wire(record, reader.event)
    except InputError:
        raise
    except tuple(_WHAT_IS_WRONG) as error:
        raise InputError(f"malformed {reader.event.__name__}: {_what_is_wrong(error)}") from error
    if body.tell() != len(data):
        raise InputError(f"malformed {reader.event.__name__}: {len(data) - body.tell()} bytes follow it")
    return event


def _what_is_wrong(error: Exception) -> str:
    return next(text for kind, text in _WHAT_IS_WRONG.items() if isinstance(error, kind))


def _reader_of(data: bytes) -> _Reader:
    if len(data) > EVENT_BYTES_MAX:
        raise InputError(f"an event of {len(data)} bytes; at most {EVENT_BYTES_MAX} are read")
    if not data.startswith(_MARKER):
        raise InputError("not an event: no Avro single-object marker")
    reader = _READERS.get(data[:_HEAD_BYTES])
    if reader is None:
        raise InputError(f"unknown schema fingerprint {data[2:_HEAD_BYTES].hex()}: written by a newer release?")
    return reader


def _from_wire(record: dict[str, Any], event: type[Event]) -> Event:
    if event is Slice:
        return _slice(record)
    return msgspec.convert(record, event)


def _slice(record: dict[str, Any]) -> Slice:
    """Build a slice: the union in ``Message.event`` carries no tag on the wire, so its messages are framed bytes."""
    return Slice(
        **{
            **record,
            "detections": msgspec.convert(record["detections"], tuple[Detection, ...]),
            "tallies": msgspec.convert(record["tallies"], tuple[Tally, ...]),
            "rejects": msgspec.convert(record["rejects"], tuple[Reject, ...]),
            "samples": msgspec.convert(record["samples"], tuple[Sample, ...]),
            "messages": tuple(
                Message(offset=m["offset"], append_ms=m["append_ms"], event=decode_inbox(m["body"]))
                for m in record["messages"]
            ),
        }
    )


def _only(data: bytes, kinds: tuple[type[Event], ...], wanted: str) -> Any:
    """Decode one of some kinds; the fingerprint is looked at first, so nothing of another kind is ever built."""
    found = _reader_of(data).event
    if found not in kinds:
        raise InputError(f"{found.__name__} is not {wanted}")
    return decode(data)


def decode_inbox(data: bytes) -> InboxEvent:
    """``decode``, for inbox events only."""
    event: InboxEvent = _only(data, get_args(InboxEvent), "an inbox event")
    return event


def decode_fact(data: bytes) -> Fact:
    """``decode``, for facts only."""
    event: Fact = _only(data, get_args(Fact), "a fact")
    return event


def decode_decision(data: bytes) -> Decision:
    """``decode``, for decisions only."""
    event: Decision = _only(data, (Decision,), "a decision")
    return event


def decode_command(data: bytes) -> Command:
    """``decode``, for commands only."""
    event: Command = _only(data, (Command,), "a command")
    return event
