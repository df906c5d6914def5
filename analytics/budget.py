"""How much of a disk the data directory may take, and what goes when it takes more: text, the oldest first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from analytics.manifest import FileEntry, Manifest, Stream

WARNING_SHARE: Final = 0.8
MEASURE_MS: Final = 60_000
GIGABYTE: Final = 1_000_000_000


class Budget(NamedTuple):
    """What a data directory may take, in bytes."""

    home: Path
    bytes_max: int

    def used(self) -> int:
        """Return how many bytes the files of the directory take on the disk; what goes meanwhile counts for nothing."""
        return used_bytes(self.home)

    def said(self, used: int, gone: int) -> str:
        """Return what a person is told: ``gone`` segments of text had to go."""
        taken = f"{used / GIGABYTE:.2f} of {self.bytes_max / GIGABYTE:.2f} GB"
        share = f"{self.home} takes {taken} (LOGMEND_DISK_BUDGET_GB)"
        if not gone:
            return f"{share}: from all of it on the oldest text goes first; decisions are never removed"
        return f"{share}: the text of {gone} segments was let go; decisions are never removed, so make room"


def used_bytes(home: Path) -> int:
    """Return how many bytes the files of a directory take on the disk."""
    total = 0
    for place, _, names in os.walk(home):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118 - Path is ten times slower
            except FileNotFoundError:
                continue
    return total


def oldest(stream: Stream, bytes_over: int) -> int:
    """Return how many segments must go, from the first on, to save so many bytes; all when that is not enough."""
    count = 0
    for segment in stream.segments:
        if bytes_over <= 0:
            break
        bytes_over -= segment.size
        count += 1
    return count


def without_evidence(manifest: Manifest, gone: int) -> tuple[Manifest, tuple[FileEntry, ...]]:
    """Return a manifest without the first segments of evidence, and the files of these."""
    stream = manifest.stream("evidence")
    shorter = msgspec.structs.replace(stream, segments=stream.segments[gone:], start=stream.segments[gone - 1].last + 1)
    files = tuple(file for segment in stream.segments[:gone] for file in segment.files)
    return msgspec.structs.replace(manifest, streams={**manifest.streams, "evidence": shorter}), files
