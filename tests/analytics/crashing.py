"""A disk that shows what a death in the middle of things leaves, and one that is full for a while."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analytics.files import DiskFiles


class DyingFiles(DiskFiles):
    """Keeps, at each call, what a death there would leave: before the call, half-way through it, or after it.

    The n-th death leaves the directory ``graves/n``, a copy of ``root``: one run of a writer shows all its deaths.
    With ``forgets`` the machine dies with the process: renames that no ``sync`` made durable never happened.
    """

    def __init__(self, root: Path, graves: Path, how: str, *, forgets: bool) -> None:
        self._root, self._graves, self._how, self._forgets = root, graves, how, forgets
        self._renamed: list[tuple[Path, Path, bytes | None]] = []
        self.deaths: list[Path] = []

    def write(self, path: Path, data: bytes) -> None:
        """Write; who dies half-way leaves half of it on the disk."""
        with self._dying():
            super().write(path, data)
        if self._how == "half":
            (self.deaths[-1] / path.relative_to(self._root)).write_bytes(data[: len(data) // 2])

    def rename(self, source: Path, target: Path) -> None:
        """Rename."""
        before = target.read_bytes() if target.exists() else None
        with self._dying():
            super().rename(source, target)
            self._renamed.append((source, target, before))

    def sync(self, directory: Path) -> None:
        """Sync."""
        with self._dying():
            super().sync(directory)
            self._renamed = [one for one in self._renamed if one[1].parent != directory]

    def remove(self, path: Path) -> None:
        """Remove."""
        with self._dying():
            super().remove(path)

    @contextmanager
    def _dying(self) -> Iterator[None]:
        if self._how != "after":
            self._die()
        yield
        if self._how == "after":
            self._die()

    def _die(self) -> None:
        grave = self._graves / str(len(self.deaths) + 1)
        shutil.copytree(self._root, grave)
        for source, target, before in reversed(self._renamed if self._forgets else []):
            there = grave / target.relative_to(self._root)
            there.replace(grave / source.relative_to(self._root))
            if before is not None:
                there.write_bytes(before)
        self.deaths.append(grave)


class FullDisk(DiskFiles):
    """Has no room from its ``at``-th call on, until ``room`` is made: writes stop half-way, syncs fail."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.room = False

    def write(self, path: Path, data: bytes) -> None:
        """Write, or write half of it and fail."""
        if self._is_full():
            path.write_bytes(data[: len(data) // 2])
            self._fail(path)
        super().write(path, data)

    def sync(self, directory: Path) -> None:
        """Sync, or fail."""
        if self._is_full():
            self._fail(directory)
        super().sync(directory)

    def _is_full(self) -> bool:
        self._left -= 1
        return self._left <= 0 and not self.room

    def _fail(self, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
