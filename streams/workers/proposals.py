"""What the coder proposes (``<type>.propose``): the change that would put a service's configuration back.

The proposal is a file beside the service's checkpoints, ``<service>.proposal``: each declared file with its checksum as
it is and as it would be, and the difference between them, as ``rollback_config`` would make it. Nothing is applied.
"""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.inventory import ServiceSpec
from streams.workers import checkpoints
from streams.workers.checkpoints import Change
from streams.workers.files import write_whole
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

LINES_MAX: Final = 5_000
"""A longer file is not compared line by line, which can take time with their square: all from the first line that
differs to the last one counts as touched, and the proposal has no diff of it."""


class FileChange(Struct, frozen=True):
    """One file: checksums (``""``: it is not there), how many lines the change touches, and the change as a diff."""

    path: str
    sha256_now: str
    sha256_proposed: str
    lines: int
    diff: str


class Proposal(Struct, frozen=True):
    """What is proposed for a service; ``sha256`` is over the JSON of ``files``."""

    service: str
    files: tuple[FileChange, ...]
    sha256: str


def path_of(spec: ServiceSpec, default: Path) -> Path:
    """Return where the proposal of a service is kept; ``default`` as for its checkpoints."""
    return checkpoints.directory_of(spec, default) / f"{spec.name}.proposal"


def propose(order: Order, around: Surroundings) -> Result:
    """Compare the declared files with the newest whole checkpoint, and write down what would put them back."""
    default = Path(around.checkpoints)
    changes = checkpoints.compare(order.spec, default)
    if changes is None:
        return Result(ok=False, code="no_checkpoint", effect="none", detail=f"{order.spec.name} has no checkpoint")
    files = tuple(_file_change(change) for change in changes if change.good != change.now)
    if files:
        body = msgspec.json.format(msgspec.json.encode(Proposal(order.spec.name, files, checksum(files))))
        write_whole(path_of(order.spec, default), body, 0o600, lasting=False)
    else:
        path_of(order.spec, default).unlink(missing_ok=True)
    lines = float(sum(file.lines for file in files))
    return Result(
        ok=True,
        code="proposed" if files else "unchanged",
        effect="none",
        findings={"configuration_lines_changed": lines},
    )


def checksum(files: tuple[FileChange, ...]) -> str:
    """Return the checksum of a proposal."""
    return hashlib.sha256(msgspec.json.encode(files)).hexdigest()


def _file_change(change: Change) -> FileChange:
    now = change.now.data if change.now else b""
    removed, added, diff = _difference(change.good.path, now, change.good.data)
    return FileChange(
        path=change.good.path,
        sha256_now=hashlib.sha256(now).hexdigest() if change.now else "",
        sha256_proposed=hashlib.sha256(change.good.data).hexdigest(),
        lines=max(removed, added),
        diff=diff,
    )


def _difference(path: str, now: bytes, good: bytes) -> tuple[int, int, str]:
    """Return how many lines go and come when ``good`` is put in place of ``now``, and the difference as text."""
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (now, good))
    if max(len(old), len(new)) <= LINES_MAX:
        lines = list(difflib.unified_diff(old, new, path, path, lineterm=""))[2:]
        removed, added = (sum(line.startswith(sign) for line in lines) for sign in "-+")
        return removed, added, "\n".join(lines)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return len(old) - start - end, len(new) - start - end, ""
