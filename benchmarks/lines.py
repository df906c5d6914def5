"""The input of W1: JSON lines {"ts", "service", "message"} made of real lines of many systems; the same every time.

Lines are one millisecond apart, over 64 services and 4 partitions, and 6 % of them match a pattern: 3 of each 50 are
taken from the real lines that match, the others from those that don't, both in the order in which they were written.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from itertools import cycle
from typing import Final, NamedTuple

import msgspec

from streams.ingest.classifying import Classifier
from streams.ingest.matcher import Matcher

SERVICES: Final = 64
PARTITIONS: Final = 4
MATCHED_EVERY: Final = 50
MATCHED_OF_THESE: Final = 3
BEGAN_MS: Final = 1_767_225_600_000
"""2026-01-01."""
TEXT_CHARACTERS_MAX: Final = 1000
CLOSING_AFTER_MS: Final = 3_600_000
CLOSING: Final = "open failed: Permission denied"


class Line(NamedTuple):
    """A generated line: where it goes, when it happened (ms since 1970), and its parts."""

    partition: int
    at_ms: int
    service: str
    message: str

    def encode(self) -> bytes:
        """Return the record's value."""
        stamp = f"{_second(self.at_ms // 1000)}.{self.at_ms % 1000:03}Z"
        return msgspec.json.encode({"ts": stamp, "service": self.service, "message": self.message})


_seconds: Final[dict[int, str]] = {}


def _second(second: int) -> str:
    """Return the ISO time of a second since 1970; each is worked out once."""
    found = _seconds.get(second)
    if found is None:
        found = _seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return found


def real_lines() -> Iterator[str]:
    """Yield the demo's real lines (see ``lab/data/NOTICE``), file after file."""
    for entry in sorted(files("lab").joinpath("data/lines").iterdir(), key=lambda found: found.name):
        for line in gzip.decompress(entry.read_bytes()).decode("utf-8", "replace").split("\n"):
            if line.strip():
                yield line[:TEXT_CHARACTERS_MAX]


def generate(count: int, matcher: Matcher) -> Iterator[Line]:
    """Yield ``count`` lines; which real lines match is asked of ``matcher``."""
    classifier = Classifier(matcher)
    matched: list[str] = []
    others: list[str] = []
    for text in real_lines():
        (matched if classifier.classify(text.encode()).pattern else others).append(text)
    hits, misses = cycle(matched), cycle(others)
    for index in range(count):
        number = index * 37 % SERVICES
        is_hit = index % MATCHED_EVERY * MATCHED_OF_THESE % MATCHED_EVERY < MATCHED_OF_THESE
        yield Line(number % PARTITIONS, BEGAN_MS + index, f"service-{number:02}", next(hits if is_hit else misses))


def closing(count: int) -> list[Line]:
    """Return a line for each partition that comes an hour after ``count`` others and matches: it ends their windows."""
    at_ms = BEGAN_MS + count + CLOSING_AFTER_MS
    return [Line(partition, at_ms, f"service-{partition:02}", CLOSING) for partition in range(PARTITIONS)]
