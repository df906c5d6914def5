"""Workers that leave, in the middle of an action or hung: what they have begun is not cut short, and nobody stays."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from streams.catalogue.actions import actions
from streams.core.inventory import ServiceSpec
from streams.workers.crew import OVERTIME_SECONDS, Timing
from streams.workers.pool import TELL_SECONDS
from tests.workers.fleet import Fleet
from tests.workers.kit import PATIENCE_SECONDS, process_spec, until
from tests.workers.plans import NAME, PLAN, Plans

SLOW = """#!/bin/sh
echo begun >> {root}/begun
while [ ! -e {root}/go ]; do sleep 0.05; done
"""
LONGER_THAN_A_LEAVE_SECONDS = 1.0
"""``--brief`` managers give a worker that leaves a fifth of that."""
UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "logmend-workers.service"


def slow_service(root: Path) -> ServiceSpec:
    """Return a service whose idle sessions are ended as soon as there is a file ``go``."""
    tool = root / "slow"
    tool.write_text(SLOW.format(root=root), "ascii")
    tool.chmod(0o755)
    return process_spec(root, tools={"end_idle_sessions": (str(tool),)})


def begun(root: Path) -> int:
    """Return how often ending the sessions began."""
    path = root / "begun"
    return len(path.read_text("ascii").split()) if path.exists() else 0


@pytest.mark.parametrize("how", ["release", "supersede"])
def test_who_is_let_go_finishes_its_action(fleet: Fleet, how: str) -> None:
    """A specialist that is let go in mid-action may take the action's time, and the action is done once, by it."""
    plans = Plans(fleet, slow_service(fleet.root))
    fleet.view.write(plans.spec)
    fleet.manage("--brief")
    fleet.outcome(plans.call())
    acting = fleet.ask(plans.spec, "process.end_idle_sessions")
    until(lambda: begun(fleet.root))
    last = plans.release() if how == "release" else plans.call(plan="1-6-0")
    time.sleep(LONGER_THAN_A_LEAVE_SECONDS)
    (fleet.root / "go").touch()
    acted = fleet.outcome(acting)
    assert (acted.status, acted.ok, acted.worker) == ("done", True, NAME)
    assert fleet.outcome(last).ok
    assert begun(fleet.root) == 1


@pytest.mark.parametrize("released", [True, False])
def test_a_hung_one_is_gone_before_its_name_comes_again(fleet: Fleet, *, released: bool) -> None:
    """A specialist that hangs, let go or not, is killed before another one runs under its name."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    fleet.manage()
    fleet.outcome(plans.call())
    (hung,) = plans.processes()
    hung.send_signal(signal.SIGSTOP)
    let_go = plans.release() if released else None
    assert fleet.outcome(plans.call(plan="1-6-0")).code == "running"
    assert hung.pid not in {one.pid for one in plans.processes()}
    assert len(plans.processes()) == 1
    assert let_go is None or fleet.outcome(let_go).code == "released"
    assert plans.states(plan=PLAN)[-1] == ("released", "" if released else "superseded")


def test_who_waits_for_a_name_does_not_come_when_let_go(fleet: Fleet) -> None:
    """Who waits for an action of the last one of its name goes without a process; only the latest one comes."""
    plans = Plans(fleet, slow_service(fleet.root))
    fleet.view.write(plans.spec)
    fleet.manage()
    fleet.outcome(plans.call())
    acting = fleet.ask(plans.spec, "process.end_idle_sessions")
    until(lambda: begun(fleet.root))
    second, let_go, third, fourth = (
        plans.call(plan="1-6-0"),
        plans.release(plan="1-6-0"),
        plans.call(plan="1-7-0"),
        plans.call(plan="1-8-0"),
    )
    assert (fleet.outcome(second).ok, fleet.outcome(second).code) == (False, "released")
    assert fleet.outcome(let_go).code == "released"
    assert (fleet.outcome(third).ok, fleet.outcome(third).code) == (False, "superseded")
    assert len(plans.processes()) == 1
    (fleet.root / "go").touch()
    assert fleet.outcome(acting).worker == NAME
    assert fleet.outcome(fourth).code == "running"
    assert [state for state, _ in plans.states()].count("waiting") == 3
    assert len(plans.processes()) == 1


def test_a_stop_takes_along_who_waits_for_a_name(fleet: Fleet) -> None:
    """Who waits for the last one of its name when the pool is stopped is reported and gets no process."""
    plans = Plans(fleet, slow_service(fleet.root))
    fleet.view.write(plans.spec)
    manager = fleet.manage()
    fleet.outcome(plans.call())
    acting = fleet.ask(plans.spec, "process.end_idle_sessions")
    until(lambda: begun(fleet.root))
    second = plans.call(plan="1-6-0")
    until(lambda: ("spawned", "") in plans.states(plan="1-6-0"))
    manager.terminate()
    time.sleep(LONGER_THAN_A_LEAVE_SECONDS)
    (fleet.root / "go").touch()
    assert manager.wait(PATIENCE_SECONDS) == 0
    assert fleet.outcome(second).code == "pool_stopped"
    assert fleet.outcome(acting).ok
    assert plans.states(plan="1-6-0") == [("spawned", ""), ("failed", "pool_stopped")]


def test_a_clean_stop_lets_an_action_have_its_time(fleet: Fleet) -> None:
    """A pool that is stopped in mid-action ends when the action has, and tells its outcome."""
    spec = slow_service(fleet.root)
    fleet.view.write(spec)
    manager = fleet.manage("--brief")
    acting = fleet.ask(spec, "process.end_idle_sessions")
    until(lambda: begun(fleet.root))
    manager.terminate()
    time.sleep(LONGER_THAN_A_LEAVE_SECONDS)
    (fleet.root / "go").touch()
    assert manager.wait(PATIENCE_SECONDS) == 0
    acted = fleet.outcome(acting)
    assert (acted.status, acted.ok) == ("done", True)
    assert begun(fleet.root) == 1


def test_the_pools_unit_waits_for_the_longest_action() -> None:
    """The unit gives a pool the time of the catalogue's longest action, or of a leave, and to tell of it."""
    longest = max(action.timeout_ms for action in actions().values()) / 1000 + OVERTIME_SECONDS
    waits = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text("ascii"), re.MULTILINE)
    assert waits
    assert int(waits[1]) > max(longest, Timing().leave_seconds) + TELL_SECONDS
