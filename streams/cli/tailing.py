"""Lines of log files: plain or gzip, whole or as they grow."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

from streams.cli.shift import Shift, newest_ms
from streams.core.errors import InputError

LINE_BYTES_MAX: Final = 8_000_000
"""What a topic for logs takes in one record; a longer line is cut there, and the rest is the next line."""
TAIL_LINES: Final = 1_000
"""The file's end is the last of so many lines that has a stamp."""
SUFFIXES: Final = (".gz", ".log", ".txt", ".json", ".jsonl", ".ndjson")


def service_of(path: Path) -> str:
    """Return what a file is called without its directory and the usual suffixes."""
    name = path.name
    while (suffix := Path(name).suffix) in SUFFIXES and name != suffix:
        name = name.removesuffix(suffix)
    return name


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, empty ones left out; ``InputError`` when it can't be read."""
    try:
        with _opened(path) as file:
            while line := file.readline(LINE_BYTES_MAX):
                if stripped := line.rstrip(b"\r\n"):
                    yield stripped
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if is_gzip(path) else path.open("rb")


def is_gzip(path: Path) -> bool:
    """Say by its first bytes whether a file is compressed."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def to_now(path: Path, now_ms: int) -> Shift:
    """Return the shift that makes the file's last stamped line one of ``now_ms``."""
    reference_ms = int(path.stat().st_mtime * 1000)
    newest = newest_ms(deque(lines(path), TAIL_LINES), reference_ms)
    return Shift(now_ms - newest if newest else 0, reference_ms)


class Tail:
    """The whole lines that a growing file gains; a file that shrank or was replaced is read from its start."""

    def __init__(self, path: Path, *, position: int) -> None:
        """Begin after ``position`` bytes."""
        self._path = path
        self._position = position
        self._inode = 0

    def new(self) -> list[bytes]:
        """Return what was added since the last call; nothing while the file is away."""
        try:
            found = self._path.stat()
            if (self._inode and found.st_ino != self._inode) or found.st_size < self._position:
                self._position = 0
            self._inode = found.st_ino
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read(LINE_BYTES_MAX)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) == LINE_BYTES_MAX else 0)
        self._position += end
        return [line for line in data[:end].splitlines() if line]
