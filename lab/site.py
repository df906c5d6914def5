"""Where the lab lives: directories, ports and files of its services under one directory."""

from __future__ import annotations

import json
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

API: Final = "shop-api"
WORKER: Final = "shop-worker"
PROXY: Final = "shop-proxy"
DB: Final = "shop-db"
CACHE: Final = "shop-cache"
AUTH: Final = "shop-auth"
SEARCH: Final = "shop-search"
MAIL: Final = "shop-mail"
CART: Final = "shop-cart"
GATE: Final = "shop-gate"
DEMO_SERVICES: Final = (API, WORKER, PROXY)
SERVICES: Final = (*DEMO_SERVICES, DB, CACHE, AUTH, SEARCH, MAIL, CART, GATE)
"""In the order of their start: who depends on another comes after it."""
OUTSIDE: Final = ("relay_a", "relay_b", "dns", "recommender", "payments_eu", "payments_us")
"""Peers beyond the fleet (``outside.py``): what Logmend can't touch."""
OUTSIDE_OF: Final = frozenset({SEARCH, MAIL, CART})
"""The services that have such peers."""
PORTS: Final = (20_000, 32_000)
"""Ports are drawn from below the range that the kernel takes outgoing connections from."""


def free_ports(count: int) -> list[int]:
    """Return loopback ports, each once, that nobody listens on at the moment; ``OSError`` when there are too few."""
    found: list[int] = []
    for port in random.sample(range(*PORTS), 200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {PORTS[0]} and {PORTS[1]}")


@dataclass(frozen=True, kw_only=True)
class Site:
    """The services of a run under ``root``, on ``host`` as the inventory calls it; ``ports`` by service or peer.

    ``small_disk``: the cache's first volume is a file system of its own (else its size is watched by the service).
    """

    root: Path
    host: str
    services: tuple[str, ...]
    ports: dict[str, int]
    small_disk: bool = False

    def directory(self, service: str) -> Path:
        """Return the directory of a service: its working directory, with all its files."""
        return self.root / service

    def config_file(self, service: str) -> Path:
        """Return the path of a service's configuration file."""
        return self.directory(service) / "config.json"

    def log_file(self, service: str) -> Path:
        """Return the path of a service's log file."""
        return self.directory(service) / "service.log"

    def pid_file(self, service: str) -> Path:
        """Return the path of a service's pid file."""
        return self.directory(service) / "service.pid"

    def switch_file(self, service: str) -> Path:
        """Return the path of a service's switch, for one that has any."""
        return self.directory(service) / "switch"

    @property
    def database(self) -> Path:
        """The SQLite file of the worker."""
        return self.directory(WORKER) / "orders.sqlite"

    @property
    def tool_path(self) -> Path:
        """Where the stand-ins for programs of the host are."""
        return self.root / "bin"

    @property
    def outside(self) -> Path:
        """The directory that says, in a file for each, how the peers beyond the fleet behave."""
        return self.root / "outside"

    @property
    def journal(self) -> Path:
        """Where every injection and every undo is written down, with who asked for it."""
        return self.root / "injections.jsonl"

    def note(self, at_ms: int, what: str, fault: str, service: str, caller: str) -> None:
        """Write into the journal what was done to a service, when (milliseconds since 1970) and for whom."""
        entry = {"at_ms": at_ms, "what": what, "fault": fault, "service": service, "caller": caller, "pid": os.getpid()}
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{json.dumps(entry)}\n")

    def volume(self, name: str) -> Path:
        """Return the cache's first (``a``) or second (``b``) volume."""
        return self.directory(CACHE) / f"volume-{name}"
