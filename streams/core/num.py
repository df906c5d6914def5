"""Arithmetic that gives the same bytes on every host and Python: stored values are rounded to 1e-9."""

from __future__ import annotations

import hashlib

_DIGITS = 9


def stored(value: float) -> float:
    """Return a value as it is stored: rounded to 1e-9, and never -0.0."""
    return round(value, _DIGITS) + 0.0


def draw(identity: str) -> float:
    """Return a number in [0, 1) that depends on nothing but ``identity``: chance that can be recomputed."""
    top = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6], "big")
    return top / (1 << 48)
