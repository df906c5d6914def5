"""The Compose file and what it mounts hang together, with each other and with the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams import telemetry
from streams.cli import ENTRIES
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROCESSES = ("detect", "decide", "dispatch", "eventlog", "workers")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "pipeline.json").read_text())
METRIC = re.compile(r"logmend_[a-z_]+")


def expressions() -> Iterator[tuple[str, str]]:
    """Yield (where, expression) of every panel and alert."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def exported() -> set[str]:
    """Return the names of all series that our processes export."""
    names = set()
    for family in telemetry.REGISTRY.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_one_version(name: str) -> None:
    """An image is pinned: the same file starts the same programs next year."""
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_bound_to_loopback(name: str) -> None:
    """Nothing is reachable from another host unless somebody decides so."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", set(SERVICES) - {"topics"})
def test_every_lasting_service_restarts_and_is_checked(name: str) -> None:
    """What dies is started again, and what hangs is seen."""
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_every_volume_that_is_used_is_declared_and_none_is_shared() -> None:
    """State survives a container, and no two containers write to the same."""
    named = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    ]
    assert sorted(named) == sorted(COMPOSE["volumes"])


def test_every_mounted_directory_is_in_the_repository() -> None:
    """A bind mount of nothing would be an empty directory, and no error."""
    mounted = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith(".")}
    assert len(mounted) == 3
    assert all(any((ROOT / path).iterdir()) for path in mounted)


def test_dependencies_are_on_services_that_are_there() -> None:
    """Every wait is for a service of the file."""
    waits = {name for service in SERVICES.values() for name in service.get("depends_on", {})}
    assert waits <= set(SERVICES)


@pytest.mark.parametrize("name", [*PROCESSES, "topics"])
def test_every_process_is_a_command_of_ours(name: str) -> None:
    """The containers run commands that exist, with settings that exist."""
    service = SERVICES[name]
    assert service["command"][0] in ENTRIES
    given = {key.removeprefix(PREFIX).lower() for key in service["environment"]}
    assert given <= set(Settings.model_fields)


@pytest.mark.parametrize("name", [*PROCESSES, "topics"])
def test_every_process_of_ours_has_no_privilege(name: str) -> None:
    """No root, no capability, nothing writable but its volume."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "USER logmend" in (ROOT / "Dockerfile").read_text().splitlines()


def test_prometheus_scrapes_every_process_on_its_port() -> None:
    """Each process is a job of its own name, at the port that the containers are given."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    ports = {name: SERVICES[name]["environment"]["LOGMEND_METRICS_PORT"] for name in PROCESSES}
    assert targets == {name: [f"{name}:{port}"] for name, port in ports.items()}
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_series_that_is_asked_for_is_exported(where: str, expression: str) -> None:
    """A panel or an alert over a metric that nobody exports would be silent for ever."""
    assert set(METRIC.findall(expression)) <= exported()


def test_the_dashboard_uses_the_provisioned_source() -> None:
    """Panels find their data without a click."""
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_the_dashboard_is_where_grafana_looks() -> None:
    """The provider's path and the home dashboard are mounted from this repository."""
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/logmend.yaml").read_text())["providers"]
    path = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{path}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).is_file()


def test_no_two_panels_overlap() -> None:
    """Panels have ids of their own and lie side by side in Grafana's 24 columns."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (a, b)
