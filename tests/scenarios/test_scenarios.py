"""Golden scenarios: what is decided, and why, in files that people read. Rewrite with ``REWRITE_SCENARIOS=1``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.core.events import HEALTH_METRICS, Decision
from streams.core.kinds import FIGURES
from tests.scenarios.script import Stage, run

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    """Every line of a scenario decides what its file says, to the byte; if not meant, raise EPOCH and rewrite."""
    written = path.read_text()
    really = run(written)
    if os.environ.get("REWRITE_SCENARIOS"):
        path.write_text(really)
    assert really == written


def test_every_figure_that_is_written_is_explained() -> None:
    """The figures of all decisions of all scenarios are in the table of figures, or metrics in their own unit."""
    written = {one.name for path in SCRIPTS for decision in _decided(path) for one in decision.figures}
    assert {"phase", "score", "expected_ms", "surprise"} <= written
    assert written - set(HEALTH_METRICS) <= set(FIGURES)


def _decided(path: Path) -> list[Decision]:
    stage = Stage()
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", "  ", "chain ")):
            stage.play(line.split())
    return stage.world.decisions


def test_scenarios_are_there() -> None:
    """The directory holds scenarios, so the test above can fail."""
    assert len(SCRIPTS) >= 6
