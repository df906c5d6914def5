"""Finds a JDK, brings the jars and compiles ``W1.java``, once for a version of it; says what stands against that.

Run as a module it does the work, in a process of its own so that a repository that does not answer can be given up on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import hyperscan

from streams.runtime.jars import FETCH_TIMEOUT_S, KAFKA

SOURCE: Final = Path(__file__).with_name("W1.java")
RELEASE: Final = 17
VECTORSCAN: Final = "5.4.12"
"""The version that compiled Logmend's databases, which no other one reads: that of the wheel ``hyperscan``."""
CLASS_PATH: Final = "class-path"

_ADVICE: Final = (
    f"install a JDK of {RELEASE} or later, so that javac is on the PATH, and let jgo reach a Maven repository "
    "(a mirror goes into ~/.config/jgo.conf as [repositories] central = URL)"
)


@cache
def missing() -> str:
    """Build what is not built yet; return in a line what has to be done for it, "" when all is there."""
    if not shutil.which("javac"):
        return _ADVICE
    if f"Version: {VECTORSCAN} " not in _version():
        return f"it needs a wheel hyperscan with Vectorscan {VECTORSCAN}, and this one says {_version()}"
    if (built() / CLASS_PATH).is_file():
        return ""
    command = [sys.executable, "-m", "benchmarks.engines.kafka_streams.building"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"{_ADVICE}: no answer in {FETCH_TIMEOUT_S} s"
    lines = done.stderr.strip().splitlines()
    return f"{_ADVICE}: {lines[-1][:200] if lines else done.returncode}" if done.returncode else ""


def _version() -> str:
    """Return what a database of the wheel's says of itself, as bytes are printed."""
    database = hyperscan.Database()
    database.compile(expressions=[b"any"])
    return str(database.info())


def java() -> Path:
    """Return the Java that comes with the compiler."""
    return Path(shutil.which("javac") or "javac").resolve().with_name("java")


def built() -> Path:
    """Return the directory of the classes and of ``CLASS_PATH``: one for each version of source and jars."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    named = hashlib.sha256("\n".join([*_coordinates(), SOURCE.read_text()]).encode()).hexdigest()[:16]
    return Path(base) / "logmend" / "kafka-streams" / named


def _coordinates() -> tuple[str, ...]:
    """Name the jars: Kafka Streams of the embedded broker's version, and Vectorscan's classes and library."""
    systems = {"Linux": "linux", "Darwin": "macosx", "Windows": "windows"}
    machine = {"x86_64": "x86_64", "AMD64": "x86_64"}.get(platform.machine(), "arm64")
    native = f"com.gliwka.hyperscan:native:{VECTORSCAN}-2.0.4"
    streams = f"org.apache.kafka:kafka-streams:{KAFKA.rsplit(':', 1)[1]}"
    return streams, native, f"{native}:{systems.get(platform.system(), 'linux')}-{machine}"


def _build() -> None:
    import jgo  # noqa: PLC0415 - only this process needs it
    from jgo.config import GlobalSettings  # noqa: PLC0415 - only this process needs it

    found = jgo.build("+".join(_coordinates()), repositories=GlobalSettings.load().repositories)
    jars = os.pathsep.join(str(jar) for jar in found.all_jars)
    built().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=built().parent))
    command = ["javac", "--release", str(RELEASE), "-encoding", "UTF-8", "-d", str(made), "-cp", jars, str(SOURCE)]
    try:
        subprocess.run(command, check=True)
        (made / CLASS_PATH).write_text(os.pathsep.join([str(built()), jars]))
        with suppress(OSError):  # another process was faster, and made the same
            made.rename(built())
    finally:
        shutil.rmtree(made, ignore_errors=True)


if __name__ == "__main__":
    _build()
