"""Room and order: caches emptied, a log moved aside, declared jobs done, a configuration read again.

Only what the inventory declares is touched. Links are never followed: what a service puts into its cache directory must
not lead out of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Final

from streams.workers import checkpoints, proc, running, tools
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

ROTATED_KEPT: Final = 3
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DEPTH_MIN: Final = 3
"""A directory that may be emptied has at least so many parts: never ``/`` or ``/var``."""


def clear_caches(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Empty the declared directories; they themselves stay, with their owner and mode."""
    freed = 0
    for path in map(Path, order.spec.caches):
        if len(path.parts) < DEPTH_MIN or path.is_symlink() or not path.is_dir():
            return Result(ok=False, code="bad_cache", effect="unknown" if freed else "none", detail=str(path))
        freed += _emptied(path)
    return Result(ok=True, code="cleared" if freed else "empty", effect="once" if freed else "none")


def _emptied(directory: Path) -> int:
    """Remove all that a directory holds; return how many entries went. ``rmtree`` follows no links."""
    gone = 0
    with os.scandir(directory) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink(missing_ok=True)
            gone += 1
    return gone


def rotate_log(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Move the log file aside and tell the service by its signal; of those moved before the newest few are kept.

    A service without a signal goes on writing into the file it has open, so that is copied and cut short instead
    (logrotate's ``copytruncate``); ``no_room`` when the file system has none for the copy.
    """
    path = Path(order.spec.log_file)
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Result(ok=True, code="nothing_to_rotate", effect="none")
    if not stat.S_ISREG(status.st_mode):
        return Result(ok=False, code="bad_log", effect="none", detail=f"{path} is not a regular file")
    if not status.st_size:
        return Result(ok=True, code="nothing_to_rotate", effect="none")
    for number in range(ROTATED_KEPT, 1, -1):
        older = Path(f"{path}.{number - 1}")
        if os.path.lexists(older):
            older.replace(f"{path}.{number}")
    if order.spec.reload_signal:
        path.replace(f"{path}.1")
        _signal(order)
    elif not _copied(path):
        return Result(ok=False, code="no_room", effect="none", detail=str(path))
    return Result(ok=True, code="rotated", effect="once")


def _copied(path: Path) -> bool:
    """Copy a log aside and cut it short; False when there is no room for the copy, and then it is as it was.

    Neither end may be a link: whoever can write into the directory of the log must not choose another file.
    """
    beside = Path(f"{path}.1")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as log:
        try:
            with os.fdopen(os.open(beside, _NEW, 0o644), "wb") as copy:
                shutil.copyfileobj(log, copy)
        except OSError as error:
            beside.unlink(missing_ok=True)
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                return False
            raise
        log.truncate(0)
    return True


def reload(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Send the declared signal to the service's process."""
    if not _signal(order):
        return Result(ok=False, code="down", effect="none")
    return Result(ok=True, code="reloaded", effect="once")


def _signal(order: Order) -> bool:
    current = running.find(order.spec)
    return current is not None and proc.send(current.identity, signal.Signals[f"SIG{order.spec.reload_signal}"])


def declared_tool(order: Order, around: Surroundings) -> Result:
    """Run the command line that the inventory declares for this verb."""
    argv = order.spec.tools[order.action.verb]
    environment = {**around.environment, **order.spec.environment, "LOGMEND_COMMAND_ID": order.command_id}
    return tools.run(argv, order.timeout_ms, around, environment).result("done")


def checkpoint(order: Order, around: Surroundings) -> Result:
    """Keep a copy of the declared configuration."""
    try:
        taken = checkpoints.take(order.spec, Path(around.checkpoints))
    except checkpoints.NoCheckpointError as error:
        return Result(ok=False, code="not_taken", effect="none", detail=str(error))
    return Result(ok=True, code="taken" if taken else "unchanged", effect="once" if taken else "none")
