"""The demo's own log lines: real ones of several systems (see data/NOTICE), moved in time so that they end now."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Final, NamedTuple

from streams.cli.shift import Shift, newest_ms

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
    """Yield lines with their stamps moved together, so that they end at ``now_ms``; formats stay as they are."""
    return map(Shift(now_ms - newest_ms(lines, RECORDED_MS), RECORDED_MS), lines)
