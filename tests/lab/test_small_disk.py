from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import furnish, small_disk
from lab.session import standing
from lab.site import CACHE, WORKER
from streams.settings import Settings


def is_mounted(directory: Path) -> bool:
    """Say whether something is mounted on a directory."""
    return os.path.ismount(directory)


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Path]:
    """Give the directory of a small file system that a run of the lab left mounted when it was killed."""
    directory = furnish.create((tmp_path / "lab").resolve(), "h", ()).volume("a")
    if not small_disk.mounted(directory):
        pytest.skip("no file system may be mounted here")
    yield directory
    small_disk.release(directory)


async def test_a_run_without_a_cache_takes_away_what_a_killed_one_left_mounted(tmp_path: Path, left: Path) -> None:
    """Whatever services the next run has, it begins by unmounting the small file system of the one before."""
    async with standing(Settings(data_dir=tmp_path, host="h"), (WORKER,)):
        assert not is_mounted(left)


async def test_a_run_with_a_cache_has_one_file_system_mounted_and_none_afterwards(tmp_path: Path, left: Path) -> None:
    """The next run's own is mounted once, not on top of the one that was left; at its end there is none."""
    (left / "of an earlier run").touch()
    async with standing(Settings(data_dir=tmp_path, host="h"), (CACHE,)) as site:
        assert site.small_disk
        assert not (left / "of an earlier run").exists()
    assert not is_mounted(left)
