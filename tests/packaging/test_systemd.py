"""The systemd units are what systemd understands, hold their limits, and run commands that exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from streams.cli import ENTRIES
from streams.runtime.supervisor import ROLES
from streams.settings import PREFIX, Settings

UNITS: Final = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES: Final = sorted(UNITS.glob("*.service"))
PROGRAM: Final = "/opt/logmend/bin/logmend"
EVERYWHERE: Final = {
    "User": "logmend",
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "read-only",
    "StateDirectory": "logmend logmend/run",
    "Restart": "on-failure",
    "EnvironmentFile": "/etc/logmend/logmend.env",
}
HEALING: Final = {
    "MemoryMax": "1G",
    "MemoryHigh": "768M",
    "CPUQuota": "50%",
    "TasksMax": "100",
    "LimitNOFILE": "4096",
}


def keys(path: Path) -> dict[str, str]:
    """Return the settings of a unit."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "["))]
    return dict(line.split("=", 1) for line in lines)


def role(path: Path) -> str:
    """Return the kind of process that a unit runs."""
    return path.stem.removeprefix("logmend-").rstrip("@")


def test_there_is_a_unit_for_every_kind_of_process() -> None:
    """What ``logmend up`` starts, systemd can start."""
    assert {role(path) for path in SERVICES} == {*ROLES, "advise", "notify", "web"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` is content, with a program where the units look for it."""
    program = tmp_path / "logmend"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in (*SERVICES, UNITS / "logmend.target"):
        (tmp_path / path.name).write_text(path.read_text().replace(PROGRAM, str(program)))
    names = [path.name.replace("@.", "@1.") for path in sorted(tmp_path.glob("logmend*.*"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(f"./{name}" for name in names)],
        cwd=tmp_path,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_process_is_without_privilege_and_writes_to_its_data_only(path: Path) -> None:
    """An own user, no new privileges, its own /tmp, system and home read-only, one writable directory."""
    found = keys(path)
    assert {name: found[name] for name in EVERYWHERE} == EVERYWHERE
    assert "ReadWritePaths" not in found
    assert "AmbientCapabilities" not in found


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_the_healing_side_is_limited(path: Path) -> None:
    """What acts and what watches can't take the host with it."""
    found = {name: value for name, value in keys(path).items() if name in HEALING}
    assert found == (HEALING if role(path) in {"workers", "host", "advise"} else {})


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_unit_runs_a_command_of_ours_with_settings_of_ours(path: Path) -> None:
    """Command and variables exist; processes of one kind are told apart."""
    found = keys(path)
    program, command = found["ExecStart"].split()
    assert (program, command) == (PROGRAM, role(path))
    assert command in ENTRIES
    given = {pair.split("=")[0] for pair in found["Environment"].split()} - {"LOGMEND_PROCESS", "LOGMEND_INSTANCE"}
    assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)
    assert ("LOGMEND_INSTANCE=%H-%i" in found["Environment"]) is ("@" in path.name)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_every_unit_belongs_to_the_target(path: Path) -> None:
    """One target starts and stops what is enabled."""
    assert (keys(path)["PartOf"], keys(path)["WantedBy"]) == ("logmend.target",) * 2


def test_the_settings_file_names_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example can be used as it is, and acts on nothing."""
    given = dict(
        line.split("=", 1) for line in (UNITS / "logmend.env").read_text().splitlines() if line and line[0] != "#"
    )
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings.load().dry_run


def test_the_grant_as_shipped_grants_nothing() -> None:
    """Units and users that may be managed are named by the operator: every unit in the file is a comment."""
    text = (UNITS / "logmend.rules").read_text()
    code = re.sub(r"//.*", "", text)
    assert ".service" not in code
    assert re.search(r"units = \[\s*\];", code)
    assert code.count("polkit.Result.YES") == 1
    assert 'subject.user !== "logmend"' in code


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_the_users_file_makes_the_user_of_the_units(tmp_path: Path) -> None:
    """``systemd-sysusers`` understands the file, and the user is without a shell."""
    command = ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / "logmend.sysusers")]
    (tmp_path / "etc").mkdir()
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    (user,) = [line.split(":") for line in (tmp_path / "etc" / "passwd").read_text().splitlines()]
    assert user[0] == "logmend"
    assert user[5] == "/var/lib/logmend"
    assert user[6].endswith("nologin")
