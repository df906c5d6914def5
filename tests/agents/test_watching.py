"""Processes that host no engine end rather than hang."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streams.runtime.watchdog import EXIT_STALLED

BEGIN = """
import asyncio, sys, time
from streams.cli import process
from streams.runtime import watchdog, watching
from tests.analytics.memory_log import MemoryLog

class Polled(MemoryLog):
    async def poll(self, positions):
        await asyncio.sleep(0)
        return []

class Silent(Polled):
    async def bounds(self, where):
        await asyncio.Event().wait()

FACTS = ("facts", 0)

async def follow(log, seconds):
    with watching.reading("test", log, silent_seconds=0.5) as watched:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await watched.bounds(FACTS)
            await asyncio.sleep(0.01)

watchdog.LOOK_SECONDS = 0.05
"""
HANGS = """
async def work(settings, name, stop):
    time.sleep(20)

process.STALL_SECONDS = 0.5
process.run("test", "", work)
"""
ENDS = """
async def work(settings, name, stop):
    pass

process.run("test", "", work)
"""
SILENT = "asyncio.run(follow(Silent(), 20))"
ANSWERED = 'asyncio.run(follow(Polled(), 1.5)); print("done")'


def ended(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a process to its end."""
    environment = {**os.environ, "LOGMEND_DATA_DIR": str(directory), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BEGIN + script]
    return subprocess.run(command, capture_output=True, text=True, timeout=45, check=False, env=environment)


@pytest.mark.parametrize(
    ("script", "line"), [(HANGS, "in work"), (SILENT, "in follow")], ids=["its loop stands still", "nobody answers"]
)
def test_a_process_that_hangs_ends_and_shows_where(script: str, line: str, tmp_path: Path) -> None:
    """It ends with the status of a stall, and its stacks name the line."""
    done = ended(script, tmp_path)
    assert done.returncode == EXIT_STALLED, done.stderr
    assert line in done.stderr


def test_a_process_makes_the_data_directory_for_itself_alone(tmp_path: Path) -> None:
    """Whichever comes first, and whatever it writes; one that is there keeps its mode."""
    for home, mode in ((tmp_path / "way" / "new", 0o700), (tmp_path, stat.S_IMODE(tmp_path.stat().st_mode) | 0o055)):
        if home.exists():
            home.chmod(mode)
        done = ended(ENDS, home)
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(home.stat().st_mode) == mode


def test_a_process_that_gets_answers_lives(tmp_path: Path) -> None:
    """One that reads nothing new, and is told so each time, goes on for longer than a silence may last."""
    done = ended(ANSWERED, tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
