"""What every engine of W1 is given and does: read a line, match it, and name the window that it is counted in.

*Same work* (``same``) decodes by msgspec and matches Logmend's shipped rules by Hyperscan, as Logmend does. *As
normally written* (``usual``) decodes by ``json`` and asks ``re`` for one pattern after the other: see ``usual.py``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from benchmarks.engines import usual
from streams.ingest import matcher

WINDOW_MS: Final = 10_000


class Match(Struct, frozen=True):
    """A matched line: the record that goes to the topic of matches."""

    at_ms: int
    service: str
    pattern: str

    @property
    def window_ms(self) -> int:
        """Begin of its window, ms since 1970."""
        return self.at_ms - self.at_ms % WINDOW_MS


class Count(Struct, frozen=True):
    """How many lines matched in a window: the record that goes to the topic of counts."""

    window_ms: int
    service: str
    pattern: str
    count: int


Matching = Callable[[bytes], Match | None]
"""From a record's value to its match, None for most."""


class Job(Struct, frozen=True):
    """One run of one engine. ``source`` has ``lines`` records; ``began`` is written at the first of them."""

    how: str
    brokers: str
    source: str
    lines: int
    matches: str
    counts: str
    group: str
    directory: str

    @classmethod
    def given(cls) -> Job:
        """Return the job that this process was started for."""
        return msgspec.json.decode(sys.argv[1], type=cls)

    @property
    def began(self) -> Path:
        """The file that says when the first line was read: seconds since 1970."""
        return Path(self.directory) / "began"

    def matching(self) -> Matching:
        """Return how lines are matched in this run. The first call also says that reading has begun."""
        return _same(self._first) if self.how == "same" else _usual(self._first)

    def _first(self) -> None:
        self.began.write_text(str(time.time()))


class _Line(Struct):
    ts: str
    service: str
    message: str


def milliseconds(stamp: str) -> int:
    """Return an ISO time as ms since 1970."""
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def _same(first: Callable[[], None]) -> Matching:
    decode = read = msgspec.json.Decoder(_Line).decode
    scan = matcher.shipped().scan

    def begin(value: bytes) -> _Line:
        """Decode the first line; all others go to the decoder itself, so that the clock costs them nothing."""
        nonlocal decode
        first()
        decode = read
        return decode(value)

    decode = begin  # type: ignore[assignment]  # what reads lines, too

    def match(value: bytes) -> Match | None:
        line = decode(value)
        pattern = scan(line.message.encode()).pattern
        return Match(milliseconds(line.ts), line.service, pattern) if pattern else None

    return match


def _usual(first: Callable[[], None]) -> Matching:
    decode = read = usual.reader()

    def begin(value: bytes) -> dict[str, Any]:
        nonlocal decode
        first()
        decode = read
        return decode(value)

    decode = begin

    def match(value: bytes) -> Match | None:
        line = decode(value)
        return Match(milliseconds(line["ts"]), line["service"], line["pattern"]) if line["pattern"] else None

    return match
