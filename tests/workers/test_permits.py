"""What a process may do to the services of its host is found out without doing it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.inventory import ServiceSpec, Switch
from streams.workers import proc
from streams.workers.permits import NO, OPEN, YES, permits
from tests.workers.kit import HOST, Executor, command, end_services, process_spec, starts


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Path]:
    """Return a directory for programs that stand in for those of the host."""
    path = tmp_path / "tools"
    path.mkdir()
    yield path
    end_services(tmp_path)


def program(directory: Path, name: str, script: str) -> None:
    """Make a program that writes down its arguments and does what a shell script says."""
    path = directory / name
    path.write_text(f'#!/bin/sh\necho "$@" >> {directory}/{name}.asked\n{script}\n')
    path.chmod(0o755)


def states(tool_path: Path, *services: ServiceSpec) -> dict[str, str]:
    """Return the state of each deed."""
    return {permit.deed: permit.state for permit in permits(services, HOST, str(tool_path))}


def service(**fields: Any) -> ServiceSpec:
    """Return a service of this host."""
    return ServiceSpec(**{"name": "api", "host": HOST, **fields})


@pytest.mark.parametrize(
    ("user", "script", "expected"),
    [
        (0, "echo 252", {"talk to systemctl": YES, "manage api.service": YES}),
        (1000, "echo 252", {"talk to systemctl": YES, "manage api.service": OPEN}),
        (0, "echo 'no bus'; exit 1", {"talk to systemctl": NO, "manage api.service": NO}),
    ],
)
def test_units_may_be_managed_by_root_or_whom_polkit_lets(
    tools: Path, monkeypatch: pytest.MonkeyPatch, user: int, script: str, expected: dict[str, str]
) -> None:
    """Systemctl is asked for its version only; what polkit would say to a user, nobody knows before."""
    program(tools, "systemctl", script)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert states(tools, service(type="systemd", unit="api.service")) == expected
    asked = (tools / "systemctl.asked").read_text()
    assert asked == "--no-ask-password --no-pager show --property=Version --value\n"


def test_a_program_is_asked_once_for_all_services(tools: Path) -> None:
    """A hundred containers make one question to docker."""
    program(tools, "docker", "echo 27.1")
    services = [service(name=f"s{number}", type="docker", container=f"c{number}") for number in range(5)]
    assert states(tools, *services) == {"talk to docker": YES}
    assert len((tools / "docker.asked").read_text().splitlines()) == 1


def test_services_of_other_hosts_are_nobodys_business(tools: Path) -> None:
    """Only what is on this host is looked at, and no program is run for the others."""
    program(tools, "docker", "echo 27.1")
    assert permits([service(host="elsewhere", type="docker", container="c")], HOST, str(tools)) == []
    assert not (tools / "docker.asked").exists()


def test_the_cluster_is_asked_whether_a_deployment_may_be_changed(tools: Path) -> None:
    """The question is kubectl's own, in the service's context and namespace."""
    spec = service(type="kubernetes", namespace="shop", deployment="api", context="prod")
    program(tools, "kubectl", "echo yes")
    assert states(tools, spec) == {"change deployment api": YES}
    assert (tools / "kubectl.asked").read_text() == (
        "--context=prod auth can-i patch deployment/api --namespace=shop\n"
    )
    program(tools, "kubectl", "echo no; exit 1")
    assert states(tools, spec) == {"change deployment api": NO}


def test_a_process_of_this_user_may_be_signalled(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it does not run nobody knows; once it does, its user decides, and nothing is sent to it."""
    spec = process_spec(tmp_path)
    assert states(tools, spec) == {"start it": YES, "signal its process": OPEN}
    with Executor(tmp_path) as executor:
        executor.run(command(spec, "process.restart"))
    assert states(tools, spec) == {"start it": YES, "signal its process": YES}
    monkeypatch.setattr(proc, "is_own", lambda _pid: False)
    assert states(tools, spec) == {"start it": YES, "signal its process": NO}
    assert starts(tmp_path) == ["1-0-0"]


def test_what_can_not_be_written_is_said(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches, configuration, switches and logs: the directory that would be written to decides."""
    monkeypatch.setattr(os, "access", lambda path, _mode: "locked" not in str(path))
    for name in ("open", "locked"):
        (tmp_path / name).mkdir()
    at = {name: f"{tmp_path}/{name}" for name in ("open", "locked", "gone")}
    spec = service(
        caches=(at["open"], at["locked"], at["gone"]),
        config_files=(f"{at['locked']}/c.toml",),
        switches={"f": Switch(kind="feature", file=f"{at['open']}/f", values=("on", "off"))},
        rotate_log=True,
        log_file=f"{at['open']}/x.log",
    )
    assert states(tools, spec) == {
        f"empty {at['open']}": YES,
        f"empty {at['locked']}": NO,
        f"empty {at['gone']}": NO,
        f"replace {at['locked']}/c.toml": NO,
        f"replace {at['open']}/f": YES,
        f"rotate {at['open']}/x.log": YES,
    }
