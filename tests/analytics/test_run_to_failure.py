"""``score run-to-failure`` as a whole: the core's learner on engines, the negative control, what is printed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("sklearn", reason="needs the dependency group evaluation")

from analytics.evaluation.control import Control, control
from analytics.evaluation.data import POD_METRICS
from analytics.evaluation.engines import NAMES, foreseen, learn, rows, spans_of
from analytics.evaluation.lives import cross_validated, measure
from streams.cli import main
from streams.core.errors import InputError
from streams.core.learner import Regression
from streams.core.prediction import FailurePredictor
from tests.analytics.test_run_to_failure_lives import engine, fleet, written

MINUTE_MS = 60_000
CONTRACT = {
    *("recall", "precision", "false_positive_rate", "pr_auc", "base_rate", "brier", "brier_base", "lead_cycles_median"),
}


def test_the_learner_foresees_wear() -> None:
    """Engines whose one sensor rises before they fail are foreseen by engines of other folds, better than by chance."""
    engines = fleet(15)
    found = measure(engines, cross_validated(engines, foreseen, folds=3))
    assert found.pr_auc > 2 * found.base_rate
    assert found.brier < found.brier_base
    assert found.recall > 0.5
    assert found.false_positive_rate < 0.1


def test_features_come_from_the_past() -> None:
    """The features at a cycle are the same when the engine's later cycles are other ones."""
    one = engine(100)
    spans = spans_of(fleet(3))
    changed = one._replace(sensors=one.sensors.copy())
    changed.sensors[60:] += 50.0
    before, after = (list(rows(each, spans))[:60] for each in (one, changed))
    assert before == after
    assert {len(vector) for vector in before} == {len(NAMES)}


def test_what_is_said_of_a_cycle_was_not_learnt_from_later_ones() -> None:
    """While an engine lives, what is said of its first cycles is the same however it goes on."""
    one = engine(100)
    changed = one._replace(sensors=one.sensors.copy())
    changed.sensors[60:] += 50.0
    spans = spans_of(fleet(3))
    said = []
    for each in (one, changed):
        predictor = FailurePredictor(regression=Regression(len(NAMES)))
        for known in fleet(3):
            learn(predictor, known, spans)
        said.append(learn(predictor, each, spans)[:60].tolist())
    assert said[0] == said[1]


def test_normalisation_is_of_the_training_engines() -> None:
    """Spans are those of the engines that they are learnt from, and a constant sensor has one too."""
    engines = fleet(2)
    engines[0].sensors[:, 7] = engines[1].sensors[:, 7] = 5.0
    spans = spans_of(engines)
    assert (spans[7].least, spans[7].most) == (5.0, 6.0)
    assert spans[3].most == max(float(one.sensors[:, 3].max()) for one in engines)


def pods(directory: Path, *, foretold: bool) -> Path:
    """Write a day of eight pods with an injection each; with ``foretold``, cpu rises five minutes before it."""
    draws = np.random.default_rng(3)
    names = ",".join(("Time", "TimeStamp", "PodName", *POD_METRICS))
    lines, faults = [names], []
    for pod in range(8):
        injected = 60 + 20 * pod
        faults.append({"inject_time": stamp(injected), "inject_pod": f"pod-{pod}", "inject_type": "cpu"})
        for minute in range(240):
            values = draws.normal(50.0, 1.0, len(POD_METRICS))
            values[0] += 10.0 if foretold and injected - 5 <= minute < injected else 0.0
            lines.append(",".join((stamp(minute), "0", f"pod-{pod}", *map(str, values))))
    (directory / "day_faults.csv.gz").write_bytes(packed("\n".join(lines)))
    (directory / "day_fault_list.json").write_text(json.dumps(faults))
    return directory


def stamp(minute: int) -> str:
    """Return the time of a minute of the day."""
    return f"2022-08-22 {minute // 60:02}:{minute % 60:02}:30"


def packed(text: str) -> bytes:
    """Return a text as gzip."""
    return gzip.compress(text.encode())


def test_the_control_finds_a_leak(tmp_path: Path) -> None:
    """Where the metrics do tell an injection beforehand, the control is above chance: it can fail."""
    found = control(pods(tmp_path, foretold=True))
    assert not found.at_chance
    assert found.auc > 0.8


def test_no_control_without_injections(tmp_path: Path) -> None:
    """A day without a quiet minute before an injection can't be a control, and says so."""
    directory = pods(tmp_path, foretold=False)
    (directory / "day_fault_list.json").write_text(
        json.dumps([{"inject_time": stamp(0), "inject_pod": "other", "inject_type": "cpu"}])
    )
    with pytest.raises(InputError, match="no quiet minutes"):
        control(directory)


def run(*arguments: str) -> str:
    """Return what the command prints."""
    result = CliRunner().invoke(main, ["score", "run-to-failure", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    """Return the JSON of engines beside a day on which nothing tells an injection beforehand, and the plot."""
    directory = tmp_path_factory.mktemp("printed")
    engines, day = directory / "engines", directory / "nezha"
    engines.mkdir()
    day.mkdir()
    pods(day, foretold=False)
    found = json.loads(run(str(written(engines, fleet(4))), "--json", "--plot", str(directory / "plot.svg")))
    return found, (directory / "plot.svg").read_text()


def test_the_control_is_at_chance_without_a_leak(printed: tuple[Any, str]) -> None:
    """Where nothing tells an injection beforehand, the control is at chance."""
    found = printed[0]["control"]
    assert found["at_chance"] is True
    assert found["injections"] == 8
    assert found["chance_low"] < 0.5 < found["chance_high"]


def test_the_json(printed: tuple[Any, str]) -> None:
    """The keys of the contract are there, with baselines, folds, calibration and the control beside them."""
    found, plot = printed
    assert set(found) >= CONTRACT
    assert found["always_no"]["accuracy"] == 1 - found["base_rate"]
    assert len(found["folds"]) == found["engines"] == 4
    assert sum(one["cycles"] for one in found["calibration"]) == found["cycles"]
    assert set(found["single_sensor"]) == {"recall", "precision", "false_positive_rate", "pr_auc", "lead_cycles_median"}
    assert set(found["control"]) == {*Control.__struct_fields__, "at_chance"}
    assert plot.startswith("<?xml")


def test_the_text(tmp_path: Path) -> None:
    """The figures, their spread over folds and the baselines are printed; that there is no control is said."""
    text = run(str(written(tmp_path, fleet(4))))
    assert all(
        name in text for name in (*CONTRACT, "always no", "best single sensor", "negative control: no directory")
    )
