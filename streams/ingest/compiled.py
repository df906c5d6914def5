"""Compiled databases kept on disk: compiling the shipped rules takes seconds, reading them back a millisecond.

A file is named by the hash of its expressions, of Hyperscan's version and of the processor's architecture, and begins
with the hash of what follows. A file that is damaged, of another machine or unreadable is compiled anew; a directory
that can't be written means compiling at every start; what a process compiled it remembers.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import hyperscan
import msgspec

from streams.ingest.compiling import Expression, compile_here

_HASH_BYTES: Final = 32
_FILES_MAX: Final = 16
_UNWRITTEN: Final[dict[Path, bytes]] = {}
"""What this process compiled and could not write; a few megabytes each, and no more than files are kept."""


def database(expressions: Sequence[Expression]) -> hyperscan.Database:
    """Return the database of the expressions, from disk when it is there; ``hyperscan.error`` when one is refused."""
    path = _directory() / f"{_name(tuple(expressions))}.hsdb"
    return _read(path) or _compile(expressions, path)


def _directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "logmend" / "patterns"


@lru_cache(maxsize=64)
def _name(expressions: tuple[Expression, ...]) -> str:
    machine = (version("hyperscan"), platform.machine(), platform.processor())
    return hashlib.sha256(msgspec.json.encode((machine, expressions))).hexdigest()[:40]


def _read(path: Path) -> hyperscan.Database | None:
    try:
        content = _UNWRITTEN.get(path) or path.read_bytes()
        if hashlib.sha256(content[_HASH_BYTES:]).digest() != content[:_HASH_BYTES]:
            return None
        found = hyperscan.loadb(content[_HASH_BYTES:], hyperscan.HS_MODE_BLOCK)
        found.scratch = hyperscan.Scratch(found)
    except (OSError, hyperscan.error):
        return None
    if path not in _UNWRITTEN:
        with suppress(OSError):
            path.touch()
    return found


def _compile(expressions: Sequence[Expression], path: Path) -> hyperscan.Database:
    made = compile_here(expressions)
    content = hyperscan.dumpb(made)
    whole = hashlib.sha256(content).digest() + content
    try:
        _write(path, whole)
    except OSError:
        if len(_UNWRITTEN) >= _FILES_MAX:
            del _UNWRITTEN[next(iter(_UNWRITTEN))]
        _UNWRITTEN[path] = whole
    return made


def _write(path: Path, content: bytes) -> None:
    """Put the file in place whole, and drop those of too many that were not used for longest."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
    kept = sorted(path.parent.glob("*.hsdb"), key=lambda found: found.stat().st_mtime, reverse=True)
    for old in kept[_FILES_MAX:]:
        old.unlink(missing_ok=True)
