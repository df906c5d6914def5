"""Copies of a service's declared configuration files, and going back to the last good one.

A checkpoint is a directory ``<number>`` with the files' bytes and a manifest of their paths, modes and SHA-256. It is
built beside and put in place by rename, so it is whole or not there; one that is damaged is passed over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from streams.core.inventory import ServiceSpec
from streams.workers import proc, running
from streams.workers.files import sync_directory, write_whole

KEPT_MAX: Final = 5
FILE_BYTES_MAX: Final = 16 << 20
TICK_MS: Final = 10
"""How finely start times are known."""
MANIFEST: Final = "manifest.json"
REPLACED: Final = "replaced"
"""What the last restore overwrote, for a person to look at."""


class NoCheckpointError(ValueError):
    """There is no whole checkpoint of these files, or none can be taken."""


class Entry(Struct, frozen=True):
    """One file of a checkpoint; its bytes lie beside the manifest under ``name``."""

    path: str
    name: str
    mode: int
    sha256: str


class Content(NamedTuple):
    """A file as it is to be: path, permission bits, bytes."""

    path: str
    mode: int
    data: bytes


class Change(NamedTuple):
    """A declared file as the newest checkpoint has it, and as it is; ``now`` is None when it can't be read."""

    good: Content
    now: Content | None


def directory_of(spec: ServiceSpec, default: Path) -> Path:
    """Return where the service's checkpoints are."""
    return Path(spec.checkpoint_dir) if spec.checkpoint_dir else default / spec.name


def take(spec: ServiceSpec, default: Path) -> bool:
    """Keep the files as they are now; False when the newest checkpoint equals them already.

    Raises ``NoCheckpointError`` when a declared file is missing, too large or not a regular file.
    """
    contents = _current(spec)
    root = directory_of(spec, default)
    if newest(spec, default) == contents:
        return False
    numbers = _numbers(root)
    _write(root, str(numbers[-1] + 1 if numbers else 1), contents)
    for number in _numbers(root)[:-KEPT_MAX]:
        shutil.rmtree(root / str(number))
    return True


def take_if_good(spec: ServiceSpec, default: Path) -> bool:
    """Keep the files of a healthy service, if they are what it runs on: none changed after its start."""
    current = running.find(spec) if spec.config_files else None
    if current is None:
        return False
    started_ms = proc.started_ms(current.identity) + TICK_MS
    try:
        if any(_changed_ms(path) > started_ms for path in spec.config_files):
            return False
        return take(spec, default)
    except (NoCheckpointError, FileNotFoundError):
        return False


def _changed_ms(path: str) -> float:
    """Return when a file's bytes, owner, mode or name were last changed, in milliseconds since 1970."""
    status = Path(path).stat()
    return max(status.st_mtime, status.st_ctime) * 1000


def newest(spec: ServiceSpec, default: Path) -> list[Content] | None:
    """Return the newest whole checkpoint that covers the declared files; None when there is none."""
    root = directory_of(spec, default)
    for number in reversed(_numbers(root)):
        contents = _read(root / str(number))
        if contents and {content.path for content in contents} == set(spec.config_files):
            return contents
    return None


def compare(spec: ServiceSpec, default: Path) -> list[Change] | None:
    """Return every declared file beside its newest whole checkpoint; None when there is none."""
    contents = newest(spec, default)
    return None if contents is None else [Change(content, _as_it_is(content.path)) for content in contents]


def _as_it_is(path: str) -> Content | None:
    try:
        return _read_file(path)
    except NoCheckpointError:
        return None


def restore(spec: ServiceSpec, default: Path) -> None:
    """Put the newest whole checkpoint in place, each file in one step; ``NoCheckpointError`` when there is none.

    The disk is waited for once a file: the service waits for us.
    """
    contents = newest(spec, default)
    if contents is None:
        raise NoCheckpointError(f"{spec.name} has no whole checkpoint of its config_files")
    for content in contents:
        if Path(content.path).is_symlink():
            raise NoCheckpointError(f"{content.path} is a link")
    _keep_replaced(spec, default, contents)
    for content in contents:
        write_whole(Path(content.path), content.data, content.mode)


def _keep_replaced(spec: ServiceSpec, default: Path, good: list[Content]) -> None:
    """Set aside what is about to be overwritten, if it differs. That it can't be read must not stop a restore."""
    try:
        contents = _current(spec)
    except NoCheckpointError:
        return
    if contents == good:
        return
    root = directory_of(spec, default)
    shutil.rmtree(root / REPLACED, ignore_errors=True)
    _write(root, REPLACED, contents, lasting=False)


def _numbers(root: Path) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in list(os.scandir(root)) if entry.name.isdigit())
    except FileNotFoundError:
        return []


def _current(spec: ServiceSpec) -> list[Content]:
    if not spec.config_files:
        raise NoCheckpointError(f"{spec.name} declares no config_files")
    return [_read_file(path) for path in spec.config_files]


def _read_file(path: str) -> Content:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoCheckpointError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES_MAX:
            raise NoCheckpointError(f"{path} is not a regular file of at most {FILE_BYTES_MAX} bytes")
        return Content(path, stat.S_IMODE(status.st_mode), file.read(FILE_BYTES_MAX))


def _write(root: Path, name: str, contents: list[Content], *, lasting: bool = True) -> None:
    building = root / f".{name}.{os.getpid()}.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True, mode=0o700)
    entries = []
    for number, content in enumerate(contents):
        write_whole(building / str(number), content.data, 0o600, lasting=lasting)
        digest = hashlib.sha256(content.data).hexdigest()
        entries.append(Entry(path=content.path, name=str(number), mode=content.mode, sha256=digest))
    write_whole(building / MANIFEST, msgspec.json.encode(entries), 0o600, lasting=lasting)
    building.rename(root / name)
    if lasting:
        sync_directory(root)


def _read(directory: Path) -> list[Content] | None:
    """Return what a checkpoint holds; None when it is damaged."""
    try:
        entries = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=list[Entry])
        found = [Content(entry.path, entry.mode, (directory / Path(entry.name).name).read_bytes()) for entry in entries]
    except (OSError, msgspec.DecodeError):
        return None
    sums = [hashlib.sha256(content.data).hexdigest() for content in found]
    return found if sums == [entry.sha256 for entry in entries] else None
