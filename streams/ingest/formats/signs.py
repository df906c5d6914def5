"""Which JSON objects wrap lines, told by their keys alone, so that it is asked once for each set of keys."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_SAYING: Final = frozenset({"message", "msg", "log", "event", "MESSAGE", "Message", "@message", "body", "text"})
"""Where an object has one of these, it is a line itself, whatever lists it carries."""


class Sign(Struct, frozen=True):
    """Keys by which one kind of envelope is known: one of ``any_of``, all of ``all_of``, none of ``none_of``."""

    envelope: str
    any_of: frozenset[str]
    all_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = _SAYING
    keys_max: int = 64


SIGNS: Final = (
    Sign("otlp", frozenset({"resourceLogs", "resource_logs"})),
    Sign("connect", frozenset({"payload"}), frozenset({"schema"}), keys_max=2),
    Sign("gelf", frozenset({"version", "host"}), frozenset({"short_message"}), none_of=frozenset()),
    Sign("cloudwatch", frozenset({"logGroup", "logStream"}), frozenset({"logEvents"})),
    Sign("batch", frozenset({"records", "Records", "logs"}), keys_max=8),
)


def envelope_of(keys: frozenset[str]) -> str:
    """Return the name of the envelope that an object with these keys may be, or ``""``."""
    for sign in SIGNS:
        if sign.any_of & keys and sign.all_of <= keys and not sign.none_of & keys and len(keys) <= sign.keys_max:
            return sign.envelope
    return ""
