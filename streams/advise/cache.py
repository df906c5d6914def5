"""What was answered a short while ago, by a hash of what was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

SECONDS: Final = 300.0
ENTRIES_MAX: Final = 64
"""An answer is at most 256 KB: 16 MB in the worst case."""

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Remembers at most ``entries_max`` values for ``seconds`` each; the oldest is forgotten first."""

    def __init__(
        self,
        seconds: float = SECONDS,
        entries_max: int = ENTRIES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._entries_max = entries_max
        self._clock = clock
        self._entries: dict[str, tuple[float, Value]] = {}  # oldest first

    def get(self, key: str) -> Value | None:
        """Return what is remembered under a key, None when nothing is, or when it is too old."""
        if (entry := self._entries.get(key)) is None:
            return None
        at, value = entry
        return value if self._clock() - at < self._seconds else None

    def put(self, key: str, value: Value) -> None:
        """Remember a value from now on."""
        self._entries.pop(key, None)
        while len(self._entries) >= self._entries_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock(), value)
