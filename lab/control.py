"""Starting and stopping the lab's services the way an operator would, with the pool's own code but without the pool."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from typing import Final

import msgspec

from lab import declared
from lab.furnish import containers
from lab.site import CART, Site
from lab.standins.docker import Container
from streams.catalogue.actions import ParameterValue, actions
from streams.core.commands import command_sha256
from streams.core.config import canonical
from streams.core.events import Argument, Command
from streams.core.fold import EPOCH
from streams.core.inventory import ServiceSpec
from streams.workers import proc, running
from streams.workers.orders import order_of
from streams.workers.results import Result, Surroundings
from streams.workers.roles import handler

STOP_GRACE_MS: Final = 2_000
PAUSE_S: Final = 0.02
_ACTING: Final = threading.Lock()
"""One action at a time: the filters of ``warnings`` are the whole process's."""


def act(site: Site, service: str, action_id: str, **values: ParameterValue) -> Result:
    """Run an action of the pool on a service of the site, here and now; the result says how it went."""
    return act_on(site, declared.spec(site, service), action_id, **values)


def act_on(site: Site, spec: ServiceSpec, action_id: str, **values: ParameterValue) -> Result:
    """Run an action of the pool on any service, here and now; the result says how it went."""
    order = order_of(_command(spec, action_id, values))
    with _ACTING, warnings.catch_warnings():
        # the pool acts in short-lived children that leave services behind on purpose; here it is this process
        warnings.simplefilter("ignore", ResourceWarning)
        return handler(action_id)(order, Surroundings(checkpoints=str(site.root), tool_path=str(site.tool_path)))


def _command(spec: ServiceSpec, action_id: str, values: dict[str, ParameterValue]) -> Command:
    """Return the command that would ask a pool for it; each has an id of its own, so that none passes for a repeat."""
    bare = Command(
        id=f"lab-{uuid.uuid4().hex}",
        seq=0,
        previous_seq=-1,
        epoch=EPOCH,
        kind="recovery",
        incident="",
        host=spec.host,
        service=spec.name,
        service_type=spec.type,
        strategy="",
        action=action_id,
        arguments=tuple(Argument(name=name, value=str(value)) for name, value in values.items()),
        target=canonical(spec),
        repeatable=actions()[action_id].repeatable,
        attempt=1,
        timeout_ms=actions()[action_id].timeout_ms,
        expires_ms=0,
        sha256="",
        approved_by="",
    )
    return msgspec.structs.replace(bare, sha256=command_sha256(bare))


def start(site: Site, service: str) -> Result:
    """Start a service unless it runs; the result says whether it lived for the first moments."""
    return act(site, service, f"{_type(service)}.start")


def stop(site: Site, service: str) -> Result:
    """Stop a service: SIGTERM, and SIGKILL when it has not ended in time. Nothing to do is fine."""
    if service == CART:
        return act(site, service, "docker.stop")
    return act(site, service, "process.stop", grace_ms=STOP_GRACE_MS)


def _type(service: str) -> str:
    return "docker" if service == CART else "process"


def start_all(site: Site) -> None:
    """Start all services and keep a checkpoint of each one's files; ``RuntimeError`` if one does not start."""
    for service in site.services:
        result = start(site, service)
        if not result.ok:
            raise RuntimeError(f"{service} does not start: {result.code}; see {site.log_file(service)}")
        if service != CART:
            act(site, service, "process.checkpoint")


def stop_all(site: Site) -> None:
    """Stop all services of a site."""
    for service in site.services:
        stop(site, service)


def pid_of(site: Site, service: str) -> int | None:
    """Return the pid of a service's process, or None while it is down."""
    if service == CART:
        return Container(containers(site), CART).pid() or None
    return pid_at(declared.spec(site, service))


def pid_at(spec: ServiceSpec) -> int | None:
    """Return the pid of a service that is a process, or None while it is down."""
    found = running.find(spec)
    return found.identity.pid if found else None


def kill(pid: int) -> None:
    """End a process by SIGKILL and wait until it is gone; ``TimeoutError`` when it is still there after 10 s."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if not wait(lambda: not runs(pid), 10.0):
        raise TimeoutError(f"process {pid} does not end, not even by SIGKILL")


def runs(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    status = proc.status_of(pid)
    return status is not None and status.state not in proc.DEAD


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until the condition holds; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    return True
