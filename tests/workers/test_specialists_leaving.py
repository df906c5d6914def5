"""Workers that leave, in the middle of an action or hung: what they have begun is not cut short, and nobody stays."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from streams.catalogue.actions import actions
from streams.core.inventory import ServiceSpec
from streams.workers.crew import SPARE_SECONDS, Timing
from streams.workers.pool import TELL_SECONDS
from tests.workers.fleet import Fleet
from tests.workers.kit import PATIENCE_SECONDS, process_spec, until
from tests.workers.plans import NAME, Plans

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
    longest = max(action.timeout_ms for action in actions().values()) / 1000 + SPARE_SECONDS
    waits = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text("ascii"), re.MULTILINE)
    assert waits
    assert int(waits[1]) > max(longest, Timing().leave_seconds) + TELL_SECONDS
