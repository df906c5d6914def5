"""Actions on a service that is a process of this host.

Each takes the service's lock first, so that no two actions on it overlap, not even across a crash of the pool. A start
is marked with its command in the new process's environment and in the pid file: who runs the same command again finds
the mark and does nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from streams.core.inventory import ServiceSpec
from streams.workers import blockers, checkpoints, limits, proc, running
from streams.workers.files import locked
from streams.workers.orders import Order
from streams.workers.proc import Identity
from streams.workers.results import Effect, Result, Surroundings
from streams.workers.running import Running

GRACE_MS: Final = 3_000
KILL_WAIT_MS: Final = 2_000
WATCH_MS: Final = 300
"""A service that ends this soon after its start has not started."""
PAUSE_SECONDS: Final = 0.01


def start(order: Order, around: Surroundings) -> Result:
    """Start the service unless it runs."""
    with _alone(order):
        done = _done_before(order)
        if done:
            return done
        if running.find(order.spec):
            return Result(ok=True, code="already_running", effect="none")
        return _start(order, around)


def stop(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Stop the service and everything that it started."""
    with _alone(order):
        if running.find(order.spec) is None and not running.leftovers(order.spec):
            return Result(ok=True, code="not_running", effect="none")
        return _stop(order) or Result(ok=True, code="stopped", effect="once")


def restart(order: Order, around: Surroundings) -> Result:
    """Stop the service if it runs and start it."""
    with _alone(order):
        return _done_before(order) or _restart(order, around)


def kill_blocker(order: Order, around: Surroundings) -> Result:
    """Kill who holds the service's port or lock files, then start the service if it is down."""
    with _alone(order):
        done = _done_before(order)
        if done:
            return done
        cleared = clear_blockers(order, around)
        if not cleared.ok or running.find(order.spec) is not None:
            return cleared
        return _start(order, around).after(touched=cleared.effect == "once")


def clear_blockers(order: Order, around: Surroundings) -> Result:
    """Kill who holds the port or the lock files in question, unless it is one that may not be touched."""
    port, lock_files = _in_question(order)
    found = blockers.find(order.spec, port, lock_files, around.protected)
    if found.barred:
        return Result(ok=False, code="blocker_barred", effect="none", detail=f"held by {found.barred}")
    for identity in found.killable:
        if not _end(identity, KILL_WAIT_MS):
            return Result(ok=False, code="blocker_stays", effect="unknown", detail=str(identity))
    killed = bool(found.killable)
    return Result(ok=True, code="killed" if killed else "no_blocker", effect="once" if killed else "none")


def rollback_config(order: Order, around: Surroundings) -> Result:
    """Put the configuration of the last good checkpoint back, then restart the service."""
    with _alone(order):
        done = _done_before(order)
        if done:
            return done
        try:
            checkpoints.restore(order.spec, Path(around.checkpoints))
        except checkpoints.NoCheckpointError as error:
            return Result(ok=False, code="no_checkpoint", effect="none", detail=str(error))
        return _restart(order, around).after(touched=True)


def checkpoint(order: Order, around: Surroundings) -> Result:
    """Keep a copy of the declared configuration."""
    with _alone(order):
        try:
            taken = checkpoints.take(order.spec, Path(around.checkpoints))
        except checkpoints.NoCheckpointError as error:
            return Result(ok=False, code="not_taken", effect="none", detail=str(error))
        return Result(ok=True, code="taken" if taken else "unchanged", effect="once" if taken else "none")


def _in_question(order: Order) -> tuple[int, tuple[str, ...]]:
    """Return the port and the lock files that a blocker is looked for at: those named, or all that are declared."""
    if not order.values:
        return order.spec.port, order.spec.lock_files
    lock_file = order.values.get("lock_file")
    return int(order.values.get("port", 0)), (str(lock_file),) if lock_file else ()


@contextlib.contextmanager
def _alone(order: Order) -> Iterator[None]:
    with locked(Path(order.spec.pid_file + ".lock"), order.timeout_ms / 2000):
        yield


def _done_before(order: Order) -> Result | None:
    """Return the result of this very command if it has started the service already."""
    current = running.find(order.spec)
    if current is not None and current.command == order.command_id:
        running.record(order.spec, current)
        return Result(ok=True, code="already_done", effect="once")
    if current is None and running.last_command(order.spec) == order.command_id:
        return Result(ok=False, code="exited", effect="once")
    return None


def _restart(order: Order, around: Surroundings) -> Result:
    ran = running.find(order.spec) is not None or bool(running.leftovers(order.spec))
    return _stop(order) or _start(order, around).after(touched=ran)


def _start(order: Order, around: Surroundings) -> Result:
    left_over = running.leftovers(order.spec)
    for left in left_over:
        _end(left.identity, 0)
    try:
        process = _launch(order, around)
    except (OSError, subprocess.SubprocessError) as error:
        effect: Effect = "once" if left_over else "none"
        return Result(ok=False, code="not_startable", effect=effect, detail=str(error))
    status = proc.status_of(process.pid)
    if status is not None:
        running.record(order.spec, Running(status.identity, order.command_id))
    try:
        code = process.wait(WATCH_MS / 1000)
    except subprocess.TimeoutExpired:
        return Result(ok=True, code="started", effect="once")
    return Result(ok=False, code="exited", effect="once", detail=f"exit status {code}")


def _launch(order: Order, around: Surroundings) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own.

    Descriptors of ours close by themselves when the program begins (close-on-exec), not a moment before: the lock
    stays held until the new process can be seen with its mark.
    """
    spec = order.spec
    log = os.open(spec.log_file or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with limits.lifted():
            return subprocess.Popen(
                list(spec.argv),
                cwd=spec.cwd or "/",
                env=_environment(spec, order.command_id, around),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                close_fds=False,
            )
    finally:
        os.close(log)


def _environment(spec: ServiceSpec, command_id: str, around: Surroundings) -> dict[str, str]:
    marks = {running.COMMAND_VARIABLE: command_id, running.SERVICE_VARIABLE: spec.pid_file}
    return {**around.environment, **spec.environment, **marks}


def _stop(order: Order) -> Result | None:
    """Stop the service with all its processes; None when nothing of it is left."""
    grace_ms = min(int(order.values.get("grace_ms", GRACE_MS)), order.timeout_ms // 3)
    current = running.find(order.spec)
    if current is not None and not _end(current.identity, grace_ms):
        return Result(ok=False, code="not_stopped", effect="unknown", detail=str(current.identity))
    for left in running.leftovers(order.spec):
        if not _end(left.identity, 0):
            return Result(ok=False, code="not_stopped", effect="unknown", detail=str(left.identity))
    return None


def _end(identity: Identity, grace_ms: int) -> bool:
    """End a process: SIGTERM, time to leave, SIGKILL to it and all that belongs to it. True when all are gone."""
    status = proc.status_of_identity(identity)
    if status is None:
        return True
    if not blockers.may_touch(identity.pid):
        return False
    family = {member.identity for member in proc.family_of(status)}
    if grace_ms:
        proc.send(identity, signal.SIGTERM)
        proc.send(identity, signal.SIGCONT)
        _wait_gone({identity}, grace_ms)
    if status.group == status.pid:
        family |= {member.identity for member in proc.own_processes() if member.group == status.group}
    for member in family:
        proc.send(member, signal.SIGKILL)
    return _wait_gone(family, KILL_WAIT_MS)


def _wait_gone(identities: AbstractSet[Identity], wait_ms: int) -> bool:
    give_up = time.monotonic() + wait_ms / 1000
    while any(proc.is_alive(identity) for identity in identities):
        if time.monotonic() > give_up:
            return False
        time.sleep(PAUSE_SECONDS)
    return True
