"""What the permissions of this process allow it to do to the services of its host, found out without doing it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from streams.core.inventory import ServiceSpec
from streams.workers import blockers, running, tools
from streams.workers.results import Surroundings
from streams.workers.units import SYSTEMCTL

YES, NO, OPEN = "yes", "no", "open"
"""``OPEN``: nobody can know before it is tried."""
ASK_MS: Final = 3_000
TOOL_OF: Final = {"systemd": ("systemctl",), "docker": ("docker",), "hybrid": ("systemctl", "docker")}
ASKED: Final = {
    "systemctl": (*SYSTEMCTL, "show", "--property=Version", "--value"),
    "docker": ("docker", "version", "--format={{.Server.Version}}"),
}
"""What each program answers when its manager can be reached with our permissions."""


class Permit(NamedTuple):
    """Whether something may be done (``YES``, ``NO``, ``OPEN``) to a service (``""``: to any), and by what we know."""

    service: str
    deed: str
    state: str
    why: str

    def __str__(self) -> str:
        """Return it as one line for people."""
        return f"{self.service or 'this host'}: {self.deed}: {self.state} ({self.why})"


def permits(services: Iterable[ServiceSpec], host: str, tool_path: str = "") -> list[Permit]:
    """Return what may be done on a host to those services of the inventory that are its own. It asks programs: slow."""
    mine = [spec for spec in services if spec.host == host]
    needed = sorted({tool for spec in mine for tool in TOOL_OF.get(spec.type, ())})
    managers = [_manager(tool, tool_path) for tool in needed]
    reached = {tool for tool, permit in zip(needed, managers, strict=True) if permit.state == YES}
    return [*managers, *(permit for spec in mine for permit in _of_service(spec, reached, tool_path))]


def _manager(tool: str, tool_path: str) -> Permit:
    ran = tools.ask(ASKED[tool], ASK_MS, Surroundings(checkpoints="", tool_path=tool_path))
    said = (ran.output.splitlines() or [ran.code])[0][:120]
    return Permit("", f"talk to {tool}", NO if ran.code else YES, said if ran.code else f"version {said}")


def _of_service(spec: ServiceSpec, reached: set[str], tool_path: str) -> Iterator[Permit]:
    match spec.type:
        case "process" if spec.argv:
            yield _start(spec)
            yield from _signal(spec)
        case "systemd" | "hybrid":
            yield _unit(spec, "systemctl" in reached)
        case "kubernetes":
            yield _deployment(spec, tool_path)
        case _:
            pass
    yield from (_directory(spec, f"empty {path}", path) for path in spec.caches)
    replaced = [*spec.config_files, *(switch.file for switch in spec.switches.values())]
    yield from (_directory(spec, f"replace {path}", str(Path(path).parent)) for path in replaced)
    if spec.rotate_log:
        yield _directory(spec, f"rotate {spec.log_file}", str(Path(spec.log_file).parent))


def _start(spec: ServiceSpec) -> Permit:
    program = spec.argv[0]
    if not os.access(program, os.X_OK):
        return Permit(spec.name, "start it", NO, f"{program} is not a program that this user may run")
    return _directory(spec, "start it", str(Path(spec.pid_file).parent))


def _signal(spec: ServiceSpec) -> Iterator[Permit]:
    """Actions signal processes of our own user only, whatever else we might."""
    current = running.find(spec)
    if current is None:
        yield Permit(spec.name, "signal its process", OPEN, "it does not run")
    elif blockers.may_touch(current.identity.pid):
        yield Permit(spec.name, "signal its process", YES, f"process {current.identity.pid} is of this user")
    else:
        yield Permit(spec.name, "signal its process", NO, f"process {current.identity.pid} is another user's, or ours")


def _unit(spec: ServiceSpec, reached: bool) -> Permit:  # noqa: FBT001 - the one thing that is known of systemctl
    deed = f"manage {spec.unit}"
    if not reached:
        return Permit(spec.name, deed, NO, "systemctl can't be talked to")
    if os.geteuid() == 0:
        return Permit(spec.name, deed, YES, "as root")
    return Permit(spec.name, deed, OPEN, "polkit says so when it is done: deploy/systemd/logmend.rules")


def _deployment(spec: ServiceSpec, tool_path: str) -> Permit:
    """Ask the cluster whether the deployment may be changed."""
    context = (f"--context={spec.context}",) if spec.context else ()
    question = ("auth", "can-i", "patch", f"deployment/{spec.deployment}", f"--namespace={spec.namespace}")
    ran = tools.ask(("kubectl", *context, *question), ASK_MS, Surroundings(checkpoints="", tool_path=tool_path))
    said = (ran.output.splitlines() or [ran.code])[-1][:120]
    return Permit(spec.name, f"change deployment {spec.deployment}", NO if ran.code else YES, said)


def _directory(spec: ServiceSpec, deed: str, path: str) -> Permit:
    if not Path(path).is_dir():
        return Permit(spec.name, deed, NO, f"{path} is no directory")
    writable = os.access(path, os.W_OK | os.X_OK)
    return Permit(spec.name, deed, YES if writable else NO, f"{path} is {'' if writable else 'not '}writable")
