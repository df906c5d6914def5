"""A file system of its own under the event log, in memory, that can be full or read-only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOM_BYTES: Final = 4 << 30
"""None of it is taken before it is used."""


class Disk:
    """A tmpfs on ``directory``. ``mounted`` is False where this user may not mount: then it can't be anything."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True)
        self.mounted = _done("mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES},mode=755", "tmpfs", str(directory))

    def fill(self) -> None:
        """Leave no room: it is as large as what is in it."""
        self._remount(f"size={shutil.disk_usage(self._directory).used}")

    def protect(self) -> None:
        """Let nothing be written. Nobody may have a file open for writing then."""
        self._remount("ro")

    def mend(self) -> None:
        """Have room again, and let it be written to."""
        self._remount(f"rw,size={ROOM_BYTES}")

    def remove(self) -> None:
        """Unmount it; what is in it is gone."""
        if self.mounted:
            _done("umount", "--lazy", str(self._directory))
            self.mounted = False

    def _remount(self, options: str) -> None:
        if not _done("mount", "-o", f"remount,{options}", str(self._directory)):
            raise OSError(f"{self._directory} can't be remounted with {options}")


def _done(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
