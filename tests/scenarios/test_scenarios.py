"""Golden scenarios: what is decided, and why, in files that people read. Rewrite with ``REWRITE_SCENARIOS=1``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scenarios.script import run

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    """Every line of a scenario decides what its file says, to the byte; if not meant, raise EPOCH and rewrite."""
    written = path.read_text()
    played = run(written)
    if os.environ.get("REWRITE_SCENARIOS"):
        path.write_text(played)
    assert played == written


def test_scenarios_are_there() -> None:
    """The directory holds scenarios, so the test above can fail."""
    assert len(SCRIPTS) >= 6
