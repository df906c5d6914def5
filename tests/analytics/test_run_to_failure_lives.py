"""The protocol of ``score run-to-failure``: who is scored by what, and what the figures mean."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the dependency group evaluation")

from analytics.evaluation.lives import (
    COLUMNS,
    SENSORS,
    Engine,
    Judged,
    cross_validated,
    measure,
    read,
    single_sensor,
    smoothed,
)
from streams.core.errors import InputError


def engine(cycles: int, name: str = "1", wear: float = 1.0, seed: int = 0) -> Engine:
    """Return an engine whose sensor 3 rises over its last 60 cycles; the others are noise."""
    sensors = np.random.default_rng(seed).normal(100.0, 0.5, (cycles, SENSORS))
    left = np.arange(cycles - 1, -1, -1)
    sensors[:, 3] += wear * np.clip(60 - left, 0, None)
    return Engine(name, np.arange(1, cycles + 1), sensors)


def fleet(count: int) -> list[Engine]:
    """Return engines with lives of different lengths."""
    return [engine(90 + 7 * (at % 5), name=str(at), seed=at) for at in range(count)]


def test_what_is_scored() -> None:
    """Cycles with at most 15 left are not scored; those with 16 to 30 left are positive, earlier ones negative."""
    one = engine(100)
    assert one.left[one.scored].min() == 16
    assert sorted(one.left[one.fails].tolist()) == list(range(16, 31))
    assert one.left[one.scored & ~one.fails].min() == 31


def test_figures() -> None:
    """Shares are over scored cycles, the lead time is that of the first alarm, and an engine without one has none."""
    one, other = engine(100), engine(100)
    said = (one.left <= 35).astype(float)
    judged = [Judged(said, said > 0), Judged(np.zeros(100), np.zeros(100, dtype=bool))]
    found = measure([one, other], judged)
    assert found.recall == 0.5
    assert found.precision == 15 / 20
    assert found.false_positive_rate == 5 / 138
    assert found.base_rate == 30 / 168
    assert found.brier == pytest.approx((5 + 15) / 168)
    assert found.lead_cycles_median == 35 / 2


def test_no_engine_is_scored_by_itself() -> None:
    """Each engine is judged once, by a method that learnt from all engines of the other folds and none of its own."""
    seen: list[tuple[set[str], set[str]]] = []

    def method(train: Sequence[Engine], test: Sequence[Engine]) -> list[Judged]:
        seen.append(({one.name for one in train}, {one.name for one in test}))
        return [Judged(np.zeros(len(one.cycles)), np.zeros(len(one.cycles), dtype=bool)) for one in test]

    engines = fleet(23)
    cross_validated(engines, method)
    names = {one.name for one in engines}
    assert all(train | test == names and not train & test for train, test in seen)
    assert sorted(name for _, test in seen for name in test) == sorted(names)


def test_the_sensor_that_wears_is_found() -> None:
    """The best single sensor is the one that rises before failures, and its alarms are few among negatives."""
    engines = fleet(14)
    found = measure(engines, cross_validated(engines, single_sensor))
    assert found.pr_auc > 0.9
    assert found.recall > 0.8
    assert found.false_positive_rate < 0.032


def test_smoothing_looks_back() -> None:
    """A smoothed value is the mean of the last cycles up to now."""
    one = engine(50)
    assert smoothed(one, 4).sensors[9] == pytest.approx(one.sensors[6:10].mean(axis=0))
    assert smoothed(one, 4).sensors[1] == pytest.approx(one.sensors[:2].mean(axis=0))


def written(directory: Path, engines: Sequence[Engine]) -> Path:
    """Write engines as the data set has them: numbers apart by a space, two spaces at the end."""
    lines = [
        " ".join(map(str, (number, cycle, 0.0, 0.0, 100.0, *row))) + "  "
        for number, one in enumerate(engines, start=1)
        for cycle, row in zip(one.cycles.tolist(), one.sensors.round(4).tolist(), strict=True)
    ]
    with gzip.open(directory / "train_X.txt.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    return directory


def test_reading(tmp_path: Path) -> None:
    """Engines come back as they were written."""
    engines = fleet(3)
    found = read(written(tmp_path, engines))
    assert [len(one.cycles) for one in found] == [len(one.cycles) for one in engines]
    assert found[1].sensors == pytest.approx(engines[1].sensors, abs=1e-4)


def test_other_rows_are_refused(tmp_path: Path) -> None:
    """A file of other columns is the user's mistake and is named."""
    (tmp_path / "train_X.txt").write_text("1 2 3\n1 3 4\n")
    with pytest.raises(InputError, match=rf"train_X.txt: expected {COLUMNS} numbers"):
        read(tmp_path)


def test_words_are_refused(tmp_path: Path) -> None:
    """A file that holds no numbers is the user's mistake and is named."""
    (tmp_path / "train_X.txt").write_text("unit cycle\n")
    with pytest.raises(InputError, match=r"train_X.txt: could not convert"):
        read(tmp_path)


def test_one_engine_is_not_enough(tmp_path: Path) -> None:
    """A single engine can't be scored by others."""
    with pytest.raises(InputError, match="1 engines"):
        read(written(tmp_path, fleet(1)))
