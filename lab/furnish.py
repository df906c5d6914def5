"""A fresh site: directories, ports, and in each service's directory all that it works with."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lab import small_disk
from lab.services.auth import sign
from lab.services.cache import HEADER
from lab.services.common import OWNER_VARIABLE
from lab.services.search import packed
from lab.site import API, AUTH, CACHE, CART, DB, GATE, MAIL, OUTSIDE, PROXY, SEARCH, SERVICES, WORKER, Site, free_ports
from lab.standins import docker
from lab.tools.certificates import VALID_DAYS, issue, make_authority
from streams.workers.files import write_whole

API_MEMORY_MB: Final = 320
API_WORKING_SET_MB: Final = 16
CACHE_QUOTA_BYTES: Final = small_disk.SIZE_MB << 20
GATE_PLACES: Final = 24
SEARCH_FILES_MAX: Final = 48
SESSIONS_MAX: Final = 20
RELAY_NAME: Final = "relay.shop.test"
DOCUMENTS: Final = {f"document-{number}": f"word{number} word{number % 7} shop" for number in range(200)}
STEMMER: Final = 'def stem(word):\n    """Return a word without its ending."""\n    return word.lower().rstrip("s")\n'
SWITCHES: Final[dict[str, tuple[str, ...]]] = {
    CACHE: ("a", "b"),
    SEARCH: ("suggestions", "plain"),
    MAIL: ("relay-a", "relay-b"),
    CART: ("payments-eu", "payments-us"),
    GATE: ("everybody", "known"),
}
"""Values of each service's switch; the first is the normal one."""


def create(root: Path, host: str, services: Sequence[str] = SERVICES) -> Site:
    """Make the directories and files of a site, with fresh ports and empty logs; stores and the journal stay."""
    ports = dict(zip((*SERVICES, *OUTSIDE), free_ports(len(SERVICES) + len(OUTSIDE)), strict=True))
    site = Site(root=root, host=host, services=tuple(services), ports=ports)
    small_disk.release(site.volume("a"))  # of a run that was killed, also where this one has no cache
    if CACHE in services:
        small = small_disk.mounted(site.volume("a"))
        site = Site(root=root, host=host, services=tuple(services), ports=ports, small_disk=small)
    for service in services:
        site.directory(service).mkdir(parents=True, exist_ok=True)
        site.log_file(service).unlink(missing_ok=True)
        write_config(site, service)
        turn_back(site, service)
        if service in _FURNISHING:
            _FURNISHING[service](site)
    return site


def release(site: Site) -> None:
    """Take away what a site has beyond its files."""
    if CACHE in site.services:
        small_disk.release(site.volume("a"))


def environment() -> dict[str, str]:
    """Return what every service of the lab finds in its environment: who owns it, and where its modules are."""
    paths = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return {OWNER_VARIABLE: str(os.getpid()), **paths}


def write_config(site: Site, service: str) -> None:
    """Write the configuration file that a service starts well with."""
    config = {"name": service, "port": site.ports[service], **_config(site, service)}
    write_whole(site.config_file(service), f"{json.dumps(config, indent=2)}\n".encode())


def turn_back(site: Site, service: str) -> bool:
    """Put a service's switch, if it has one, in its normal position; whether it was in another."""
    if service not in SWITCHES:
        return False
    normal = f"{SWITCHES[service][0]}\n"
    path = site.switch_file(service)
    if path.exists() and path.read_text("ascii") == normal:
        return False
    write_whole(path, normal.encode())
    return True


def command_line(site: Site, service: str) -> tuple[str, ...]:
    """Return how a service is run."""
    module = service.replace("shop-", "lab.services.")
    return (sys.executable, "-m", module, "--config", str(site.config_file(service)))


def _config(site: Site, service: str) -> dict[str, Any]:
    home, ports = site.directory(service), site.ports
    switch = {"switch": str(site.switch_file(service))}
    configs: dict[str, dict[str, Any]] = {
        API: {"memory_limit_mb": API_MEMORY_MB, "working_set_mb": API_WORKING_SET_MB},
        PROXY: {"upstream_port": ports[API], "upstream_timeout_ms": 1_000},
        WORKER: {"database": str(site.database), "interval_ms": 250, "busy_timeout_ms": 300},
        DB: {"sessions_max": SESSIONS_MAX, "secrets": {"shop": "shop", "admin": secrets.token_hex(16)}},
        CACHE: {
            "volumes": {name: str(site.volume(name)) for name in SWITCHES[CACHE]},
            "quota_bytes": 0 if site.small_disk else CACHE_QUOTA_BYTES,
            **switch,
        },
        AUTH: {
            "certificate": str(certificate(site)),
            "signing_key": str(signing_key(site)),
            "roles": str(home / "roles.json"),
        },
        SEARCH: {
            "index": str(home / "index.dat"),
            "stemmer": str(home / "stemmer.py"),
            "suggestions_port": ports["recommender"],
            "slow_ms": 500,
            "open_files_max": SEARCH_FILES_MAX,
            **switch,
        },
        MAIL: {
            "relays": {
                "relay-a": {"host": RELAY_NAME, "port": ports["relay_a"]},
                "relay-b": {"host": "127.0.0.1", "port": ports["relay_b"]},
            },
            "resolver_port": ports["dns"],
            **switch,
        },
        CART: {
            "providers": {"payments-eu": ports["payments_eu"], "payments-us": ports["payments_us"]},
            **switch,
        },
        GATE: {"places": GATE_PLACES, **switch},
    }
    return configs[service]


def authority(site: Site) -> Path:
    """Return the file of the authority that customers of the lab's HTTPS server trust."""
    return site.directory(AUTH) / "authority.pem"


def certificate(site: Site) -> Path:
    """Return the file of the HTTPS server's certificate and key."""
    return site.directory(AUTH) / "server.pem"


def signing_key(site: Site) -> Path:
    """Return the file of the key that customers' tokens are signed with."""
    return site.directory(AUTH) / "signing.key"


def containers(site: Site) -> Path:
    """Return the directory of the containers that the stand-in for docker knows."""
    return site.root / "containers"


def _cache(site: Site) -> None:
    for name in SWITCHES[CACHE]:
        entries = site.volume(name) / "entries"
        entries.mkdir(parents=True, exist_ok=True)
        for entry in entries.iterdir():
            entry.unlink()
        write_header(site.volume(name))


def write_header(volume: Path) -> None:
    """Write the header that tells a volume of the cache from any other directory."""
    write_whole(volume / "header", HEADER)


def _auth(site: Site) -> None:
    make_authority(authority(site))
    write_certificate(site)
    key = secrets.token_bytes(32)
    write_whole(signing_key(site), key, 0o600)
    write_whole(site.directory(AUTH) / "customer.token", sign(key, "customer").encode())
    write_whole(site.directory(AUTH) / "roles.json", json.dumps({"customer": ["buyer"]}).encode(), 0o640)


def write_certificate(site: Site, ends_in_days: float = VALID_DAYS) -> None:
    """Write a certificate for the HTTPS server that ends in so many days (below 0: it has ended)."""
    issue(authority(site), certificate(site), datetime.now(UTC) + timedelta(days=ends_in_days))


def _search(site: Site) -> None:
    write_index(site)
    write_stemmer(site)


def write_index(site: Site) -> None:
    """Write the search server's index."""
    write_whole(site.directory(SEARCH) / "index.dat", packed(DOCUMENTS))


def write_stemmer(site: Site) -> None:
    """Write the search server's plug-in."""
    write_whole(site.directory(SEARCH) / "stemmer.py", STEMMER.encode())


def _cart(site: Site) -> None:
    """Declare the container, and put the stand-in for docker where it is looked for."""
    containers(site).mkdir(parents=True, exist_ok=True)
    declared = {
        "argv": command_line(site, CART),
        "cwd": str(site.directory(CART)),
        "environment": {"PATH": os.environ.get("PATH", ""), **environment()},
        "log": str(site.log_file(CART)),
    }
    write_whole(containers(site) / f"{CART}.json", json.dumps(declared).encode())
    site.tool_path.mkdir(parents=True, exist_ok=True)
    script = f'#!/bin/sh\nexec "{sys.executable}" -IS "{docker.__file__}" "{containers(site)}" "$@"\n'
    write_whole(site.tool_path / "docker", script.encode(), 0o755)


_FURNISHING: Final[dict[str, Callable[[Site], None]]] = {CACHE: _cache, AUTH: _auth, SEARCH: _search, CART: _cart}
