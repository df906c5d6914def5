"""The services that Logmend knows: where each one is, how its state is seen, and what of it may be touched.

Everything that an action may name is declared here; nothing of a log line ever becomes an argument. What a field means
to which type of service is in ``ServiceSpec``; a worker checks the contents once more before it acts.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import field
from msgspec.structs import force_setattr

from streams.core.applied import Applied, one_of
from streams.core.errors import InputError
from streams.core.events import MODES

SERVICE_TYPES: Final = ("process", "systemd", "docker", "hybrid", "kubernetes", "http")
PROBE_KINDS: Final = ("process", "systemd", "container", "http", "tcp", "certificate", "disk", "memory")
LIVENESS_KINDS: Final = frozenset({"process", "systemd", "container", "http", "tcp"})
"""Probes that fail as soon as a service is down; the others foretell trouble."""
HOST_KINDS: Final = ("host_cpu", "host_memory", "host_disk", "broker", "own_process")
"""What a host reports of itself, as probes of the service that has its name."""
SWITCH_KINDS: Final = ("feature", "upstream", "replicas", "traffic")
SIGNALS: Final = ("", "HUP", "USR1", "USR2")
TOOLS: Final = ("renew_certificate", "end_idle_sessions")
"""Jobs that only the service's owner knows how to do; the inventory gives the command line of each."""
QUEUE_LIMIT_MAX: Final = 10**12
PORT_MAX: Final = 65_535
PROBE_MAX_MS: Final = 86_400_000
"""Probes are a day apart at most."""
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "systemd": ("unit",),
    "docker": ("container",),
    "hybrid": ("unit", "container"),
    "kubernetes": ("namespace", "deployment"),
}
"""Fields that a type of service can't do without. A process that has no ``argv`` is observed and probed only."""


class ProbeSpec(Applied, frozen=True):
    """How the state of a service is seen, every ``every_ms``.

    | kind | target | fails when |
    |---|---|---|
    | process | - (the pid file) | no such process runs |
    | systemd | - (the unit) | the unit is not active |
    | container | - (the container) | it does not run, or its own health check fails |
    | http | URL | no answer below 400 in time |
    | tcp | host:port | nobody accepts a connection in time |
    | certificate | path, or host:port | it ends within ``limit`` days |
    | disk | path | more than ``limit`` % of its file system is used |
    | memory | - (the process, unit or container) | it holds more than ``limit`` MiB |
    """

    kind: str
    target: str = ""
    every_ms: int = 30_000
    timeout_ms: int = 2_000
    limit: float = 0.0

    def __post_init__(self) -> None:
        """Have one form of a limit, however it was written: 7 and 7.0 are the same entry, so they have one hash."""
        force_setattr(self, "limit", float(self.limit))


class Switch(Applied, frozen=True):
    """A declared file by which a service is steered: it holds one of ``values``, of which the first is normal.

    ``feature``: a further value turns something off (graceful degradation). ``upstream``: a further value is the
    alternative (fallback). ``replicas``: values in ascending order (scale up and down). ``traffic``: a further value
    takes the service out of traffic (isolate). ``signal`` is sent to the service after a change; ``""``: none.
    """

    kind: str
    file: str
    values: tuple[str, ...]
    signal: str = ""


class ServiceSpec(Applied, frozen=True):
    """A service that Logmend may act on; each has one host, so instances on several hosts have names of their own.

    process: ``argv``, ``cwd``, ``environment``, ``pid_file``, ``log_file``. systemd and hybrid: ``unit``. docker and
    hybrid: ``container``. kubernetes: ``namespace``, ``deployment``, ``context`` (of kubectl's configuration, ``""``
    is its default). http: ``base_url`` and the ``calls`` that may be made, name to ``METHOD path``.

    Of any type: ``port`` and ``lock_files`` that a blocker may hold, ``config_files`` that a checkpoint covers and
    ``checkpoint_dir``, ``reload_signal``, ``switches`` by name, ``caches`` (directories that may be emptied),
    ``tools`` (jobs of ``TOOLS`` to command lines), ``rotate_log`` (whether ``log_file`` may be moved away),
    ``queue_limit`` (how deep its queue, or how large its pool, may become before it turns work away; 0: not known).
    """

    name: str
    host: str
    type: str = "process"
    mode: str = "observe"
    owner: str = ""
    protected: bool = False
    depends_on: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    cwd: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    pid_file: str = ""
    log_file: str = ""
    port: int = 0
    lock_files: tuple[str, ...] = ()
    config_files: tuple[str, ...] = ()
    checkpoint_dir: str = ""
    unit: str = ""
    container: str = ""
    namespace: str = ""
    deployment: str = ""
    context: str = ""
    reload_signal: str = ""
    switches: dict[str, Switch] = field(default_factory=dict)
    caches: tuple[str, ...] = ()
    tools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rotate_log: bool = False
    base_url: str = ""
    calls: dict[str, str] = field(default_factory=dict)
    queue_limit: int = 0
    probes: tuple[ProbeSpec, ...] = ()

    def switch(self, kind: str) -> str:
        """Return the name of the first switch of a kind; ``""`` when there is none."""
        return next((name for name, one in self.switches.items() if one.kind == kind), "")


def may_act(spec: ServiceSpec) -> bool:
    """Tell whether a service may be acted on at all: it is not only observed, and not protected."""
    return spec.mode in {"approve", "auto"} and not spec.protected


def check_service(spec: ServiceSpec) -> None:
    """Raise ``InputError`` naming the first field of a service that makes no sense."""
    what = f"service {spec.name}"
    one_of(f"{what}: type", spec.type, SERVICE_TYPES)
    one_of(f"{what}: mode", spec.mode, MODES)
    one_of(f"{what}: reload_signal", spec.reload_signal, SIGNALS)
    if not 0 <= spec.queue_limit <= QUEUE_LIMIT_MAX:
        raise InputError(f"{what}: queue_limit is not in 0..{QUEUE_LIMIT_MAX:,}; leave it out where there is none")
    if not 0 <= spec.port <= PORT_MAX:
        raise InputError(f"{what}: port is not in 0..{PORT_MAX}")
    if not spec.name or not spec.host:
        raise InputError(f"service {spec.name!r}: name and host must not be empty")
    missing = [name for name in NEEDED.get(spec.type, ()) if not getattr(spec, name)]
    if missing:
        raise InputError(f"{what}: a service of type {spec.type} needs {' and '.join(missing)}")
    for probe in spec.probes:
        _check_probe(what, probe)
    for name, switch in spec.switches.items():
        _check_switch(f"{what}: switch {name}", switch)
    for name, argv in spec.tools.items():
        one_of(f"{what}: tool", name, TOOLS)
        if not argv:
            raise InputError(f"{what}: tool {name} has no command line")


def _check_probe(what: str, probe: ProbeSpec) -> None:
    one_of(f"{what}: probe kind", probe.kind, PROBE_KINDS)
    if not 100 <= probe.every_ms <= PROBE_MAX_MS or not 1 <= probe.timeout_ms <= PROBE_MAX_MS:
        raise InputError(f"{what}: a probe's every_ms is 100..{PROBE_MAX_MS:,}, its timeout_ms 1..{PROBE_MAX_MS:,}")
    if not abs(probe.limit) < math.inf:
        raise InputError(f"{what}: a probe's limit is a number")
    if probe.kind in {"certificate", "disk", "memory"} and probe.limit <= 0:
        raise InputError(f"{what}: a {probe.kind} probe needs a limit above 0")


def _check_switch(what: str, switch: Switch) -> None:
    one_of(f"{what}: kind", switch.kind, SWITCH_KINDS)
    one_of(f"{what}: signal", switch.signal, SIGNALS)
    if not switch.file:
        raise InputError(f"{what}: has no file")
    if len(switch.values) < 2 or len(set(switch.values)) < len(switch.values):
        raise InputError(f"{what}: needs two values or more, each once; the first is the normal one")
    if switch.kind == "replicas" and [int(v) if v.isdecimal() else -1 for v in switch.values] != sorted(
        int(v) if v.isdecimal() else -2 for v in switch.values
    ):
        raise InputError(f"{what}: replicas are whole numbers in ascending order")
