"""A disk that dies in the middle of things, and one that is full for a while."""

from __future__ import annotations

import errno
from pathlib import Path

from analytics.files import DiskFiles


class Died(BaseException):  # it is a death, and nothing may catch it as an error
    """The process is gone."""


class DyingFiles(DiskFiles):
    """Dies at its ``at``-th call: before it, half-way through it, or after it.

    With ``forgets`` the machine dies with the process: renames that no ``sync`` made durable never happened.
    """

    def __init__(self, at: int, how: str, *, forgets: bool) -> None:
        self._left, self._how, self._forgets = at, how, forgets
        self._renamed: list[tuple[Path, Path, bytes | None]] = []

    def write(self, path: Path, data: bytes) -> None:
        """Write, or die with half of it on the disk."""
        if self._is_time() and self._how != "after":
            if self._how == "half":
                path.write_bytes(data[: len(data) // 2])
            self._die()
        super().write(path, data)
        self._die_after()

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or die."""
        if self._is_time() and self._how != "after":
            self._die()
        before = target.read_bytes() if target.exists() else None
        super().rename(source, target)
        self._renamed.append((source, target, before))
        self._die_after()

    def sync(self, directory: Path) -> None:
        """Sync, or die."""
        if self._is_time() and self._how != "after":
            self._die()
        super().sync(directory)
        self._renamed = [one for one in self._renamed if one[1].parent != directory]
        self._die_after()

    def remove(self, path: Path) -> None:
        """Remove, or die."""
        if self._is_time() and self._how != "after":
            self._die()
        super().remove(path)
        self._die_after()

    def _is_time(self) -> bool:
        self._left -= 1
        return self._left == 0

    def _die_after(self) -> None:
        if self._left == 0:
            self._die()

    def _die(self) -> None:
        for source, target, before in reversed(self._renamed if self._forgets else []):
            target.replace(source)
            if before is not None:
                target.write_bytes(before)
        raise Died


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
