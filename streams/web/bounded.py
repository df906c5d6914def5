"""Tables in memory that never grow beyond a limit."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def put(table: dict[K, V], key: K, value: V, most: int) -> None:
    """Put a value under a key, behind all others; the first key goes when there are more than ``most``."""
    table.pop(key, None)
    table[key] = value
    if len(table) > most:
        del table[next(iter(table))]
