"""What tests of several rooms share: one embedded broker for the session, topics of its own for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streams.runtime.broker import EmbeddedBroker
from streams.settings import PREFIX, Settings

REQUIRE_ALL = bool(os.environ.get("LOGMEND_REQUIRE_ALL"))
"""Set where every tool is there (``.ci/run``): a test that skips itself has failed."""

FORMATTED = ("meta.properties", "bootstrap.checkpoint")
"""All that formatting leaves in a Kafka directory; the broker only reads them."""

MEMORY = Path("/dev/shm")
MEMORY_FREE_MIN = 1 << 30

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes says something of the machine, and of who else uses it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"LOGMEND_REQUIRE_ALL is set, and this was skipped: {report.longrepr}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> None:
    """Remove what the developer's shell exports: tests give their settings themselves."""
    for name in (*Settings.model_fields, "config"):
        os.environ.pop(PREFIX + name.upper(), None)


@pytest.fixture(scope="session")
def broker_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one embedded broker as long as the session lasts; its ``host:port``."""
    broker = EmbeddedBroker(Settings(data_dir=tmp_path_factory.mktemp("broker")))
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(broker.start())
        yield broker.address
        loop.run_until_complete(broker.stop())
    finally:
        broker.kill()
        loop.close()


@pytest.fixture(scope="session")
def format_kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the first Kafka directory that a test had formatted is kept for those after it."""
    return tmp_path_factory.mktemp("formatted")


@pytest.fixture
def formatted(tmp_path: Path, format_kept: Path) -> Iterator[Path]:
    """Return a data directory for a broker of this test's own, formatted as the session's first such test had it done.

    Formatting takes a Java of its own, 1.5 s of processor time; ``tests/broker`` starts unformatted ones too.
    """
    data = tmp_path / "kafka" / "data"
    if known := [name for name in FORMATTED if (format_kept / name).exists()]:
        data.mkdir(parents=True)
        for name in known:
            shutil.copy(format_kept / name, data)
    yield tmp_path
    if not known:
        for path in (data / name for name in FORMATTED):
            if path.exists():
                shutil.copy(path, format_kept)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """Return an empty directory in memory where there is room, for tests that ``fsync`` often (20 ms each on disk).

    None of them pulls a plug: a machine's death is played by a disk that forgets. No service may be declared in there:
    workers touch nothing below /dev.
    """
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MEMORY_FREE_MIN:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="logmend-", dir=MEMORY, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def broker(broker_address: str, tmp_path: Path) -> Settings:
    """Return settings on the session's broker with a fleet, log topics and a data directory of this test's own."""
    fleet = f"t{uuid.uuid4().hex[:12]}"
    return Settings(
        brokers=broker_address,
        fleet=fleet,
        logs=(f"{fleet}.logs",),
        metrics=(f"{fleet}.metrics",),
        data_dir=tmp_path,
        source_partitions=4,
        host="test-host",
    )
