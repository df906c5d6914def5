"""The commands that score detection, on small data of the real layouts, and our detector against what it must beat."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analytics.evaluation import baselines, data, scoring_faults, scoring_nab, scoring_servers
from analytics.evaluation.data import Fault, Floats, Pod, Server
from streams.cli import main
from streams.core.errors import InputError

CHANCE = np.random.default_rng(7)
MINUTE_MS = 60_000


def write(path: Path, text: str) -> None:
    """Write a compressed file, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()))


def stamp(minutes: int) -> str:
    """Return a readable time so many minutes into a day."""
    return f"2022-08-{22 + minutes // 1440:02d} {minutes // 60 % 24:02d}:{minutes % 60:02d}:00"


@pytest.fixture(scope="module")
def nab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three series of noise, each with one spike in a window."""
    directory = tmp_path_factory.mktemp("nab")
    windows = {}
    for one in range(3):
        values = CHANCE.random(1_200)
        values[800 + 50 * one] = 20.0
        rows = "".join(f"{stamp(at)},{value}\n" for at, value in enumerate(values))
        write(directory / f"real/series_{one}.csv.gz", "timestamp,value\n" + rows)
        windows[f"real/series_{one}.csv"] = [[stamp(790 + 50 * one) + ".000000", stamp(830 + 50 * one) + ".000000"]]
    (directory / "windows.json").write_text(json.dumps(windows))
    return directory


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two servers of five metrics, each with an incident in three of them."""
    directory = tmp_path_factory.mktemp("servers")
    for name in ("machine-1-1", "omi-1"):
        test, label = CHANCE.random((600, 5)) * 0.2, np.zeros(600, dtype=int)
        test[300:330, :3] += 0.7
        label[300:330] = 1
        for part, rows in (("train", CHANCE.random((800, 5)) * 0.2), ("test", test), ("label", label[:, None])):
            write(
                directory / f"{name}_{part}.csv.gz", "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"
            )
    return directory


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pods for half a day; the processor of one is busy for five minutes."""
    directory = tmp_path_factory.mktemp("shop")
    lines = [",".join(("Time", "TimeStamp", "PodName", *data.POD_METRICS))]
    for minute in range(720):
        for pod in ("cart-1", "mail-1"):
            values = 10 + CHANCE.random(len(data.POD_METRICS))
            values[[0, 6, 7]] += 90 * (pod == "cart-1" and 400 <= minute < 405)
            lines.append(",".join((stamp(minute), "0", pod, *map(str, values))))
    write(directory / "2022-08-22_faults.csv.gz", "\n".join(lines) + "\n")
    fault = {"inject_time": stamp(400), "inject_pod": "cart-1", "inject_type": "cpu_contention"}
    (directory / "2022-08-22_fault_list.json").write_text(json.dumps([fault]))
    return directory


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("nab", ("standard", "random_standard", "window_precision", "window_recall", "false_alarms_per_day")),
        ("servers", ("segment_recall", "false_alarms_per_server_day", "delay_steps_median", "pr_auc", "vus_pr")),
        ("faults", ("recall_at_1_per_pod_day", "delay_minutes_median", "robust_z_recall_at_1_per_pod_day")),
    ],
)
def test_a_command_prints_its_keys_and_draws(
    command: str, keys: tuple[str, ...], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With --json the keys of the contract are numbers, and the plot is a picture."""
    directory = request.getfixturevalue({"faults": "shop"}.get(command, command))
    plot = tmp_path / "scores.png"
    ran = CliRunner().invoke(main, ["score", command, str(directory), "--json", "--plot", str(plot)])
    assert ran.exit_code == 0, ran.output
    answer = json.loads(ran.stdout)
    assert all(isinstance(answer[key], int | float) for key in keys)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_spikes_are_found_and_chance_finds_nothing(nab: Path) -> None:
    """Each spike is found with a threshold chosen on the other series, and a random detector scores far less."""
    found = scoring_nab.score(nab)
    assert found.window_recall == 1.0
    assert found.standard > 80 > 2 * found.random_standard


def test_incidents_are_found_on_servers(servers: Path) -> None:
    """Every incident raises an alarm with a threshold chosen on the other server, and each detector is measured."""
    found = scoring_servers.score(servers)
    assert found.ours.segment_recall == 1.0
    assert found.ours.vus_pr > 0.8
    assert set(found.others) == {"pca", "kmeans_ad", "isolation_forest"}


def test_a_fault_is_found_by_pod(shop: Path) -> None:
    """The fault is seen within its minutes, and what is no fault raises at most one alarm a pod-day."""
    found = scoring_faults.score(shop)
    assert found.recall_at_1_per_pod_day == 1.0
    assert found.delay_minutes_median <= 5
    assert found.false_alarms_per_pod_day <= 1.0


def pod(score: Floats, *fault_minutes: int) -> scoring_faults.Case:
    """Return a pod with a score a minute, and faults at minutes."""
    at_ms = np.arange(len(score), dtype=np.int64) * MINUTE_MS
    faults = [Fault(minute * MINUTE_MS, "one", "cpu") for minute in fault_minutes]
    return scoring_faults.Case(Pod("one", at_ms, np.zeros((len(score), 1))), faults, score)


def test_an_alarm_that_goes_on_sees_no_second_fault() -> None:
    """A score that stays high sees the first of two faults; the second needs a rise of its own."""
    score = np.zeros(100)
    score[20:60] = 1.0
    assert pod(score, 20, 40).found(1.0).delays == [0.0, None]


def test_an_alarm_always_on_is_worth_nothing() -> None:
    """A score that is high from the first minute on sees no fault."""
    assert pod(np.ones(100), 20, 40).found(0.5).delays == [None, None]


def test_an_alarm_outside_of_faults_is_false() -> None:
    """Rises are false outside of a fault and of ten minutes behind it; those ten minutes apart count apart."""
    score = np.zeros(200)
    score[[28, 100, 104, 150]] = 1.0
    assert pod(score, 20).found(1.0).false_alarms == 2


def test_a_lasting_false_alarm_is_false_again() -> None:
    """On a server an alarm that lasts outside of incidents counts every half hour."""
    server = Server("one", MINUTE_MS, np.zeros((1, 1)), np.zeros((300, 1)), np.zeros(300, dtype=bool))
    assert scoring_servers._false_alarms(server, np.ones(300), 0.5) == 10


@pytest.mark.parametrize("name", list(baselines.OF_SERVERS))
def test_a_baseline_ranks_an_incident_first(name: str) -> None:
    """Each detector that ours is compared with gives its highest score to rows near what is clearly abnormal."""
    rows = np.sin(np.arange(900) / 9)[:, None] * np.ones(4) + CHANCE.random((900, 4)) / 10
    asked = rows[:400].copy()
    asked[200:240, :2] += CHANCE.random((40, 2)) * 8
    score = baselines.OF_SERVERS[name](rows[400:], asked)
    assert len(score) == len(asked)
    assert 160 <= int(score.argmax()) <= 280


def test_a_directory_without_data_is_said() -> None:
    """A place where nothing of the layout is gives one line, not a traceback."""
    with pytest.raises(InputError, match="no file"):
        data.servers(Path(__file__).parent)
