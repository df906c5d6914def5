"""A scenario's own services: real processes beside those of the site, declared, started and broken here."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lab import control
from lab.company import Company
from lab.furnish import environment
from lab.site import Site
from streams.core.inventory import ServiceSpec
from streams.workers.clock import now_ms
from streams.workers.files import write_whole

DIES_S: Final = 5.0
SERVES_S: Final = 20.0


def process(site: Site, name: str, module: str, config: Mapping[str, Any], **more: Any) -> ServiceSpec:
    """Make a directory for a service that is a process of a module of ours, and return its inventory entry.

    ``module`` takes ``--config FILE``, a JSON object with ``config``. ``more`` are further fields of the entry.
    """
    home = site.root / name
    home.mkdir(parents=True, exist_ok=True)
    log_file, config_file = home / "service.log", home / "config.json"
    log_file.unlink(missing_ok=True)
    write_whole(config_file, f"{json.dumps({'name': name, **config}, indent=2)}\n".encode())
    return ServiceSpec(
        name=name,
        host=site.host,
        mode="auto",
        owner="lab",
        argv=(sys.executable, "-m", module, "--config", str(config_file)),
        cwd=str(home),
        environment=environment(),
        pid_file=str(home / "service.pid"),
        log_file=str(log_file),
        **more,
    )


def company(
    site: Site,
    processes: Sequence[ServiceSpec],
    specs: Sequence[ServiceSpec] | None = None,
    *,
    serves: Callable[[], bool] = lambda: True,
) -> Company:
    """Return a company of processes, in the order of their start; a checkpoint of each one's files is kept.

    ``specs``: what the inventory knows instead of them, where they are stand-ins for other services. ``serves`` says
    whether all of them do what they are there for.
    """

    def start() -> None:
        for spec in processes:
            result = control.act_on(site, spec, "process.start")
            if not result.ok:
                raise RuntimeError(f"{spec.name} does not start: {result.code}; see {spec.log_file}")
            if spec.config_files:
                control.act_on(site, spec, "process.checkpoint")
        if not control.wait(serves, SERVES_S):
            raise RuntimeError(f"{', '.join(spec.name for spec in processes)}: started, but of no use")

    def stop() -> None:
        for spec in reversed(processes):
            control.act_on(site, spec, "process.stop", grace_ms=control.STOP_GRACE_MS)

    return Company(specs=tuple(processes if specs is None else specs), start=start, stop=stop)


def break_down(site: Site, spec: ServiceSpec, number: signal.Signals) -> int:
    """Send a deadly signal to a service that is a process, note it in the site's journal, wait until it is dead.

    Returns the time of it in milliseconds since 1970. ``RuntimeError`` when it does not run, or survives.
    """
    pid = control.pid_at(spec)
    if pid is None:
        raise RuntimeError(f"{spec.name} does not run, so there is nothing to break")
    at_ms = now_ms()
    site.note(at_ms, "inject", number.name, spec.name, "lab")
    os.kill(pid, number)
    if not control.wait(lambda: not control.runs(pid), DIES_S):
        raise RuntimeError(f"{spec.name} (process {pid}) survived {number.name}")
    return at_ms
