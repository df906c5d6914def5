"""One owner for a data directory's broker, whoever died how.

The lock is an ``flock`` on a file that the broker's process inherits open, so it holds until both the owner and the
broker are gone: who gets it may start a broker on the same files. The file names the owner.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec import json as msgspec_json

from streams.core.errors import InputError
from streams.runtime.address import created, is_alive, read_address

ORPHAN_TERM_S: Final = 10.0
ORPHAN_KILL_S: Final = 5.0
POLL_S: Final = 0.05


class _Owner(Struct, frozen=True):
    pid: int
    created: float


async def acquire(data_dir: Path) -> int:
    """Return the file descriptor that holds the lock; close it to let go.

    An orphaned broker (its owner is dead) is ended first. Raises ``InputError`` when the owner is alive.
    """
    path = data_dir / "run" / "broker.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _try(descriptor):
            _refuse_if_owned(path, data_dir)
            await _end_orphan(descriptor, data_dir)
    except BaseException:
        os.close(descriptor)
        raise
    owner = msgspec_json.encode(_Owner(os.getpid(), created(os.getpid())))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, owner, 0)
    return descriptor


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_if_owned(path: Path, data_dir: Path) -> None:
    try:
        owner = msgspec_json.decode(path.read_bytes(), type=_Owner)
    except ValueError:
        return
    if is_alive(owner.pid, owner.created):
        raise InputError(
            f"process {owner.pid} runs the broker of {data_dir}: stop it, or set LOGMEND_DATA_DIR to another directory"
        )


async def _end_orphan(descriptor: int, data_dir: Path) -> None:
    """Wait for an orphan to heed the SIGTERM that the kernel sent at its owner's death; else kill it."""
    if await _wait(descriptor, ORPHAN_TERM_S):
        return
    orphan = read_address(data_dir)
    if orphan is not None and orphan.running:
        os.kill(orphan.pid, signal.SIGKILL)
        if await _wait(descriptor, ORPHAN_KILL_S):
            return
    raise InputError(f"a broker that nobody owns holds {data_dir / 'run' / 'broker.lock'}: end that process")


async def _wait(descriptor: int, seconds: float) -> bool:
    for _ in range(int(seconds / POLL_S)):
        if _try(descriptor):
            return True
        await asyncio.sleep(POLL_S)
    return False
