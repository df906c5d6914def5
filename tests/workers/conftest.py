"""Fixtures of the pool's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.workers.results import Surroundings
from tests.workers.fleet import Fleet
from tests.workers.kit import Executor, end_services


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory for services; what was started for them is killed afterwards."""
    yield tmp_path
    end_services(tmp_path)


@pytest.fixture(scope="session")
def started() -> Iterator[list[Executor]]:
    """Yield the workers that the session's tests have started, to be ended with it."""
    workers: list[Executor] = []
    yield workers
    for worker in workers:
        worker.__exit__()


@pytest.fixture
def executor(root: Path, started: list[Executor]) -> Executor:
    """Return a real worker process: that of the test before, if it left it alive and with nothing to do."""
    if not started or not started[-1].idle:
        started.append(Executor(root))
    started[-1].around = Surroundings(checkpoints=str(root / "checkpoints"))
    return started[-1]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Yield a host without a manager yet."""
    made = Fleet(tmp_path)
    yield made
    made.end()
    end_services(tmp_path)
