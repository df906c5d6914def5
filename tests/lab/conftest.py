"""A running site of the lab, stopped at the end of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control
from lab.health import wait_until
from lab.site import SERVICES, Site

START_S = 15.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Three services that serve."""
    made = Site.create(tmp_path / "lab", "testhost")
    try:
        control.start_all(made)
        for service in SERVICES:
            assert wait_until(made, service, healthy=True, timeout_s=START_S), made.log_file(service).read_text()
        yield made
    finally:
        control.stop_all(made)
