"""A program of the host in mid-action whose worker dies, however: it ends, with all that it started in its group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from streams.core.inventory import ServiceSpec
from tests.workers.fleet import Fleet
from tests.workers.kit import process_spec, until

TOOL = """#!/bin/sh
[ -e {root}/pids ] && exit 0
trap '' TERM HUP INT
sleep 61.25 &
echo $$ $! > {root}/pids.new
mv {root}/pids.new {root}/pids
wait
"""
"""At first it heeds no signal that it can ignore, has a child, and takes longer than any test; then it succeeds."""


def slow_service(root: Path) -> ServiceSpec:
    """Return a service with that tool."""
    tool = root / "slow"
    tool.write_text(TOOL.format(root=root), "ascii")
    tool.chmod(0o755)
    return process_spec(root, tools={"end_idle_sessions": (str(tool),)})


def tool_and_child(root: Path) -> list[psutil.Process]:
    """Return the processes of the tool, once it has begun."""
    until((root / "pids").exists, "the tool")
    return [psutil.Process(int(pid)) for pid in (root / "pids").read_text("ascii").split()]


def manager_of(fleet: Fleet, _tool: psutil.Process) -> psutil.Process:
    """Return the manager."""
    return psutil.Process(fleet.managers[-1].pid)


def worker_of(fleet: Fleet, tool: psutil.Process) -> psutil.Process:
    """Return the worker that the action was given to."""
    above = tool.parents()
    return next(worker for worker in fleet.workers() if worker in above)


def action_of(fleet: Fleet, tool: psutil.Process) -> psutil.Process:
    """Return the process that the action runs in."""
    worker = worker_of(fleet, tool)
    return next(one for one in tool.parents() if one.ppid() == worker.pid)


@pytest.mark.parametrize(
    ("victim", "told"),
    [
        (manager_of, (True, "done", "once")),
        (worker_of, (True, "done", "once")),
        (action_of, (False, "crashed", "unknown")),
    ],
)
def test_a_tool_dies_with_whoever_runs_it(
    fleet: Fleet, victim: Callable[[Fleet, psutil.Process], psutil.Process], told: tuple[bool, str, str]
) -> None:
    """After kill -9 of any process above it nothing of a tool is left; it is run again only if its action was lost."""
    spec = slow_service(fleet.root)
    fleet.view.write(spec)
    manager = fleet.manage()
    acting = fleet.ask(spec, "process.end_idle_sessions")
    family = tool_and_child(fleet.root)
    killed = victim(fleet, family[0])
    killed.kill()
    until(lambda: not any(one.is_running() for one in family), "the end of the tool and its child")
    if killed.pid == manager.pid:
        fleet.manage()
    outcome = fleet.outcome(acting)
    assert (outcome.ok, outcome.code, outcome.effect) == told


@pytest.mark.parametrize(("end", "code"), [("exit 7", "exit_7"), ("kill -USR1 $$", "exit_signal_10")])
def test_how_a_tool_ended_is_told(fleet: Fleet, end: str, code: str) -> None:
    """The status of a tool, or the signal that ended it, is the code of its outcome; its effect is known."""
    tool = fleet.root / "ends"
    tool.write_text(f"#!/bin/sh\n{end}\n", "ascii")
    tool.chmod(0o755)
    spec = process_spec(fleet.root, tools={"end_idle_sessions": (str(tool),)})
    fleet.view.write(spec)
    fleet.manage()
    told = fleet.outcome(fleet.ask(spec, "process.end_idle_sessions"))
    assert (told.status, told.ok, told.code, told.effect) == ("done", False, code, "once")


def test_a_tool_that_can_not_be_started_is_told(fleet: Fleet) -> None:
    """What is no program of this machine has a code of its own: the action does not crash of it."""
    tool = fleet.root / "nonsense"
    tool.write_bytes(b"\x7fELF, or not")
    tool.chmod(0o755)
    spec = process_spec(fleet.root, tools={"end_idle_sessions": (str(tool),)})
    fleet.view.write(spec)
    fleet.manage()
    told = fleet.outcome(fleet.ask(spec, "process.end_idle_sessions"))
    assert (told.status, told.ok, told.code) == ("done", False, "not_startable")
