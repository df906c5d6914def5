"""The data directory: how it is made, and where the commands that read the event log find that."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from streams.core.errors import InputError
from streams.settings import Settings

DATA_DIR_ADVICE: Final = "set LOGMEND_DATA_DIR to a directory of yours"


def nearest(path: Path) -> Path:
    """Return a path itself if it is there and may be looked at, otherwise the nearest directory above it that is."""
    return next(each for each in (path, *path.parents) if os.path.exists(each))  # noqa: PTH110 - Path.exists may raise


def make_home(settings: Settings) -> None:
    """Make the data directory, which is nobody else's; one that is there stays as it is.

    Says nothing where it can't be made: who writes to it says so, and some write nothing.
    """
    with contextlib.suppress(OSError):
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)


def log_directory(settings: Settings) -> Path:
    """Return where the event log is, or will be; ``InputError`` when the data directory is something else."""
    home = settings.data_dir
    if not nearest(home).is_dir():
        raise InputError(f"{home}: {os.strerror(errno.ENOTDIR)}; {DATA_DIR_ADVICE}")
    return home / "log"
