"""A file system of a few megabytes: a tmpfs, where this process may mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

SIZE_MB: Final = 8
TOOL_S: Final = 5.0


def mounted(directory: Path) -> bool:
    """Mount an empty one on a directory; False where that is not permitted or there is no ``mount``."""
    directory.mkdir(parents=True, exist_ok=True)
    release(directory)
    options = f"size={SIZE_MB}m,mode=0755"
    return _run("mount", "-t", "tmpfs", "-o", options, "lab", str(directory)) and os.path.ismount(directory)


def release(directory: Path) -> None:
    """Take away what is mounted on a directory, also by a run that was killed."""
    if os.path.ismount(directory):
        _run("umount", "--lazy", str(directory))


def _run(program: str, *arguments: str) -> bool:
    found = shutil.which(program)
    if found is None:
        return False
    return subprocess.run([found, *arguments], capture_output=True, timeout=TOOL_S, check=False).returncode == 0
