"""The lab's services as the inventory knows them: what of each may be touched, and how its state is seen."""

from __future__ import annotations

import sys
from typing import Any, Final

from msgspec.structs import replace

from lab import furnish
from lab.site import API, AUTH, CACHE, CART, DB, GATE, MAIL, PROXY, SEARCH, WORKER, Site
from streams.core.inventory import ProbeSpec, ServiceSpec, Switch

PROBE_MS: Final = 1_000
PROBE_TIMEOUT_MS: Final = 800
CERTIFICATE_DAYS: Final = 7.0
DISK_PERCENT: Final = 90.0
SWITCH_KINDS: Final = {CACHE: "upstream", SEARCH: "feature", MAIL: "upstream", CART: "upstream", GATE: "traffic"}


def spec(site: Site, service: str) -> ServiceSpec:
    """Return a service's entry in the inventory."""
    bare = ServiceSpec(
        name=service,
        host=site.host,
        mode="auto",
        owner="lab",
        depends_on=(API,) if service == PROXY else (),
        cwd=str(site.directory(service)),
        log_file=str(site.log_file(service)),
        port=0 if service == WORKER else site.ports[service],
        switches=_switches(site, service),
        probes=_probes(site, service),
    )
    if service == CART:
        return replace(bare, type="docker", container=CART)
    return replace(
        bare,
        argv=furnish.command_line(site, service),
        environment=furnish.environment(),
        pid_file=str(site.pid_file(service)),
        config_files=(str(site.config_file(service)), *_more_files(site, service)),
        checkpoint_dir=str(site.directory(service) / "checkpoints"),
        **_special(site, service),
    )


def specs(site: Site) -> tuple[ServiceSpec, ...]:
    """Return the inventory entries of all services of a site."""
    return tuple(spec(site, service) for service in site.services)


def _switches(site: Site, service: str) -> dict[str, Switch]:
    if service not in SWITCH_KINDS:
        return {}
    kind = SWITCH_KINDS[service]
    return {kind: Switch(kind=kind, file=str(site.switch_file(service)), values=furnish.SWITCHES[service])}


def _more_files(site: Site, service: str) -> tuple[str, ...]:
    names = {AUTH: ("signing.key", "roles.json"), SEARCH: ("index.dat", "stemmer.py")}
    return tuple(str(site.directory(service) / name) for name in names.get(service, ()))


def _special(site: Site, service: str) -> dict[str, Any]:
    if service == WORKER:
        return {"lock_files": (str(site.database),)}
    if service == CACHE:
        return {"caches": (str(site.volume("a") / "entries"),)}
    if service == DB:
        return {"tools": {"end_idle_sessions": _tool("end_idle_sessions", str(site.config_file(DB)))}}
    if service == AUTH:
        files = (str(furnish.authority(site)), str(furnish.certificate(site)))
        return {"tools": {"renew_certificate": _tool("renew_certificate", *files)}}
    return {}


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"lab.tools.{name}", *arguments)


def _probes(site: Site, service: str) -> tuple[ProbeSpec, ...]:
    first = ProbeSpec(kind="container" if service == CART else "process", every_ms=PROBE_MS)
    path = {PROXY: "/proxy-health"}.get(service, "/health")
    url = f"http://127.0.0.1:{site.ports[service]}{path}"
    web = ProbeSpec(kind="http", target=url, every_ms=PROBE_MS, timeout_ms=PROBE_TIMEOUT_MS)
    if service == WORKER:
        return (first,)
    if service == DB:
        return (first, ProbeSpec(kind="tcp", every_ms=PROBE_MS, timeout_ms=PROBE_TIMEOUT_MS))
    if service == AUTH:
        limit, path = CERTIFICATE_DAYS, str(furnish.certificate(site))
        return (first, ProbeSpec(kind="certificate", target=path, every_ms=PROBE_MS, limit=limit))
    if service == CACHE and site.small_disk:
        volume = str(site.volume("a"))
        return (first, web, ProbeSpec(kind="disk", target=volume, every_ms=PROBE_MS, limit=DISK_PERCENT))
    return (first, web)
