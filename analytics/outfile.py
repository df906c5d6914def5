"""A file for others: there under its name whole or not at all, and in no other file's place unless that is wanted."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.core.errors import InputError

_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems without links say to one: FAT, shares, some of those in user space."""


@contextmanager
def whole(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield where to write: a file beside ``path``, which takes its place, synced, when the body is done.

    Whatever goes wrong, that file is removed and ``path`` is as it was; only a killed process leaves
    ``.<name>.<pid>.part`` behind. Raises ``InputError`` when ``path`` can't be written, or is there and not to be
    replaced by ``force``, also when it came to be there meanwhile.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _refuse(path, force=force)
        part.touch()
        yield part
        _sync(part)
        if force:
            part.replace(path)
        else:
            _place(part, path)
        _sync(path.parent)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    finally:
        _gone(part)


def _refuse(path: Path, *, force: bool) -> None:
    if path.exists() and not path.is_file():  # a directory, or what a renamed file would take the place of: /dev/stdout
        raise InputError(f"{path} is no file: give the name of one")
    if path.exists() and not force:
        raise InputError(f"{path} is there already: --force replaces it")


def _place(part: Path, path: Path) -> None:
    """Give a file its name, which nobody may have taken meanwhile: a link fails then, a rename would not."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise InputError(f"{path} is there already: --force replaces it") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _refuse(path, force=False)
        part.rename(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _gone(part: Path) -> None:
    """Remove what is not needed any more; where that can't be done, what went wrong before is what is told."""
    try:
        part.unlink(missing_ok=True)
    except OSError:
        return
