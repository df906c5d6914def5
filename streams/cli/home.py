"""Where the commands that read the event log find it."""

from __future__ import annotations

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


def log_directory(settings: Settings) -> Path:
    """Return where the event log is, or will be; ``InputError`` when the data directory is something else."""
    home = settings.data_dir
    if not nearest(home).is_dir():
        raise InputError(f"{home}: {os.strerror(errno.ENOTDIR)}; {DATA_DIR_ADVICE}")
    return home / "log"
