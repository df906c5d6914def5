"""A copy of the event log at one moment, taken while it is written, and what Kafka is filled with from such a copy.

    <directory>/backup.json    what was copied, with the size and SHA-256 of each file
    <directory>/log/           manifest and segments as of one manifest
    <directory>/<name>         the few other files that the caller names, such as web/tokens.json

Segments never change in place, so a copy is consistent when every file that its manifest names is there: one that was
merged away meanwhile means to begin again with the newer manifest. On the same file system files are linked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec
from msgspec import Struct

from analytics.manifest import MANIFEST, SEGMENTS, Manifest, unseal
from analytics.scan import scan
from streams.core.errors import InputError

BACKUP: Final = "backup.json"
LOG: Final = "log"
FORMAT: Final = 1
TRIES_MAX: Final = 10
SECRET: Final = 0o600
SHARED: Final = 0o666
"""Modes of new files; of the second the process's umask takes away what it is to take."""
_CHUNK_BYTES: Final = 1 << 20


class Copied(Struct, frozen=True):
    """A file of a backup: its path in it, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


class Backup(Struct, frozen=True, kw_only=True):
    """What a backup holds. ``at_ms`` is when it was made, ``ends`` how far each stream of the log reaches in it."""

    format: int = FORMAT
    at_ms: int
    release: str
    fleet: str
    ends: dict[str, int]
    files: tuple[Copied, ...]


class Archived(NamedTuple):
    """A record as Kafka had it."""

    offset: int
    append_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def make(log: Path, target: Path, others: Mapping[str, Path], *, at_ms: int, release: str, fleet: str) -> Backup:
    """Copy a log directory and some other files (by their paths in it) into an empty directory, and read it back.

    Raises ``InputError`` when ``target`` is not empty or in the log itself, there is no log, or a copy is not what was
    written.
    """
    _refuse_full(target)
    if target.resolve().is_relative_to(log.resolve()):
        raise InputError(f"{target} is in the event log's own directory: name one outside of {log}")
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        (target / LOG / SEGMENTS).mkdir(parents=True, mode=0o700)
        manifest = _copy_log(log, target / LOG)
        for name, path in others.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(target / name, path.read_bytes(), SECRET)
        files = tuple(_copied(target, path) for path in sorted(target.rglob("*")) if path.is_file())
        _check(files, manifest)
        ends = {name: stream.position for name, stream in manifest.streams.items()}
        backup = Backup(at_ms=at_ms, release=release, fleet=fleet, ends=ends, files=files)
        _write(target / BACKUP, msgspec.json.format(msgspec.json.encode(backup), indent=1) + b"\n")
    except OSError as error:
        raise InputError(f"{error.filename or target}: {error.strerror}") from error
    return backup


def put_back(source: Path, target: Path) -> Backup:
    """Copy a backup's files to where they were; each is checked first. Returns what the backup says of itself.

    Raises ``InputError`` when ``target`` is not empty, or the backup is damaged: then nothing is left behind.
    """
    backup = read(source)
    _refuse_full(target)
    for one in backup.files:
        if _copied(source, source / one.path) != one:
            raise InputError(f"{source / one.path} is not as it was backed up: its SHA-256 is another")
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in in_order(backup.files):
            (target / one.path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _copy_to(source / one.path, target / one.path, SHARED if one.path.startswith(f"{LOG}/") else SECRET)
    except OSError as error:
        raise InputError(f"{error.filename or target}: {error.strerror}") from error
    return backup


def in_order(files: Iterable[Copied]) -> list[Copied]:
    """Return files in the order in which they are put back: the manifest, which makes the others a log, is the last."""
    return sorted(files, key=lambda one: (one.path == f"{LOG}/{MANIFEST}", one.path))


def read(source: Path) -> Backup:
    """Return what a backup says of itself; ``InputError`` when there is none, or a file of it is missing."""
    try:
        backup = msgspec.json.decode((source / BACKUP).read_bytes(), type=Backup)
    except OSError as error:
        raise InputError(f"{source / BACKUP}: {error.strerror}: give a directory that logmend backup made") from error
    except msgspec.MsgspecError as error:
        raise InputError(f"{source / BACKUP} is damaged: {error}") from error
    if backup.format != FORMAT:
        raise InputError(f"{source} has format {backup.format}; this release reads {FORMAT}")
    for one in backup.files:
        if ".." in Path(one.path).parts or Path(one.path).is_absolute():
            raise InputError(f"{source / BACKUP} names {one.path}, which is outside of it")
        if not (source / one.path).is_file():
            raise InputError(f"{source / one.path} is missing")
    return backup


def records(directory: Path, manifest: Manifest, name: str) -> Iterator[Archived]:
    """Yield a stream's archived records as Kafka had them, in order, but for traces of commands. Raises as ``scan``."""
    columns = ["kafka_append_ms", "kafka_key", "kafka_value"]
    if name == "commands":
        columns.append("decisions_offset")
    for row in scan(directory, manifest, name, columns):
        offset = row.get("decisions_offset", -1)
        headers = (("decisions_offset", str(offset).encode()),) if offset >= 0 else ()
        yield Archived(row["kafka_offset"], row["kafka_append_ms"], row["kafka_key"], row["kafka_value"], headers)


def _copy_log(log: Path, target: Path) -> Manifest:
    for _ in range(TRIES_MAX):
        try:
            data = (log / MANIFEST).read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"there is no event log in {log}") from error
        manifest = unseal(data)
        if _copy_segments(manifest, log, target):
            _write(target / MANIFEST, data)
            return manifest
    raise InputError(f"{log}: files that its manifest names are missing: run logmend verify")


def _copy_segments(manifest: Manifest, log: Path, target: Path) -> bool:
    """Copy what a manifest names, and nothing else; False when a file is not there any more."""
    for left in (target / SEGMENTS).iterdir():
        if left.name not in manifest.names():
            left.unlink()
    for name in manifest.names():
        copy = target / SEGMENTS / name
        try:
            if not copy.exists():
                _copy(log / SEGMENTS / name, copy)
        except FileNotFoundError:
            return False
    return True


def _copy(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    _copy_to(source, target, SHARED)


def _copy_to(source: Path, target: Path, mode: int) -> None:
    with source.open("rb") as known, _new(target, mode) as file:
        shutil.copyfileobj(known, file, _CHUNK_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _copied(root: Path, path: Path) -> Copied:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        return Copied(path=str(path.relative_to(root)), size=file.tell(), sha256=digest.hexdigest())


def _check(files: Iterable[Copied], manifest: Manifest) -> None:
    """Hold copies of segments against their hashes in the manifest: damage is not backed up in silence."""
    wanted = {
        file.name: file.sha256
        for part in manifest.streams.values()
        for segment in part.segments
        for file in segment.files
    }
    for one in files:
        name = Path(one.path).name
        if wanted.get(name, one.sha256) != one.sha256:
            raise InputError(f"{name} is damaged: run logmend verify; this is no backup")


def _refuse_full(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory} is not an empty directory: nothing was written")


def _write(path: Path, data: bytes, mode: int = SHARED) -> None:
    with _new(path, mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _new(path: Path, mode: int) -> IO[bytes]:
    """Make a file that may be read by whom it is for, and by nobody else while it is written."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")
