"""The crowd (``lab.services.crowd``) as a company: sixty services on one database, and the truth of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from lab.company import Company
from lab.health import get
from lab.scenarios.own import company, process
from lab.site import DB, Site, free_ports
from streams.core.inventory import ProbeSpec, ServiceSpec

SIZE: Final = 60
HOST: Final = "crowd"
STAND_IN: Final = f"{SIZE} services with a port and a log each, in one process"
PROBE_MS: Final = 2_000
PROBE_TIMEOUT_MS: Final = 1_500


def invited(site: Site) -> Company:
    """Return the crowd as a company: each of the services declares that it depends on the database of the site."""
    home = site.root / HOST
    names = [f"crowd-{number:02}" for number in range(1, SIZE + 1)]
    ports = dict(zip(names, free_ports(SIZE), strict=True))
    logs = {name: str(home / f"{name}.log") for name in names}
    for log in logs.values():
        Path(log).unlink(missing_ok=True)
    config = {"database_port": site.ports[DB], "ports": ports, "logs": logs}
    host = process(site, HOST, "lab.services.crowd", config)
    specs = tuple(_spec(site, name, ports[name], logs[name]) for name in names)
    return company(site, [host], specs, serves=Census(specs).all_well)


def _spec(site: Site, name: str, port: int, log: str) -> ServiceSpec:
    url = f"http://127.0.0.1:{port}"
    return ServiceSpec(
        name=name,
        host=site.host,
        type="http",
        mode="auto",
        owner="lab",
        depends_on=(DB,),
        log_file=log,
        port=port,
        base_url=url,
        calls={"restart": "POST /restart"},
        probes=(ProbeSpec(kind="http", target=f"{url}/health", every_ms=PROBE_MS, timeout_ms=PROBE_TIMEOUT_MS),),
    )


class Census:
    """The ground truth of the crowd, asked of itself."""

    def __init__(self, specs: tuple[ServiceSpec, ...]) -> None:
        self._port = specs[0].port
        self.troubled: set[str] = set()
        """All that did not work at some time since the last ``clear``."""

    def well(self) -> int:
        """Return how many services work now."""
        members = self._ask()
        self.troubled.update(one["name"] for one in members if not one["well"])
        return sum(one["well"] for one in members)

    def all_well(self) -> bool:
        """Say whether all of them answer and work."""
        try:
            return self.well() == SIZE
        except OSError:
            return False

    def restarts(self) -> int:
        """Return how many restarts all services have had together."""
        return sum(one["restarts"] for one in self._ask())

    def _ask(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(get(self._port, "/crowd")[1])
        return found
