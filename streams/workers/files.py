"""Files that are whole or not there: written beside, flushed to disk, and put in place by rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOCK_PAUSE_SECONDS: Final = 0.01
SETTLE_SECONDS: Final = 0.05


class BusyError(TimeoutError):
    """Somebody else held a lock for longer than we may wait."""


def write_whole(path: Path, data: bytes, mode: int = 0o644, *, lasting: bool = True) -> None:
    """Replace a file in one step; after a crash it has the old bytes or the new ones, and the new ones last.

    Not ``lasting``: so it is after the death of a process, but nothing waits for the disk, and power may fail.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if lasting:
        sync_directory(path.parent)


def read_plain(path: Path, bytes_max: int) -> bytes:
    """Return the beginning of a regular file; ``OSError`` for anything else, such as a pipe that nobody writes into."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read(bytes_max)


def sync_directory(path: Path) -> None:
    """Make the names in a directory last."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold a lock file; ``BusyError`` when another holds it for ``wait_seconds``.

    A forked child shares the lock until it runs its program, so whoever gets it next sees that program running. The
    kernel closes files just before it shows the new environment: who had to wait, waits ``SETTLE_SECONDS`` more.
    """
    give_up = time.monotonic() + wait_seconds
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        waited = False
        while not _try_lock(handle):
            if time.monotonic() > give_up:
                raise BusyError(f"{path} is locked by another")
            waited = True
            time.sleep(LOCK_PAUSE_SECONDS)
        if waited:
            time.sleep(SETTLE_SECONDS)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
