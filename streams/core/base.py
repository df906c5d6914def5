"""The base of everything that is recorded."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that is recorded."""
