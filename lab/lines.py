"""The demo's own log lines: real ones of several systems (see data/NOTICE), moved in time so that they end now."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Final, NamedTuple

from streams.ingest import stamps

STAMP: Final = re.compile(
    rb"(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?P<fraction>[.,]\d{1,9})?"
    rb"|^(?P<syslog>[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d)"
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
RECORDED_MS: Final = 1_644_600_000_000
"""When the lines were written: 11 February 2022. Stamps without a year are of the year around it."""


class File(NamedTuple):
    """A log file: the service that a shipper would name (the file's stem), and its lines."""

    service: str
    lines: tuple[bytes, ...]


def read_all() -> tuple[File, ...]:
    """Return the demo's files, in the order of their names; empty lines are left out."""
    directory = files("lab").joinpath("data/lines")
    return tuple(_read(entry.name, entry.read_bytes()) for entry in sorted(directory.iterdir(), key=lambda e: e.name))


def _read(name: str, raw: bytes) -> File:
    stem = name.removesuffix(".gz").removesuffix(".log").rpartition("__")[2]
    return File(stem.split("_", 1)[-1], tuple(line for line in gzip.decompress(raw).split(b"\n") if line))


def shifted(lines: Sequence[bytes], now_ms: int) -> Iterator[bytes]:
    """Yield lines with their stamps moved together, so that the newest is ``now_ms``; formats stay as they are."""
    newest_ms = max((_time(found) for line in lines for found in STAMP.finditer(line, 0, stamps.HEAD_BYTES)), default=0)
    for line in lines:
        yield _moved(line, timedelta(milliseconds=now_ms - newest_ms))


def _moved(line: bytes, distance: timedelta) -> bytes:
    """Move every stamp at the head of the line: a line of syslog may carry its program's own one too."""

    def move(found: re.Match[bytes]) -> bytes:
        at = EPOCH + timedelta(milliseconds=_time(found)) + distance
        if found["syslog"]:
            return f"{at:%b} {at.day:2} {at:%H:%M:%S}".encode("ascii")
        return f"{at:%Y-%m-%d}{chr(found['iso'][10])}{at:%H:%M:%S}{_fraction(found['fraction'] or b'', at)}".encode()

    return STAMP.sub(move, line[: stamps.HEAD_BYTES]) + line[stamps.HEAD_BYTES :]


def _time(found: re.Match[bytes]) -> int:
    return stamps.of_head(found[0], RECORDED_MS)


def _fraction(old: bytes, at: datetime) -> str:
    """Return the fraction of a second with the separator and the digits of the old one."""
    return chr(old[0]) + f"{at.microsecond:06}000"[: len(old) - 1] if old else ""
