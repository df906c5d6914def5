"""A running site of the lab, stopped at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab import control, furnish, outside
from lab.health import wait_until
from lab.site import DEMO_SERVICES, SERVICES, Site

START_S = 60.0


@contextlib.contextmanager
def serving(root: Path, services: Sequence[str]) -> Iterator[Site]:
    """Give a site whose services serve."""
    made = furnish.create(root, "testhost", services)
    peers = outside.started(made)
    try:
        control.start_all(made)
        for service in services:
            assert wait_until(made, service, healthy=True, timeout_s=START_S), made.log_file(service).read_text()
        yield made
    finally:
        control.stop_all(made)
        outside.end(peers)
        furnish.release(made)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Serve with the three services of the demo."""
    with serving(tmp_path / "lab", DEMO_SERVICES) as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve with all services, shared by a module's tests: each leaves them as it found them."""
    with serving(tmp_path_factory.mktemp("whole") / "lab", SERVICES) as made:
        yield made
