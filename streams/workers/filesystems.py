"""The file systems of this host that can fill up, and how full each one is.

``/proc/self/mountinfo`` is read by ourselves: under a service manager that shows the system read-only, every mount is
read-only to us, and only the options of the file system itself (the last field) say what it is to everybody else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

MOUNTINFO: Final = Path("/proc/self/mountinfo")
KINDS: Final = Path("/proc/filesystems")
WITHOUT_DEVICE: Final = frozenset({"zfs", "bcachefs"})
"""Real ones that the kernel counts among those without a device."""
NEVER_FILLED: Final = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """A file system: where it is seen, its device, its kind."""

    path: str
    device: str
    kind: str


def mounts() -> list[Mount]:
    """Return each real, writable file system of this host once; where there is none (a container), what holds ``/``."""
    found = parse(MOUNTINFO.read_text("utf-8", "surrogateescape"), real_kinds(KINDS.read_text("ascii", "replace")))
    return found or [Mount("/", "", "")]


def parse(text: str, kinds: AbstractSet[str]) -> list[Mount]:
    """Return the writable file systems of ``kinds`` in the kernel's table, each at its shortest path, by path."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        seen, _, about = line.partition(" - ")
        place, fields = seen.split(" "), about.split(" ")
        if len(place) < 6 or len(fields) < 3 or fields[0] not in kinds or "rw" not in fields[2].split(","):
            continue
        device = fields[1] if fields[1].startswith("/") else place[2]
        mount = Mount(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), place[4]), device, fields[0])
        if device not in found or len(mount.path) < len(found[device].path):
            found[device] = mount
    return sorted(found.values())


def real_kinds(text: str) -> frozenset[str]:
    """Return the kinds of file systems in ``/proc/filesystems`` that are on a device and can be written to."""
    rows = [line.split("\t") for line in text.splitlines()]
    return frozenset(row[-1] for row in rows if row[0] != "nodev" or row[-1] in WITHOUT_DEVICE) - NEVER_FILLED


def used_percent(path: str) -> float:
    """Return how many percent of a file system are used, of its room or of its inodes; whichever is more."""
    status = os.statvfs(path)
    used = status.f_blocks - status.f_bfree
    share = 100 * used / (used + status.f_bavail) if used + status.f_bavail else 0.0
    inodes = 100 * (status.f_files - status.f_ffree) / status.f_files if status.f_files else 0.0
    return max(share, inodes)
