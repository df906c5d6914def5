"""The log directory as one writer sees it: what is committed, what is retired, what was never committed.

    <directory>/manifest.json     the log
    <directory>/segments/         Parquet files; those that the manifest does not name were never committed
    <directory>/writer.lock       held by the one writer

A commit writes and syncs the files first and the manifest last, so a death at any moment leaves the log before it or
the log after it.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Final

import msgspec

from analytics.files import Files, put
from analytics.manifest import MANIFEST, SEGMENTS, FileEntry, Manifest, Retired, load, seal
from streams.core.errors import InputError, InvariantError

LOCK: Final = "writer.lock"


def is_written(directory: Path) -> bool:
    """Say whether a writer is at work on a log directory."""
    try:
        with (directory / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class Store:
    """The committed log and the ways to change it. ``manifest`` is what is on disk, once ``recover`` ran."""

    def __init__(self, directory: Path, files: Files) -> None:
        self.directory = directory
        self.segments = directory / SEGMENTS
        self.manifest = Manifest()
        self._files = files
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Take the directory (made if need be) for this process; ``InputError`` when another has it or it can't be."""
        try:
            self.segments.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / LOCK).open("ab")
        except OSError as error:
            raise InputError(
                f"{self.directory} can't be written: {error.strerror}. Set its permissions right"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise InputError(f"{self.directory} is in use by another event-log writer: stop that one first") from error
        self._lock = lock

    def close(self) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def recover(self) -> None:
        """Take the log as it is on disk and remove what was never committed.

        Raises ``InvariantError`` when there are segments but no manifest, ``InputError`` when it is damaged.
        """
        manifest = load(self.directory)
        present = sorted(path for path in self.segments.iterdir() if path.is_file())
        if manifest.version == 0:
            if present:
                raise InvariantError(
                    f"{self.directory / MANIFEST} is missing, but there are segments: restore it from a backup, "
                    "or move the directory away to archive Kafka's copy anew"
                )
            self._replace(manifest)
            return
        self._files.sync(self.directory)
        for path in present:
            if path.name not in manifest.names():
                self._files.remove(path)
        self.manifest = manifest

    def commit(self, manifest: Manifest, contents: dict[str, bytes]) -> None:
        """Write files and then the manifest that names them. After an ``OSError`` call ``recover``."""
        if contents:
            put(self._files, self.segments, contents)
        self._replace(manifest)

    def retire(self, manifest: Manifest, gone: tuple[FileEntry, ...], now_ms: int) -> Manifest:
        """Return a manifest in which some files, which it names no more, wait for their removal."""
        more = tuple(Retired(name=one.name, size=one.size, sha256=one.sha256, since_ms=now_ms) for one in gone)
        return msgspec.structs.replace(manifest, retired=(*manifest.retired, *more))

    def sweep(self, now_ms: int, grace_ms: int) -> None:
        """Remove the files that have been retired for the grace period: no reader looks for them any more."""
        old = tuple(one for one in self.manifest.retired if not 0 <= now_ms - one.since_ms < grace_ms)
        if not old:
            return
        kept = tuple(one for one in self.manifest.retired if one not in old)
        self._replace(msgspec.structs.replace(self.manifest, retired=kept))
        for one in old:
            self._files.remove(self.segments / one.name)

    def forget(self, names: frozenset[str]) -> None:
        """Remove files that the manifest names no more, without regard for readers of the one before it."""
        for name in sorted(names):
            self._files.remove(self.segments / name)
        self._files.sync(self.segments)

    def _replace(self, manifest: Manifest) -> None:
        sealed, data = seal(manifest, self.manifest)
        put(self._files, self.directory, {MANIFEST: data})
        self.manifest = sealed
