"""Who is in a service's way: the process that listens on its port or holds its lock files.

Never returned: the service itself, another user's process, a protected service, a process of Logmend's own or any
ancestor of this one (pid 1 among them). If such a one is in the way it is named, and nothing is killed.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from streams.core.inventory import ServiceSpec
from streams.workers import proc, running
from streams.workers.proc import Identity

LISTENING: Final = "0A"
SQLITE_SIDES: Final = ("-shm", "-wal", "-journal")
OWN_MODULE: Final = re.compile(r"(streams|analytics|logmend)(\..*)?")
OWN_WORDS: Final = frozenset({"kafka.Kafka"})
LOCK_KIND_FIELD: Final = 4
"""In ``lock: 1: POSIX ADVISORY WRITE 123 ...`` of /proc/<pid>/fdinfo/<n>."""


class Blockers(NamedTuple):
    """What may be killed, and the first one in the way that may not (``""``: none)."""

    killable: tuple[Identity, ...]
    barred: str


def find(spec: ServiceSpec, port: int, lock_files: Sequence[str], protected: Sequence[str]) -> Blockers:
    """Return who holds a port (0: none) or lock files. ``protected``: pid files of services that are not touched."""
    holders = set(listeners(port) if port else ())
    for path in lock_files:
        holders |= set(lock_holders(path))
    holders -= pids_of(spec)
    untouchable = _untouchable(protected)
    killable = []
    for pid in sorted(holders):
        status = proc.status_of(pid)
        if status is None or status.state in proc.DEAD:
            continue
        if pid in untouchable or not proc.is_own(pid) or is_ours(pid):
            return Blockers((), f"process {pid}")
        killable.append(status.identity)
    return Blockers(tuple(killable), "")


def is_ours(pid: int) -> bool:
    """Say whether a process is a part of Logmend, by its command line."""
    words = proc.command_line_of(pid)
    modules = (words[at + 1] for at, word in enumerate(words[:-1]) if word == "-m")
    return (
        any(OWN_MODULE.fullmatch(module) for module in modules)
        or any(posixpath.basename(word) == "logmend" for word in words[:2])
        or not OWN_WORDS.isdisjoint(words)
    )


def may_touch(pid: int) -> bool:
    """Say whether a process is one that an action may signal at all."""
    return pid > 1 and pid not in proc.ancestors_of(os.getpid()) and proc.is_own(pid) and not is_ours(pid)


def pids_of(spec: ServiceSpec) -> set[int]:
    """Return the service's processes: the recorded one with its descendants, all that carry its mark, its unit's."""
    pids = set(proc.of_unit(spec.unit)) if spec.unit else set()
    pids |= {left.identity.pid for left in running.leftovers(spec)}
    current = running.find(spec)
    status = proc.status_of_identity(current.identity) if current else None
    return pids | ({member.pid for member in proc.family_of(status)} if status else set())


def _untouchable(protected: Iterable[str]) -> set[int]:
    pids = set(proc.ancestors_of(os.getpid()))
    for pid_file in protected:
        pids |= pids_of(ServiceSpec(name="", host="", pid_file=pid_file))
    return pids


def listeners(port: int) -> Iterator[int]:
    """Yield the processes that listen on a TCP port, on any address of this host."""
    sockets = {inode for name in ("tcp", "tcp6") for inode in _listening_sockets(name, port)}
    if not sockets:
        return
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for status in proc.own_processes():
        if any(name in wanted for _, name in _open_files(status.pid)):
            yield status.pid


def _listening_sockets(name: str, port: int) -> Iterator[str]:
    try:
        rows = (proc.PROC / "net" / name).read_text("ascii").splitlines()[1:]
    except FileNotFoundError:
        return
    for row in rows:
        fields = row.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def lock_holders(path: str) -> Iterator[int]:
    """Yield our user's processes that keep others from writing a file: any kind of lock, SQLite's side files included.

    A read lock blocks writers of the file itself, but not in SQLite's write-ahead mode (there is a ``-shm`` file
    then), where every reader has one.
    """
    shared_blocks = not Path(path + SQLITE_SIDES[0]).exists()
    paths = {os.path.realpath(path + side) for side in ("", *SQLITE_SIDES)}
    for status in proc.own_processes():
        kinds = {
            kind for number, name in _open_files(status.pid) if name in paths for kind in _locks(status.pid, number)
        }
        if "WRITE" in kinds or (shared_blocks and kinds):
            yield status.pid


def _open_files(pid: int) -> Iterator[tuple[str, str]]:
    """Yield (descriptor, what it refers to) of a process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for entry in list(os.scandir(proc.PROC / str(pid) / "fd")):
            with contextlib.suppress(FileNotFoundError):
                yield entry.name, str(Path(entry.path).readlink())


def _locks(pid: int, number: str) -> Iterator[str]:
    """Yield READ or WRITE for each lock that a process took by one of its descriptors."""
    try:
        lines = (proc.PROC / str(pid) / "fdinfo" / number).read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return
    for line in lines:
        fields = line.split()
        if len(fields) > LOCK_KIND_FIELD and fields[0] == "lock:":
            yield fields[LOCK_KIND_FIELD]
