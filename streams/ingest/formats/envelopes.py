"""JSON objects that wrap lines: what is in each kind of envelope that ``signs`` knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from streams.ingest import identity
from streams.ingest.formats import gelf, otlp_json
from streams.ingest.formats.reading import LINES_MAX, Item
from streams.ingest.formats.signs import envelope_of
from streams.ingest.json_lines import JsonReader

Unfolded = Sequence[Item] | bytes | None
"""Lines; or bytes that are sniffed like a record's value; or None: the object is a line like any other."""

_BATCH_KEYS: Final = ("records", "Records", "logs")
_AROUND_CHARACTERS_MAX: Final = 256
"""A longer text beside a list names nothing; copied into thousands of lines it would be gigabytes."""


def _connect(found: dict[str, Any], _reader: JsonReader) -> Unfolded:
    """Return what Kafka Connect's JsonConverter wraps: an object, a text, or nothing."""
    payload = found["payload"]
    if payload is None:
        return b""
    if type(payload) is str:
        return payload.encode("utf-8", "replace")
    return [payload] if type(payload) is dict else _objects(payload)


def _cloudwatch(found: dict[str, Any], _reader: JsonReader) -> Unfolded:
    """Return the lines of a CloudWatch Logs subscription; a log group's last part names the service."""
    group = found.get("logGroup")
    service = identity.derived(group.rstrip("/").rsplit("/", 1)[-1]) if type(group) is str else ""
    events = _objects(found["logEvents"])
    return None if events is None else [{"service": service, **event} for event in events]


def _batch(found: dict[str, Any], _reader: JsonReader) -> Unfolded:
    """Return the objects in a list; what stands beside the list holds for each that does not say it itself."""
    key = next(key for key in _BATCH_KEYS if key in found)
    objects = _objects(found[key])
    if objects is None:
        return None
    around = {
        name: value
        for name, value in found.items()
        if type(value) in {int, float} or (type(value) is str and len(value) <= _AROUND_CHARACTERS_MAX)
    }
    return [{**around, **item} for item in objects]


def _objects(value: object) -> list[dict[str, Any]] | None:
    """Return a list of nothing but objects; None for anything else and for an empty one."""
    if type(value) is not list or not value or not all(type(item) is dict for item in value):
        return None
    return value[:LINES_MAX]


UNFOLD: Final[dict[str, Callable[[dict[str, Any], JsonReader], Unfolded]]] = {
    "otlp": otlp_json.unfold,
    "connect": _connect,
    "gelf": gelf.unfold,
    "cloudwatch": _cloudwatch,
    "batch": _batch,
}


def unfold(found: dict[str, Any], reader: JsonReader) -> Unfolded:
    """Return what an object wraps, of which the reader said that it may be an envelope."""
    return UNFOLD[envelope_of(frozenset(found))](found, reader)
