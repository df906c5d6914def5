"""Checkpoints: whole or not there, the newest whole one is used, and only good ones are taken by themselves."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.inventory import ServiceSpec
from streams.workers import checkpoints
from streams.workers.checkpoints import KEPT_MAX, NoCheckpointError
from tests.workers.kit import process_spec


@pytest.fixture
def spec(tmp_path: Path) -> ServiceSpec:
    """Return a service with two configuration files."""
    files = (tmp_path / "a.toml", tmp_path / "b.toml")
    for file in files:
        file.write_text("first", "utf-8")
    return process_spec(tmp_path, config_files=tuple(map(str, files)))


@pytest.fixture
def process(spec: ServiceSpec) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that the service's pid file names; it was started after its configuration was written."""
    time.sleep(0.05)
    sleeper = subprocess.Popen(["/bin/sleep", "60"])
    Path(spec.pid_file).write_text(f"{sleeper.pid}\n", "ascii")
    yield sleeper
    sleeper.kill()
    sleeper.wait()


def write(spec: ServiceSpec, text: str) -> None:
    """Write both files."""
    for path in spec.config_files:
        Path(path).write_text(text, "utf-8")


def texts(spec: ServiceSpec) -> list[str]:
    """Return what both files hold."""
    return [Path(path).read_text("utf-8") for path in spec.config_files]


def test_the_newest_checkpoint_is_restored(spec: ServiceSpec, tmp_path: Path) -> None:
    """After two checkpoints a restore gives the second, and what it replaced is set aside."""
    checkpoints.take(spec, tmp_path)
    write(spec, "second")
    checkpoints.take(spec, tmp_path)
    write(spec, "broken")
    checkpoints.restore(spec, tmp_path)
    checkpoints.restore(spec, tmp_path)
    assert texts(spec) == ["second", "second"]
    assert (Path(spec.checkpoint_dir) / "replaced" / "0").read_text("utf-8") == "broken"


def test_an_unchanged_configuration_makes_no_checkpoint(spec: ServiceSpec, tmp_path: Path) -> None:
    """A checkpoint equal to the newest one is not taken."""
    assert checkpoints.take(spec, tmp_path)
    assert not checkpoints.take(spec, tmp_path)


def test_a_damaged_checkpoint_is_passed_over(spec: ServiceSpec, tmp_path: Path) -> None:
    """When one bit of the newest checkpoint is wrong the one before it is restored."""
    checkpoints.take(spec, tmp_path)
    write(spec, "second")
    checkpoints.take(spec, tmp_path)
    blob = Path(spec.checkpoint_dir) / "2" / "1"
    blob.write_bytes(bytes([blob.read_bytes()[0] ^ 1]) + blob.read_bytes()[1:])
    checkpoints.restore(spec, tmp_path)
    assert texts(spec) == ["first", "first"]


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '[{"path": 1}]'])
def test_a_damaged_manifest_is_passed_over(spec: ServiceSpec, tmp_path: Path, manifest: str) -> None:
    """A checkpoint without a readable manifest does not count."""
    checkpoints.take(spec, tmp_path)
    (Path(spec.checkpoint_dir) / "1" / "manifest.json").write_text(manifest, "utf-8")
    with pytest.raises(NoCheckpointError):
        checkpoints.restore(spec, tmp_path)


def test_a_checkpoint_of_other_files_is_not_restored(spec: ServiceSpec, tmp_path: Path) -> None:
    """A manifest that names another file than the declared ones writes nothing anywhere."""
    checkpoints.take(spec, tmp_path)
    manifest = Path(spec.checkpoint_dir) / "1" / "manifest.json"
    entries = json.loads(manifest.read_text("utf-8"))
    entries[0]["path"] = str(tmp_path / "elsewhere")
    manifest.write_text(json.dumps(entries), "utf-8")
    with pytest.raises(NoCheckpointError):
        checkpoints.restore(spec, tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_few_checkpoints_are_kept(spec: ServiceSpec, tmp_path: Path) -> None:
    """Of many checkpoints the newest stay."""
    for number in range(KEPT_MAX + 3):
        write(spec, str(number))
        checkpoints.take(spec, tmp_path)
    left = sorted(int(path.name) for path in Path(spec.checkpoint_dir).iterdir())
    assert left == list(range(4, KEPT_MAX + 4))


def test_a_missing_file_makes_no_checkpoint(spec: ServiceSpec, tmp_path: Path) -> None:
    """When a declared file is not there nothing is taken."""
    Path(spec.config_files[1]).unlink()
    with pytest.raises(NoCheckpointError):
        checkpoints.take(spec, tmp_path)


@pytest.mark.parametrize("when", ["take", "restore"])
def test_a_link_is_not_followed(spec: ServiceSpec, tmp_path: Path, when: str) -> None:
    """A configuration file that is a link is neither read nor written through."""
    checkpoints.take(spec, tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret", "utf-8")
    Path(spec.config_files[0]).unlink()
    Path(spec.config_files[0]).symlink_to(secret)
    with pytest.raises(NoCheckpointError):
        (checkpoints.take if when == "take" else checkpoints.restore)(spec, tmp_path)
    assert secret.read_text("utf-8") == "secret"


def test_a_good_configuration_is_kept(spec: ServiceSpec, tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    """What a service was started with is taken."""
    assert checkpoints.take_if_good(spec, tmp_path)


def test_a_configuration_that_is_newer_than_the_process_is_not_kept(
    spec: ServiceSpec, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    """A file written after the service's start was never proved by it, so it is not taken."""
    time.sleep(0.05)
    write(spec, "never tried")
    assert not checkpoints.take_if_good(spec, tmp_path)
    assert checkpoints.newest(spec, tmp_path) is None


def test_a_mode_that_is_newer_than_the_process_is_not_kept(
    spec: ServiceSpec, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    """A file whose mode was changed after the service's start is not what it was started with."""
    time.sleep(0.05)
    Path(spec.config_files[0]).chmod(0o400)
    assert not checkpoints.take_if_good(spec, tmp_path)


def test_a_service_that_is_down_proves_nothing(spec: ServiceSpec, tmp_path: Path) -> None:
    """Without a process nothing is taken."""
    assert not checkpoints.take_if_good(spec, tmp_path)
