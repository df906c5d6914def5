"""``python -m tests.replaying``: recomputes a log under several hash seeds and Pythons, and compares what they say.

python -m tests.replaying                          a log of 2 000 random facts, recorded for this
python -m tests.replaying --data-dir DIRECTORY     the log of a fleet, as LOGMEND_DATA_DIR names it

Runs ``logmend replay --verify`` under three seeds of hashes with the Python that runs this, and with every other one
from 3.11 on that is found: on the path, of pyenv, of uv. Each of those gets a virtual environment of its own with what
the product needs (``deploy/runtime.lock``), for as long as this takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.analytics.archive import archive_in_stages
from tests.analytics.history import wander

HASH_SEEDS: Final = ("0", "1", "4242")
FACTS: Final = 2_000
STAGES: Final = 20
ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "deploy" / "runtime.lock"
OLDEST: Final = (3, 11)
PLACES: Final = (".pyenv/versions/*/bin/python3", ".local/share/uv/python/*/bin/python3")
"""Where pyenv and uv keep Pythons, below the home directory."""
ASK_VERSION: Final = "import sys, venv, ensurepip; print(*sys.version_info[:3], sep='.')"


class Said(Struct, frozen=True):
    """What one interpreter said of the log, and whether it found nothing."""

    ok: bool
    text: str


def replayed(python: Path, data_dir: Path, hash_seed: str) -> Said:
    """Run ``logmend replay --verify`` on the log in a data directory."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": str(ROOT),
        "LOGMEND_DATA_DIR": str(data_dir),
    }
    command = [str(python), "-m", "streams.cli", "replay", "--verify"]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
    return Said(done.returncode == 0, (done.stdout + done.stderr).strip())


def version_of(python: Path) -> tuple[int, ...] | None:
    """Return the version of a Python; None when it is none, or has no virtual environments."""
    try:
        said = subprocess.run([python, "-c", ASK_VERSION], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(part) for part in said.split("."))


def others() -> dict[tuple[int, ...], Path]:
    """Return one Python of each minor version from 3.11 on that is present, but for ours."""
    names = [f"python{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], OLDEST[1] + 9)]
    directories = os.environ.get("PATH", "").split(os.pathsep)
    paths = [Path(directory) / name for directory in directories for name in names]
    paths += [path for place in PLACES for path in sorted(Path.home().glob(place))]
    found: dict[tuple[int, ...], Path] = {}
    for path in paths:
        version = version_of(path) if path.exists() else None
        if version and OLDEST <= version[:2] != sys.version_info[:2]:
            found.setdefault(version[:2], path)
    return dict(sorted(found.items()))


def equipped(python: Path, directory: Path) -> Path | str:
    """Make an environment with what the product needs; return its Python, or why there is none."""
    pip = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--require-hashes", "--requirement", str(LOCK)]
    own = directory / "bin" / "python"
    for command in ([str(python), "-m", "venv", str(directory)], [str(own), *pip]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    return own


def recorded(data_dir: Path) -> None:
    """Record a log of random facts."""
    data_dir.mkdir(parents=True)
    asyncio.run(archive_in_stages(wander(seed=9, facts=FACTS), data_dir / "log", STAGES))


def pythons(scratch: Path) -> Iterator[tuple[str, Path | str]]:
    """Yield each version with a Python that has what it takes, or with why it has not."""
    yield ".".join(map(str, sys.version_info[:3])), Path(sys.executable)
    for version, path in others().items():
        yield ".".join(map(str, version)), equipped(path, scratch / "-".join(map(str, version)))


def run(data_dir: Path, scratch: Path) -> int:
    """Replay under every seed with every Python, a line each; 1 when one found something or they disagree."""
    said: set[Said] = set()
    versions = 0
    failed = False
    for version, python in pythons(scratch):
        if isinstance(python, str):
            print(f"Python {version}: can't be equipped: {python}")  # noqa: T201 - this command's output
            failed = True
            continue
        versions += 1
        for seed in HASH_SEEDS:
            found = replayed(python, data_dir, seed)
            said.add(found)
            print(f"Python {version}, PYTHONHASHSEED={seed}: {found.text}")  # noqa: T201 - as above
    if versions == 1 and not failed:
        print("no second Python from 3.11 on is present")  # noqa: T201 - as above
    agreed = len(said) == 1 and all(one.ok for one in said)
    print(f"{'identical' if agreed else 'NOT IDENTICAL'} under {len(HASH_SEEDS)} hash seeds, {versions} Pythons")  # noqa: T201 - as above
    return int(failed or not agreed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.replaying", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="whose log is replayed; without it one is recorded")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="logmend-replaying-") as scratch:
        data_dir = given.data_dir.absolute() if given.data_dir else Path(scratch) / "data"
        if not given.data_dir:
            recorded(data_dir)
        return run(data_dir, Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
