"""``logmend score wear``: what the fold predicts on recorded runs of services that wear out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from analytics.evaluation.wear import Run, Said, lead_ms, load
from streams.cli import main
from streams.core.errors import InputError

BEGIN_MS = 1_700_000_000_000


def run(name: str, *, fails: bool, seconds: int = 160) -> Run:
    """Return a run whose memory grows from 20 % on, to its end if it fails, and else not at all."""
    records: list[dict[str, float | int | str]] = []
    for second in range(seconds):
        memory = 20.0 + (max(second - 40, 0) * 80.0 / (seconds - 50) if fails else 0.0)
        works = memory < 100.0
        records.append(
            {
                "ts": BEGIN_MS + second * 1000,
                "service": name,
                "memory": min(memory, 100.0) + second % 3 * 0.1,
                "availability": 100.0 if works else 0.0,
            }
        )
    failed = next((int(one["ts"]) for one in records if not one["availability"]), 0)
    return Run(name=name, wear="memory", course="", queue_limit=0, failed_ms=failed, records=tuple(records))


def written(path: Path, runs: list[Run]) -> Path:
    """Write runs as the recorder does."""
    path.write_bytes(gzip.compress(b"\n".join(map(msgspec.json.encode, runs))))
    return path


def test_a_growing_memory_is_foretold_and_a_constant_one_is_not(tmp_path: Path) -> None:
    """Failures of runs that were not learnt from are foretold, with few false alarms, and better than the base rate."""
    runs = [run(f"memory-{number}", fails=number % 2 == 0) for number in range(40)]
    given = str(written(tmp_path / "wear.jsonl.gz", runs))
    answer = CliRunner().invoke(main, ["score", "wear", given, "--json"])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.output)
    assert found["failures"] == 20
    assert found["warned"] == {"all": 1.0, "memory": 1.0}
    assert found["false_positive_rate"] < 0.05
    assert found["accuracy"] > found["always_no_accuracy"] + 0.05
    assert found["brier"] < 0.7 * found["brier_base"]


def test_a_file_of_something_else_is_refused_in_one_line(tmp_path: Path) -> None:
    """What is no recording is an error that says how to make one."""
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress(b"hello\n"))
    with pytest.raises(InputError, match=r"lab\.recording"):
        load(other)


@pytest.mark.parametrize(
    ("alarms", "lead"),
    [
        ({30: True, 60: True, 90: True}, 70),
        ({30: True, 60: False, 90: True}, 10),
        ({30: True, 60: False}, -1),
        ({97: True}, -1),
    ],
)
def test_only_the_alarm_that_lasts_and_comes_in_time_is_a_warning(alarms: dict[int, bool], lead: int) -> None:
    """One that was taken back, or came in the last five seconds, is none; the lead is from when it was raised."""
    failing = msgspec.structs.replace(run("memory-1", fails=True), failed_ms=BEGIN_MS + 100_000)
    said = [
        Said(run="memory-1", ms=second * 1000, probability=0.9, alarm=alarm, fails=True)
        for second, alarm in alarms.items()
    ]
    assert lead_ms(failing, said) == (lead * 1000 if lead >= 0 else -1)
