"""This host's clock. The broker's is another one: ``pulse.py`` measures how far the two are apart."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the time by this host's clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
