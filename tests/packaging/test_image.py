"""The image is built from what is pinned, and runs without privilege."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "Dockerfile").read_text()
STEPS: Final = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\s*\\\n\s*", " ", TEXT).splitlines()
    if line and not line.startswith("#")
]
"""(instruction, what follows it), in order."""


def of(instruction: str) -> list[str]:
    """Return what follows an instruction, each time that it comes."""
    return [rest for name, rest in STEPS if name == instruction]


def runs() -> list[str]:
    """Return every command that is run."""
    return [command.strip() for rest in of("RUN") for command in rest.split("&&")]


def test_images_are_of_one_version() -> None:
    """Both stages begin with the same image, at a version down to its last number and with its distribution."""
    images = {rest.split()[0] for rest in of("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-[a-z]+", images.pop())


def test_it_runs_as_a_user_without_a_name_of_power() -> None:
    """The last stage ends as a user with a number of its own, made in it."""
    last = [name for name, _ in STEPS].index("FROM", 1)
    users = [rest for name, rest in STEPS[last:] if name == "USER"]
    assert users == ["logmend"]
    assert any(re.match(r"useradd --system --uid [1-9]\d+ .*logmend$", command) for command in runs())


@pytest.mark.parametrize("command", [command for command in runs() if " pip " in command or "/pip " in command])
def test_everything_that_is_fetched_has_its_hash_checked(command: str) -> None:
    """A package is taken by its hash, or it is our own, built here with nothing fetched."""
    ours = "--no-build-isolation" in command or command.endswith("/dist/*.whl")
    assert "--require-hashes" in command or (ours and "--no-deps" in command)


def test_nothing_else_is_fetched() -> None:
    """No address, no package manager of the system, no ADD."""
    assert not of("ADD")
    assert not re.search(r"https?://|curl|wget|apt-get|apk ", TEXT)


def test_what_builds_our_wheel_is_locked() -> None:
    """The lines that are taken out of the lock are the build backend and all that it needs, with their hashes."""
    (program,) = re.findall(r"awk '([^']*)' \\\s+requirements.lock", TEXT)
    command = ["awk", program, str(ROOT / "requirements.lock")]
    taken = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    pinned = set(re.findall(r"^([a-z-]+)==\S+ \\\n    --hash=sha256:", taken, re.MULTILINE))
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    needed = [Requirement(one) for one in (backend, *(requires(Requirement(backend).name) or ()))]
    assert pinned == {one.name for one in needed if one.marker is None or one.marker.evaluate()}


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    """Each source is in the repository, and not kept out by .dockerignore, which lets in what it names alone."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for rest in of("COPY") if not rest.startswith("--from")]
    sources = {source for sources in copied for source in sources}
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)


def test_it_begins_with_our_command_and_gets_its_signals() -> None:
    """No shell stands between Docker's SIGTERM and the process."""
    assert [json.loads(rest) for rest in of("ENTRYPOINT")] == [["logmend"]]
    assert [json.loads(rest) for rest in of("CMD")] == [["--help"]]
