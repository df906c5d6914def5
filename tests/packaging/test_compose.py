"""The Compose file and what it mounts hang together, with each other and with the code."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from streams.advise.records import MEMORY_MB
from streams.cli import ENTRIES
from streams.runtime.supervisor import ROLES
from streams.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROCESSES = (*ROLES, "advise", "web", "notify")
ONCE = {"topics", "token"}
"""What runs to its end before others begin."""
LIMITED = {"workers", "host", "advise"}
PROCESS_MB = 200
"""What `logmend advise` takes without a question, with DuckDB loaded."""
SCHEMA = Path(__file__).parent / "vendored" / "compose-spec.schema.json.gz"


def faults(compose: dict[str, Any]) -> list[str]:
    """Return what the schema of the Compose Specification has against a file, with where it stands."""
    with gzip.open(SCHEMA) as file:
        schema = json.load(file)
    return [f"{error.json_path}: {error.message[:200]}" for error in Draft7Validator(schema).iter_errors(compose)]


def test_compose_understands_the_file() -> None:
    """It is what the Compose Specification allows."""
    assert faults(COMPOSE) == []


def test_the_schema_finds_mistakes() -> None:
    """A key that is written wrongly is told, so that the check can fail."""
    wrong = {**COMPOSE, "services": {"web": {**SERVICES["web"], "helthcheck": {}}}}
    assert len(faults(wrong)) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_one_version(name: str) -> None:
    """An image is pinned: the same file starts the same programs next year."""
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_bound_to_loopback(name: str) -> None:
    """Nothing is reachable from another host unless somebody decides so."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_every_lasting_service_restarts_and_is_checked(name: str) -> None:
    """What dies is started again, and what hangs is seen."""
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_every_volume_that_is_used_is_declared_and_none_has_two_writers() -> None:
    """State survives a container, and no two lasting containers write to the same."""
    used: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if not source.startswith("."):
                used.setdefault(source, []).extend([] if rest.endswith(":ro") or name in ONCE else [name])
    assert set(used) == set(COMPOSE["volumes"])
    assert {source: len(writers) for source, writers in used.items()} == dict.fromkeys(used, 1)


def test_web_and_advisors_read_the_log_that_is_written() -> None:
    """The event log's files are one volume, mounted where each process looks for them, and the image has the place."""
    mounted = {name: [v for v in one.get("volumes", []) if v.startswith("log:")] for name, one in SERVICES.items()}
    assert {name: volumes for name, volumes in mounted.items() if volumes} == {
        "eventlog": ["log:/data/log"],
        "advise": ["log:/data/log:ro"],
        "web": ["log:/data/log:ro"],
    }
    assert "install --directory --owner logmend --group logmend /data/log" in (ROOT / "Dockerfile").read_text()


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
    assert name == "topics" or service["command"] == [name]
    given = {key.removeprefix(PREFIX).lower() for key in service["environment"]}
    assert given <= set(Settings.model_fields)


@pytest.mark.parametrize("name", [*PROCESSES, *sorted(ONCE)])
def test_every_process_of_ours_has_no_privilege(name: str) -> None:
    """No root, no capability, nothing writable but its volume."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "user", "network_mode", "pid"} & set(service)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nobody_gains_privileges(name: str) -> None:
    """Neither ours nor others' containers can become more than they are."""
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


@pytest.mark.parametrize("name", PROCESSES)
def test_what_acts_and_what_watches_is_limited_as_under_systemd(name: str) -> None:
    """1 GB, half a processor, 100 tasks, 4096 files; nobody else is."""
    service = SERVICES[name]
    found = [service.get(key) for key in ("mem_limit", "cpus", "pids_limit", "ulimits")]
    assert found == (["1g", 0.5, 100, {"nofile": 4096}] if name in LIMITED else [None] * 4)


def test_a_question_of_the_advisors_has_room_in_their_container() -> None:
    """It is refused before systemd slows the process down, and before the container is killed."""
    unit = (DEPLOY / "systemd" / "logmend-advise.service").read_text()
    (slow_mb,) = map(int, re.findall(r"^MemoryHigh=(\d+)M$", unit, re.MULTILINE))
    assert slow_mb >= MEMORY_MB + PROCESS_MB
    assert SERVICES["advise"]["mem_limit"] == "1g"


def test_the_web_is_open_to_nobody_without_a_token() -> None:
    """A token is made before the web begins, which asks for one from whoever comes from outside its container."""
    web = SERVICES["web"]
    assert web["environment"]["LOGMEND_WEB_HOST"] == "0.0.0.0"
    assert web["depends_on"]["token"]["condition"] == "service_completed_successfully"
    assert SERVICES["token"]["volumes"] == ["web:/data"]
    made = SERVICES["token"]["command"][0].partition("|| logmend ")[2].split()
    assert (made[0] in ENTRIES, made) == (True, ["token", "create", "--role", "approver", "--name", "operator"])


def test_prometheus_scrapes_every_process_on_its_port() -> None:
    """Each process is a job of its own name, at the port that the containers are given."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    looked_up = {job["job_name"]: job["dns_sd_configs"] for job in config["scrape_configs"]}
    ports = {name: int(SERVICES[name]["environment"]["LOGMEND_METRICS_PORT"]) for name in PROCESSES}
    assert looked_up == {name: [{"names": [name], "type": "A", "port": port}] for name, port in ports.items()}
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])


def test_the_dashboard_is_where_grafana_looks() -> None:
    """The provider's path and the home dashboard are mounted from this repository."""
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/logmend.yaml").read_text())["providers"]
    path = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{path}:ro" in SERVICES["grafana"]["volumes"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).is_file()
