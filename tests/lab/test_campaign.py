from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from lab.campaign import needed, run_lab
from lab.display import Silent
from lab.score import LabReport, Mode
from lab.site import API, CART, PROXY, WORKER
from streams.core.errors import InputError
from streams.settings import Settings


def measure(data_dir: Path, *names: str, mode: Mode = "healing") -> LabReport:
    """Run the lab in a data directory with a Kafka of its own."""
    return asyncio.run(run_lab(Settings(data_dir=data_dir, host="test-host"), Silent(), names, mode=mode))


def undone(data_dir: Path) -> set[str]:
    """Return the faults that somebody undid."""
    lines = (data_dir / "lab" / "injections.jsonl").read_text().splitlines()
    return {entry["fault"] for entry in map(json.loads, lines) if entry["what"] == "undo"}


@pytest.mark.broker
@pytest.mark.usefixtures("formatted")
def test_logmend_heals_faults_of_many_kinds(tmp_path: Path) -> None:
    """A switch, a tool, a cache, a container and a checkpoint: each heals its fault, verified, without any undo."""
    report = measure(tmp_path, "no_name", "sessions", "disk_full", "container", "permission")
    assert report.ok, report
    assert {one.fault: one.actions[-1] for one in report.faults} == {
        "no_name": "process.fallback",
        "sessions": "process.end_idle_sessions",
        "disk_full": "process.clear_caches",
        "container": "docker.restart",
        "permission": "process.rollback_config",
    }
    assert undone(tmp_path) == set()
    assert not os.path.ismount(tmp_path / "lab" / "shop-cache" / "volume-a")


def test_without_logmend_faults_stay(tmp_path: Path) -> None:
    """The control run: nothing of Logmend runs, every fault stays broken until the lab undoes it, on record."""
    report = measure(tmp_path, "no_name", "sessions", mode="control")
    assert report.ok, report
    assert [one.actions for one in report.faults] == [(), ()]
    assert undone(tmp_path) == {"no_name", "sessions"}


def test_only_the_services_that_are_needed_are_started() -> None:
    """A fault needs its service; one of the proxy needs the demo's three, in the order of their start."""
    assert needed(["container"]) == (CART,)
    assert needed(["configuration"]) == (API, WORKER, PROXY)


def test_an_unknown_fault_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """A wrong name ends in one line, and nothing is made."""
    with pytest.raises(InputError, match="no fault is called flood"):
        measure(tmp_path, "flood")
    assert list(tmp_path.iterdir()) == []
