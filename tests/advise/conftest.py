"""What tests of providers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.advise.providers.keys import KeyFile
from tests.advise.asked import KEY, KINDS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """One of the two wire formats."""
    return str(request.param)


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    """Write a key into a file."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return KeyFile(path)
