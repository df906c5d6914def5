"""The benchmark of steps measures what it says: the same lines in every shape, and each step of the way."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks import steps
from benchmarks.lines import generate
from streams.ingest.slicer import Slicer
from streams.topics import Topics

LINES = 300


@pytest.mark.parametrize("make", [steps.as_json, steps.as_text, steps.as_syslog, steps.as_otlp])
def test_a_shape_has_all_lines(make: steps.Make) -> None:
    """None is rejected, and the steps run over as many lines as the cut finds."""
    shape = make(list(generate(LINES, steps.RULES)))
    cut = Slicer(steps.RULES, Topics()).cut("logs", 0, 1, shape.records, 0)
    assert cut.dead == ()
    assert cut.lines == len(shape.read) == LINES


def test_every_step_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """All shapes go through the same steps behind their own, and what no step explains is said."""
    assert steps.main(["--lines", str(LINES), "--runs", "1", "--json"]) == 0
    costs = msgspec.json.decode(capsys.readouterr().out, type=list[steps.Cost])
    by_shape = {
        shape: [cost.step for cost in costs if cost.shape == shape] for shape in ("json", "text", "syslog", "otlp")
    }
    common = by_shape["text"][1:]
    assert {"scan", "template", "redact", "build slices", "encode slices", "encode evidence", "other", "cut"} <= {
        *common
    }
    assert all(names[-len(common) :] == common for names in by_shape.values())
