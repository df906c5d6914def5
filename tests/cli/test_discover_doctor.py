"""What is drafted can be applied, and what doctor calls bad is bad."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
import pytest
from click.testing import CliRunner

from analytics.budget import used_bytes
from streams.cli import doctor, files, main, services, steering
from streams.core.config import Inventory
from streams.core.directory import Directory
from streams.core.inventory import ServiceSpec
from streams.settings import Settings
from tests.analytics.archive import archive
from tests.analytics.history import History

HOSTILE = 'x"]\n[[services]]\nname = "\x7f\x1b[2Jé'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory in whose log three services spoke; one is in the inventory."""
    history = History()
    history.begin()
    for name in ("shop", "sleepy", HOSTILE):
        history.see(name, "process_crash")
    asyncio.run(archive(history, tmp_path / "log"))
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LOGMEND_HOST", "here")
    monkeypatch.chdir(tmp_path)
    known = Directory(inventory=Inventory(services=(ServiceSpec(name="shop", host="a"),)))
    monkeypatch.setattr(services, "directory_now", lambda _settings: known)
    return tmp_path


class Sleepy(NamedTuple):
    """A process that is called like a service and listens on a port."""

    pid: int
    port: int


@pytest.fixture
def sleepy(tmp_path: Path) -> Iterator[Sleepy]:
    """Run such a process."""
    code = (
        "import socket, time\n"
        "open('/proc/self/comm', 'w').write('sleepy')\n"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        yield Sleepy(process.pid, int(process.stdout.readline()))
        process.kill()


def test_a_draft_names_what_was_seen_and_is_not_known(home: Path) -> None:
    """Services whose lines were read are drafted in mode observe; what is in the inventory already is left out."""
    result = CliRunner().invoke(main, ["services", "discover"])
    assert result.exit_code == 0, result.output
    drafted = msgspec.convert(tomllib.loads(result.stdout), Inventory).services
    assert {(service.name, service.mode, service.host) for service in drafted} == {
        ("sleepy", "observe", "here"),
        (HOSTILE, "observe", "here"),
    }


def test_a_draft_fills_in_what_a_process_shows(home: Path, sleepy: Sleepy) -> None:
    """Where a process has the service's name, its command line, directory and port are in the draft."""
    result = CliRunner().invoke(main, ["services", "discover"])
    drafted = {s.name: s for s in msgspec.convert(tomllib.loads(result.stdout), Inventory).services}
    found = drafted["sleepy"]
    assert (found.argv, found.cwd, found.port) == (tuple(psutil.Process(sleepy.pid).cmdline()), str(home), sleepy.port)


def test_a_draft_can_be_applied_as_it_is(home: Path, tmp_path: Path) -> None:
    """It is a file that apply accepts, whatever the services call themselves."""
    path = tmp_path / "services.toml"
    path.write_text(CliRunner().invoke(main, ["services", "discover"]).stdout)
    assert isinstance(files.read(path), Inventory)


def states(check: str, settings: Settings) -> set[str]:
    """Return the states of what a check finds."""
    return {finding.state for finding in getattr(doctor, check)(settings)}


def test_a_data_directory_that_is_a_file_is_bad(tmp_path: Path) -> None:
    """Where nothing can be kept, Logmend can't run, and the setting is named."""
    path = tmp_path / "file"
    path.touch()
    (finding,) = doctor.data_directory(Settings(data_dir=path))
    assert finding.state == doctor.BAD
    assert "set LOGMEND_DATA_DIR" in finding.text


def test_a_data_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Doctor looks at the nearest directory above it, and leaves everything as it is."""
    (finding,) = doctor.data_directory(Settings(data_dir=tmp_path / "deeper" / "down"))
    assert finding.text.endswith(f"{tmp_path}/deeper/down, which will be made")
    assert list(tmp_path.iterdir()) == []


def test_little_room_is_worth_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that will soon be full works for now."""
    monkeypatch.setattr(doctor, "DISK_FREE_MIN", 1 << 62)
    assert states("data_directory", Settings(data_dir=tmp_path)) == {doctor.WARNING}


@pytest.mark.parametrize(("share", "state"), [(0.5, doctor.GOOD), (0.9, doctor.WARNING), (2.0, doctor.WARNING)])
def test_a_data_directory_near_its_budget_is_worth_a_look(tmp_path: Path, share: float, state: str) -> None:
    """From four fifths of LOGMEND_DISK_BUDGET_GB on a person is told; without a limit there is nothing to tell."""
    (tmp_path / "data").write_bytes(b"x" * 1_000_000)
    most = used_bytes(tmp_path) / 1e9 / share
    assert states("budget", Settings(data_dir=tmp_path, disk_budget_gb=most)) == {state}
    assert states("budget", Settings(data_dir=tmp_path)) == {doctor.GOOD}


def test_little_memory_is_worth_a_look_where_the_broker_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Kafka elsewhere the same memory is enough."""
    monkeypatch.setattr(doctor, "MEMORY_MIN", 1 << 62)
    assert states("memory", Settings(data_dir=tmp_path)) == {doctor.WARNING}
    assert states("memory", Settings(data_dir=tmp_path, brokers="a:1")) == {doctor.GOOD}


def test_a_missing_package_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed, or in a version that was never tried, is named."""
    monkeypatch.setattr(doctor, "requires", lambda _name: ["no-such-package>=1", "click>=1000", "msgspec"])
    monkeypatch.setattr(doctor, "version", lambda name: "1.0" if name == "logmend" else _version(name))
    found = {finding.text.split()[0]: finding.state for finding in doctor.packages(Settings(data_dir=tmp_path))}
    assert found == {"no-such-package>=1": doctor.BAD, "click": doctor.BAD, "logmend": doctor.GOOD}


def _version(name: str) -> str:
    if name == "no-such-package":
        raise PackageNotFoundError(name)
    return "8.0"


def test_a_taken_port_is_worth_a_look(tmp_path: Path, sleepy: Sleepy) -> None:
    """Something listens where metrics are to be served."""
    found = list(doctor.ports(Settings(data_dir=tmp_path, metrics_port=sleepy.port)))
    assert [finding.state for finding in found] == [doctor.WARNING, doctor.GOOD]


def test_what_the_host_does_not_permit_is_worth_a_look(tmp_path: Path) -> None:
    """Each thing that may be done to a service of this host is a line; what may not be done stands out."""
    path = tmp_path / "services.toml"
    path.write_text(
        f'[[services]]\nname = "shop"\nhost = "here"\ncaches = ["{tmp_path}", "{tmp_path}/nowhere"]\n'
        '[[services]]\nname = "far"\nhost = "elsewhere"\ncaches = ["/nowhere"]\n'
    )
    found = list(doctor.host(Settings(data_dir=tmp_path, host="here", services=path)))
    assert [(one.state, one.text) for one in found if one.text.startswith(("shop", "far"))] == [
        (doctor.GOOD, f"shop: empty {tmp_path}: yes ({tmp_path} is writable)"),
        (doctor.WARNING, f"shop: empty {tmp_path}/nowhere: no ({tmp_path}/nowhere is no directory)"),
    ]


def test_a_host_over_its_limits_is_worth_a_look(tmp_path: Path) -> None:
    """A file system that is fuller than the setting allows is named."""
    found = list(doctor.host(Settings(data_dir=tmp_path, host_disk_percent_max=0, host_memory_percent_max=100)))
    states = {one.text.split(":")[0].split()[0]: one.state for one in found}
    assert (states["disk"], states["memory"]) == (doctor.WARNING, doctor.GOOD)


def test_doctor_exits_with_1_for_what_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts learn from the status, people from the line."""
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(path))
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    assert [row["check"] for row in json.loads(result.stdout) if row["state"] == "bad"] == ["data"]


def test_the_name_of_the_author_is_this_user_at_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who says something is on record even where nobody gives a name."""
    monkeypatch.setenv("LOGNAME", "ada")
    assert steering.named("", Settings(data_dir=tmp_path, host="h")) == "ada@h"
    assert steering.named("bob", Settings(data_dir=tmp_path, host="h")) == "bob"


def test_doctor_looks_at_the_advisors_settings(tmp_path: Path) -> None:
    """No model is good, and one that can be asked; one that lacks its address, price or key is bad. None is asked."""
    base = Settings(data_dir=tmp_path)
    own = {"advise_provider": "openai", "advise_model": "m", "advise_url": "http://127.0.0.1:1/v1"}
    free = {"advise_usd_in": 0.0, "advise_usd_out": 0.0}
    assert states("advisors", base) == {doctor.GOOD}
    assert states("advisors", base.model_copy(update={**own, **free})) == {doctor.GOOD}
    assert states("advisors", base.model_copy(update=own)) == {doctor.BAD}
    assert states("advisors", base.model_copy(update={"advise_provider": "anthropic"})) == {doctor.BAD}
    assert states("advisors", base.model_copy(update={"advise_provider": "command"})) == {doctor.BAD}
