"""Where the lab lives: directories, ports and configuration files of its three services under one directory."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.services.common import OWNER_VARIABLE
from streams.core.inventory import ProbeSpec, ServiceSpec

API: Final = "shop-api"
WORKER: Final = "shop-worker"
PROXY: Final = "shop-proxy"
SERVICES: Final = (API, WORKER, PROXY)
PORTS: Final = (20_000, 32_000)
"""Ports are drawn from below the range that the kernel takes outgoing connections from."""
API_MEMORY_MB: Final = 320
API_WORKING_SET_MB: Final = 16


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """Return a loopback port that nobody listens on at the moment and that is not in ``taken``."""
    for port in random.sample(range(*PORTS), 200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in taken:
            return port
    raise OSError(f"no free port between {PORTS[0]} and {PORTS[1]}")


@dataclass(frozen=True, kw_only=True)
class Site:
    """The lab's services under ``root``, as the inventory of ``host`` knows them."""

    root: Path
    host: str
    api_port: int
    proxy_port: int

    @classmethod
    def create(cls, root: Path, host: str) -> Site:
        """Make the directories and configuration files, with fresh ports and empty logs; the store stays."""
        api_port = free_port()
        site = cls(root=root, host=host, api_port=api_port, proxy_port=free_port(frozenset({api_port})))
        for service in SERVICES:
            site.directory(service).mkdir(parents=True, exist_ok=True)
            site.write_config(service)
            site.log_file(service).unlink(missing_ok=True)
        return site

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

    @property
    def database(self) -> Path:
        """The SQLite file of the worker."""
        return self.directory(WORKER) / "orders.sqlite"

    @property
    def journal(self) -> Path:
        """Where every injection and every undo is written down, with who asked for it."""
        return self.root / "injections.jsonl"

    def write_config(self, service: str) -> None:
        """Write the configuration file that the service starts well with."""
        self.config_file(service).write_text(json.dumps(self._config(service), indent=2) + "\n", "utf-8")

    def spec(self, service: str) -> ServiceSpec:
        """Return the service's entry in the inventory."""
        module = service.replace("shop-", "lab.services.")
        return ServiceSpec(
            name=service,
            host=self.host,
            type="process",
            mode="auto",
            owner="lab",
            depends_on=(API,) if service == PROXY else (),
            argv=(sys.executable, "-m", module, "--config", str(self.config_file(service))),
            cwd=str(self.directory(service)),
            environment={OWNER_VARIABLE: str(os.getpid())},
            pid_file=str(self.pid_file(service)),
            log_file=str(self.log_file(service)),
            port=self._port(service),
            lock_files=(str(self.database),) if service == WORKER else (),
            config_files=(str(self.config_file(service)),),
            checkpoint_dir=str(self.directory(service) / "checkpoints"),
            probes=self._probes(service),
        )

    def specs(self) -> tuple[ServiceSpec, ...]:
        """Return the inventory entries of all three services."""
        return tuple(map(self.spec, SERVICES))

    def _port(self, service: str) -> int:
        return {API: self.api_port, PROXY: self.proxy_port}.get(service, 0)

    def _probes(self, service: str) -> tuple[ProbeSpec, ...]:
        process = ProbeSpec(kind="process", every_ms=1_000)
        path = {API: "/health", PROXY: "/proxy-health"}.get(service)
        if path is None:
            return (process,)
        url = f"http://127.0.0.1:{self._port(service)}{path}"
        return (process, ProbeSpec(kind="http", target=url, every_ms=1_000, timeout_ms=800))

    def _config(self, service: str) -> dict[str, Any]:
        if service == API:
            limits = {"memory_limit_mb": API_MEMORY_MB, "working_set_mb": API_WORKING_SET_MB}
            return {"name": API, "port": self.api_port, **limits}
        if service == PROXY:
            upstream = {"upstream_port": self.api_port, "upstream_timeout_ms": 1_000}
            return {"name": PROXY, "port": self.proxy_port, **upstream}
        return {"name": WORKER, "database": str(self.database), "interval_ms": 250, "busy_timeout_ms": 300}
