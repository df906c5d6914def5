"""The hash chain over decisions: canonical bytes, and the hash that the next decision carries."""

from __future__ import annotations

import hashlib

import msgspec

from streams.core.events import Decision

_ENCODER = msgspec.msgpack.Encoder()
_LATER = tuple((one.name, one.default) for one in msgspec.structs.fields(Decision) if not one.required)
"""Fields that were added to the first version, which had no defaults."""


def canonical(decision: Decision) -> bytes:
    """Return the bytes that are hashed: a MessagePack map, fields in declared order.

    A field that version 1 had not is left out while it holds its default: what was recorded without it keeps its hash.
    """
    held = msgspec.structs.asdict(decision)
    for name, default in _LATER:
        if held[name] == default:
            del held[name]
    return _ENCODER.encode(held)


def sha256_of(decision: Decision) -> str:
    """Return the hex SHA-256 that the decision after this one carries as ``previous_sha256``."""
    return hashlib.sha256(canonical(decision)).hexdigest()
