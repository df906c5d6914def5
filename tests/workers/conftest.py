"""Fixtures of the pool's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.fleet import Fleet
from tests.workers.kit import Executor, end_services


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory for services; what was started for them is killed afterwards."""
    yield tmp_path
    end_services(tmp_path)


@pytest.fixture
def executor(root: Path) -> Iterator[Executor]:
    """Yield a real worker process."""
    with Executor(root) as worker:
        yield worker


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Yield a host without a manager yet."""
    made = Fleet(tmp_path)
    yield made
    made.end()
    end_services(tmp_path)
