"""What the fold asks of a pool is in order there: every command of the scenarios with teams passes its checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.events import Command
from streams.core.fold import directory_of
from streams.workers.checks import Moment, check
from streams.workers.members import Release, Spawn
from streams.workers.orders import Order
from streams.workers.roles import abilities
from tests import scenarios
from tests.scenarios.script import Stage

DECLARED = (
    *("argv=/bin/api", "pid_file=/run/api.pid", "lock_files=/run/api.db", "config_files=/etc/api.toml"),
    "checkpoint_dir=/var/api",
)
"""Paths that a pool takes; what scenarios declare is never opened by anybody."""
TEAMS = sorted(Path(scenarios.__file__).parent.glob("team_*.txt"))


def commands(path: Path) -> list[tuple[Command, Moment]]:
    """Play a scenario; return each command that was sent, with the moment in which it was decided."""
    stage, found = Stage(), []
    for line in path.read_text("utf-8").splitlines():
        if not line or line.startswith(("  ", "chain ", "#")):
            continue
        words = line.split()
        if words[0] == "service":
            words += DECLARED
        for decision in stage.play(words):
            if decision.command is not None:
                directory = directory_of(stage.world.fold.snapshot())
                moment = Moment(
                    host=decision.host,
                    clock_ms=decision.append_ms,
                    skew_ms=0,
                    epoch=decision.epoch,
                    own_epoch=decision.epoch,
                    halted_by=directory.halted_by,
                    inventory=directory.inventory,
                )
                found.append((decision.command, moment))
    return found


@pytest.mark.parametrize("path", TEAMS, ids=lambda path: path.stem)
def test_what_a_plan_commands_is_in_order(path: Path) -> None:
    """Spawns, looks, actions and releases are what a pool takes; a look is one that its specialist can make."""
    kinds = set()
    for command, moment in commands(path):
        kinds.add(command.kind)
        match check(command, moment):
            case Order() as order:
                named = str(order.values.get("specialist", ""))
                assert not named or command.action in abilities(named.rpartition("-")[0])
            case Spawn() as spawn:
                assert spawn.keep_ms > 0
            case Release() as release:
                assert release.plan
    assert {"spawn", "look", "release"} <= kinds


def test_there_are_scenarios_with_teams() -> None:
    """There is one for each way, so the test above can fail."""
    assert len(TEAMS) >= 4
