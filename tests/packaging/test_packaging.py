"""What is built and installed is complete, ours alone, and the same everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("streams", "schemas", "analytics", "lab")
DATA_SUFFIXES = {".avsc", ".json", ".toml", ".sql", ".gz", ".py", ".typed"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel from the tree and return the names of the files in it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[str]:
    """Return the files of the rooms that are under version control."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *ROOMS]
    listed = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout.decode()
    return [name for name in listed.split("\0") if name]


def test_the_wheel_holds_every_file_of_the_rooms(wheel: list[str]) -> None:
    """Code, schemas, views, catalogue and the demo's lines are in the wheel, none is forgotten."""
    wanted = {name for name in tracked() if Path(name).suffix in DATA_SUFFIXES and (ROOT / name).exists()}
    assert {"schemas/decision.v1.avsc", "schemas/released.json", "streams/catalogue/strategies.toml"} <= wanted
    assert wanted - set(wheel) == set()


def test_the_wheel_holds_only_the_rooms(wheel: list[str]) -> None:
    """No test, benchmark or stray file is installed on users' machines."""
    tops = {name.split("/", 1)[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)


def test_the_wheel_holds_licence_and_notice(wheel: list[str]) -> None:
    """Apache-2.0 asks for both."""
    assert {Path(name).name for name in wheel if ".dist-info/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_names_of_the_rooms_are_ours_alone() -> None:
    """No other installed distribution brings a top-level package of the same name."""
    others = {
        (distribution.name, file.parts[0])
        for distribution in distributions()
        if distribution.name != "logmend"
        for file in distribution.files or []
        if file.parts[0] in ROOMS
    }
    assert others == set()


def test_the_lock_pins_every_dependency_with_hashes_and_no_address() -> None:
    """What the project asks for is in the lock, at one version, with hashes, and nothing says where from."""
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==\S+(?: ; [^\\\n]+)? \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    lines = [line for line in lock.splitlines() if line and not line.startswith(("#", "    --hash="))]
    asked = [*project()["project"]["dependencies"], *project()["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=~! ]", entry, maxsplit=1)[0].lower().replace("_", "-") for entry in asked}
    assert len(pinned) == len(lines)
    assert names - set(pinned) == set()
    assert "://" not in lock


def pins(lock: str) -> dict[str, str]:
    """Return name and version of everything in a lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_image_is_built_from_the_same_versions() -> None:
    """The lock of the image is the developers' lock less what only developers need."""
    everything, runtime = pins("requirements.lock"), pins("deploy/runtime.lock")
    assert runtime.items() < everything.items()
    assert "pytest" not in runtime
    assert "faust-streaming" in runtime


def test_what_we_override_privately_is_pinned_exactly() -> None:
    """Faust, mode and aiokafka come at one version only: the transport overrides their private attributes."""
    exact = {entry.split("==")[0] for entry in project()["project"]["dependencies"] if "==" in entry}
    assert {"faust-streaming", "mode-streaming", "aiokafka"} <= exact


@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
def test_a_skipped_test_fails_where_everything_is_required(tmp_path: Path, required: str, status: int) -> None:
    """In continuous integration nothing is silently left out."""
    (tmp_path / "test_skips.py").write_text("import pytest\n\ndef test_x():\n    pytest.skip('no tool')\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    environment = {**os.environ, "LOGMEND_REQUIRE_ALL": required, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout.decode()
