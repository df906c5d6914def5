from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab import control
from lab.campaign import run_lab
from lab.demo import run_demo
from lab.display import Silent
from lab.faults import DEMO_FAULTS
from lab.report import DemoReport
from streams.settings import Settings

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("formatted")]


def journal(data_dir: Path) -> list[dict[str, str]]:
    """Return what was injected and undone, in order."""
    return [json.loads(line) for line in (data_dir / "lab" / "injections.jsonl").read_text().splitlines()]


def left_behind(data_dir: Path) -> list[str]:
    """Return the command lines of living processes that belong to a data directory, be it by environment."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or ())
        if process.info["status"] != psutil.STATUS_ZOMBIE and (
            str(data_dir) in command or _works_in(process, data_dir)
        ):
            found.append(command)
    return found


def _works_in(process: psutil.Process, data_dir: Path) -> bool:
    try:
        return process.environ().get("LOGMEND_DATA_DIR") == str(data_dir)
    except psutil.Error:
        return False


def demonstrate(data_dir: Path, *, halted: bool = False) -> DemoReport:
    """Run the demo in a data directory with a Kafka of its own."""
    return asyncio.run(run_demo(Settings(data_dir=data_dir, host="test-host"), Silent(), halted=halted))


def test_the_demo_heals_and_keeps_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least five of six faults are healed by Logmend alone; with the kill switch on the same ones stay broken."""
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    healing = demonstrate(tmp_path)
    assert healing.ok, healing
    assert sum(row.healed for row in healing.faults) >= 5
    assert healing.lines >= 30_000
    assert len(healing.detections) >= 5
    assert all(question.rows for question in healing.questions)
    healed = {row.fault for row in healing.faults if row.healed}
    assert not healed & {entry["fault"] for entry in journal(tmp_path) if entry["what"] == "undo"}
    assert control.wait(lambda: left_behind(tmp_path) == [], 30.0), left_behind(tmp_path)

    halted = demonstrate(tmp_path, halted=True)
    assert [row.stayed_broken for row in halted.faults] == [True] * len(DEMO_FAULTS), halted
    assert halted.commands == {}
    assert halted.decisions["withheld"] > 0
    assert halted.decisions_before >= sum(healing.decisions.values())
    assert control.wait(lambda: left_behind(tmp_path) == [], 30.0), left_behind(tmp_path)


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """Interrupted in the middle of its faults, the demo ends all that it started: services, rogues, Kafka, itself."""
    environment = {**os.environ, "LOGMEND_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "streams.cli", "demo"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "injected" in line:
                break
        time.sleep(1)
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert demo.returncode != 0
    assert "Traceback" not in rest
    assert control.wait(lambda: left_behind(tmp_path) == [], 30.0), left_behind(tmp_path)


def test_a_killed_run_does_not_disturb_the_next(tmp_path: Path) -> None:
    """After kill -9 in the middle of a fault nothing is left running, and the next run heals its faults."""
    environment = {**os.environ, "LOGMEND_DATA_DIR": str(tmp_path), "LOGMEND_HOST": "test-host"}
    command = [sys.executable, "-m", "streams.cli", "lab", "--fault", "hang", "--fault", "database_lock"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as lab:
        assert lab.stdout is not None
        for line in lab.stdout:
            if "injected" in line:
                break
        lab.kill()
    assert control.wait(lambda: left_behind(tmp_path) == [], 30.0), left_behind(tmp_path)

    settings = Settings(data_dir=tmp_path, host="test-host")
    report = asyncio.run(run_lab(settings, Silent(), ["crash", "hang"]))
    assert [row.good for row in report.faults] == [True, True], report
