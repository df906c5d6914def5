"""Looks at a service, by topic (``<type>.look``, ``<type>.survey``): what is found are findings of the catalogue.

Nothing of the service is changed: files are read, /proc is read, managers are asked, a connection is made and closed.
What this host can't show is left out; a code that is missing says nothing, a 0 says no.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from streams.catalogue import teams
from streams.core.inventory import ServiceSpec
from streams.workers import blockers, checkpoints, filesystems
from streams.workers.connections import address_of
from streams.workers.orders import Order
from streams.workers.processors import Processors
from streams.workers.results import Result, Surroundings
from streams.workers.vitals import Signs, signs_of

CONNECT_SECONDS: Final = 1.0
NAMES_SECONDS: Final = 3.0
CPU_SECONDS: Final = 0.2
"""Over how long the use of the processors is watched."""
FILES_MAX: Final = 200_000
"""Files of caches that are counted; of more the value is what these hold."""
MEBIBYTE: Final = 1 << 20
OWN_LISTENERS: Final = frozenset({"process", "systemd", "hybrid"})
"""Types whose listening process is known as theirs; that of a container belongs to its manager."""
SURVEYED: Final = ("process", "ports")


def look(order: Order, around: Surroundings) -> Result:
    """Look at one topic."""
    topic = str(order.values["topic"])
    return _seen(_TOPICS[topic](order.spec, around), _codes_of(topic))


def survey(order: Order, around: Surroundings) -> Result:
    """Say by flags what there is to look at: whether the service runs, and who is on its port."""
    found = {code: value for topic in SURVEYED for code, value in _TOPICS[topic](order.spec, around).items()}
    return _seen(found, _codes_of(*SURVEYED, unit="flag"))


def _seen(found: Signs, allowed: frozenset[str]) -> Result:
    findings = {code: round(value, 6) for code, value in found.items() if code in allowed and math.isfinite(value)}
    return Result(ok=True, code="looked", effect="none", findings=findings)


def _codes_of(*topics: str, unit: str = "") -> frozenset[str]:
    """Return what a look at some topics may say, of one unit only if one is given."""
    return frozenset(row.code for row in teams().findings if row.topic in topics and (not unit or row.unit == unit))


# ----------------------------------------------------------------------------------------------------------- ports


def _ports(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001 - all topics are looked at alike
    if not spec.port:
        return {}
    took_ms = _connect_ms(spec.port)
    found = {"port_open": float(took_ms is not None)}
    if took_ms is not None:
        found["port_connect_ms"] = took_ms
    if spec.type in OWN_LISTENERS:
        found |= _foreign(spec, listening=took_ms is not None)
    return found


def _foreign(spec: ServiceSpec, *, listening: bool) -> Signs:
    """Say whether another process listens; nothing when somebody does whose process is not ours to see."""
    holders = set(blockers.listeners(spec.port))
    if holders:
        return {"port_foreign": float(not holders <= blockers.pids_of(spec))}
    return {} if listening else {"port_foreign": 0.0}


def _connect_ms(port: int) -> float | None:
    """Return how long a connection to a port of this host took; None when nobody accepts one."""
    for address in ("127.0.0.1", "::1"):
        began = time.monotonic()
        with contextlib.suppress(OSError), socket.create_connection((address, port), CONNECT_SECONDS):
            return (time.monotonic() - began) * 1000
    return None


# ----------------------------------------------------------------------------------------- dependencies and names


def _dependencies(spec: ServiceSpec, around: Surroundings) -> Signs:
    ports = [around.dependencies[name] for name in spec.depends_on if name in around.dependencies]
    return {"dependencies_down": float(sum(_connect_ms(port) is None for port in ports))} if ports else {}


def _names(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001
    names = {name for name in _hosts_named(spec) if not _is_address(name)}
    return {"names_unresolved": float(len(names) - _resolved(names))} if names else {}


def _hosts_named(spec: ServiceSpec) -> Iterator[str]:
    """Yield the host names of a service's URL and of the addresses of its probes."""
    for url in (spec.base_url, *(probe.target for probe in spec.probes if "://" in probe.target)):
        with contextlib.suppress(ValueError):
            yield urlsplit(url).hostname or ""
    for probe in spec.probes:
        if probe.kind in {"tcp", "certificate"} and probe.target and not probe.target.startswith("/"):
            with contextlib.suppress(ValueError):
                yield address_of(probe.target)[0]


def _is_address(name: str) -> bool:
    if not name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _resolved(names: Iterable[str]) -> int:
    """Return how many names have an address. One that is not answered in time has none; its thread is left behind."""
    found: list[str] = []

    def ask(name: str) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.getaddrinfo(name, None)
            found.append(name)

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + NAMES_SECONDS
    for thread in threads:
        thread.join(max(give_up - time.monotonic(), 0.0))
    return len(found)


# ------------------------------------------------------------------------------------------------ what is declared


def _locks(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001
    if not spec.lock_files:
        return {}
    own = blockers.pids_of(spec)
    return {"locks_held": float(sum(not own >= set(blockers.lock_holders(path)) for path in spec.lock_files))}


def _configuration(spec: ServiceSpec, around: Surroundings) -> Signs:
    changes = checkpoints.compare(spec, Path(around.checkpoints))
    if changes is None:
        return {}
    return {"configuration_changed": float(sum(change.good != change.now for change in changes))}


def _certificate(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001
    targets = [probe.target for probe in spec.probes if probe.kind == "certificate"]
    if not targets:
        return {}
    from streams.workers.certificates import days_left_of  # noqa: PLC0415 - few services have one

    days = days_left_of(targets)
    return {"certificate_days_left": min(days)} if days else {}


# ------------------------------------------------------------------------------------------------------ the host


def _disk(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001
    places = (*spec.caches, str(Path(spec.log_file).parent) if spec.log_file else "", spec.cwd)
    used = []
    for place in filter(None, places):
        with contextlib.suppress(OSError):
            used.append(filesystems.used_percent(place))
    found = {"disk_used_percent": max(used)} if used else {}
    if spec.caches:
        found["cache_mb"] = _held(spec.caches) / MEBIBYTE
    return found


def _held(directories: Iterable[str]) -> int:
    """Return the bytes on disk of the files below some directories; links are not followed."""
    held = files = 0
    waiting = list(directories)
    while waiting and files < FILES_MAX:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                files += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    held += entry.stat(follow_symlinks=False).st_blocks * 512
    return held


def _host(spec: ServiceSpec, around: Surroundings) -> Signs:  # noqa: ARG001
    processors = Processors()
    time.sleep(CPU_SECONDS)
    return {
        "host_cpu_percent": processors.busy_percent(),
        "host_memory_percent": psutil.virtual_memory().percent,
    }


_TOPICS: Final[Mapping[str, Callable[[ServiceSpec, Surroundings], Signs]]] = {
    "process": signs_of,
    "ports": _ports,
    "dependencies": _dependencies,
    "names": _names,
    "locks": _locks,
    "configuration": _configuration,
    "certificate": _certificate,
    "disk": _disk,
    "host": _host,
}
