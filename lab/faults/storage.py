"""Faults of storage: full, failing, or not what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.faults.base import Fault, FaultError
from lab.furnish import CACHE_QUOTA_BYTES, write_header, write_index
from lab.site import CACHE, SEARCH

BLOCK: Final = b"\0" * 65_536
FAILING: Final = Path("/proc/self/mem")
"""Reading it where nothing is mapped (at its beginning) ends in EIO, by the kernel, on any Linux."""


class DiskFull(Fault):
    """A bulk export is written into the cache's directory until its file system has no room left."""

    name = "disk_full"
    service = CACHE
    pattern = "disk_full"
    heals = "process.clear_caches"
    tells = "the cache's file system is full"

    def stand_in(self) -> str:
        """Return what stands in where no file system could be mounted."""
        return "" if self.site.small_disk else "the cache's own quota, as no tmpfs can be mounted here"

    def _break(self) -> None:
        self._pid()
        path = self._export()
        try:
            with path.open("wb", buffering=0) as file:
                for _ in range(2 * CACHE_QUOTA_BYTES // len(BLOCK)):
                    file.write(BLOCK)
        except OSError:
            _fill_up(path)
        if self.is_healthy():
            raise FaultError(f"{self.name}: {self.service} still stores entries")

    def _mend(self) -> None:
        self._export().unlink(missing_ok=True)

    def _export(self) -> Path:
        return self.site.volume("a") / "entries" / "export.tmp"


def _fill_up(path: Path) -> None:
    """Add bytes until there is room for none."""
    with path.open("ab", buffering=0) as file:
        size = len(BLOCK) // 2
        while size:
            try:
                file.write(BLOCK[:size])
            except OSError:
                size //= 2


class DiskFailure(Fault):
    """Reading the first volume of the cache ends in an input/output error."""

    name = "disk_failure"
    service = CACHE
    pattern = "disk_failure"
    heals = "process.fallback"
    tells = "the cache's first volume can't be read"
    stands_in = "a device file whose reads the kernel ends with EIO, in place of a failing disk"

    def _break(self) -> None:
        self._pid()
        header = self.site.volume("a") / "header"
        header.unlink()
        header.symlink_to(FAILING)

    def _mend(self) -> None:
        self.tidy("undo")

    def _set_back(self) -> bool:
        write_header(self.site.volume("a"))
        return super()._set_back()


class Corruption(Fault):
    """Some bytes of the search's index are others than were written."""

    name = "corruption"
    service = SEARCH
    pattern = "data_corruption"
    heals = "process.rollback_config"
    tells = "the search's index does not have its checksum"

    def _break(self) -> None:
        self._pid()
        path = self.site.directory(SEARCH) / "index.dat"
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xff\x00\xff\x00")

    def _mend(self) -> None:
        write_index(self.site)
