"""The few things that the event log asks of a file system, each of them durable when it returns.

Parquet segments and the manifest are written through these four calls only, so a test can stand in their place and
die, lose unsynced bytes or run out of space at every one of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """A file system. Every method raises ``OSError`` as the system does."""

    def write(self, path: Path, data: bytes) -> None:
        """Create or replace a file and sync its bytes."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing what has it."""
        ...

    def sync(self, directory: Path) -> None:
        """Make the renames and removals in a directory durable."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is no error."""
        ...


class DiskFiles:
    """The real one."""

    def write(self, path: Path, data: bytes) -> None:
        """Create or replace a file and sync its bytes."""
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, replacing what has it."""
        source.replace(target)

    def sync(self, directory: Path) -> None:
        """Make the renames and removals in a directory durable."""
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone already is no error."""
        path.unlink(missing_ok=True)


def put(files: Files, directory: Path, contents: dict[str, bytes]) -> None:
    """Write files into a directory so that each is there under its name whole or not at all."""
    for name, data in contents.items():
        files.write(directory / f"{name}.tmp", data)
    for name in contents:
        files.rename(directory / f"{name}.tmp", directory / name)
    files.sync(directory)
