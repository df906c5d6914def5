"""Roles: whose an action is, what a worker refuses, and the critic's look at a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core.inventory import ProbeSpec
from streams.workers.roles import ROLES, role_of
from tests.workers.fleet import Fleet
from tests.workers.kit import Executor, command, http_spec, process_spec, starts, target

WHOSE = {
    "process.restart": "executor",
    "process.fallback": "executor",
    "http.call": "executor",
    "process.rollback_config": "deployer",
    "kubernetes.rollback_version": "deployer",
    "docker.checkpoint": "deployer",
    "hybrid.restore_upstream": "deployer",
    "systemd.verify": "critic",
    "kubernetes.look": "architect",
    "http.survey": "architect",
    "process.propose": "coder",
    "process.unheard_of": "",
}


@pytest.mark.parametrize("action", WHOSE)
def test_each_action_has_one_role(action: str) -> None:
    """Looks are the architect's, proposals the coder's, verification the critic's; who acts is one of two."""
    assert role_of(action) == WHOSE[action]
    assert [role for role, actions in ROLES.items() if action in actions] == ([WHOSE[action]] if WHOSE[action] else [])


def test_a_role_without_an_action_has_no_workers() -> None:
    """Every role that is started has something to do."""
    assert all(ROLES.values())


def test_a_worker_refuses_what_is_not_its_roles(executor: Executor, root: Path) -> None:
    """A command that reaches a worker of another role is refused there."""
    executor.send(command(process_spec(root), "process.verify"))
    (ended,) = executor.answers()
    assert getattr(ended, "status", "") == "refused"


def test_the_critic_looks_by_all_probes(executor: Executor, root: Path) -> None:
    """A verification of a service whose probes are green is ``green``, and has no effect."""
    with target() as (port, seen):
        probes = (ProbeSpec(kind="process"), ProbeSpec(kind="tcp", target=f"127.0.0.1:{port}"))
        spec = process_spec(root, probes=probes)
        executor.run(command(spec, "process.start"))
        result = executor.run(command(spec, "process.verify", seq=1)).result
        web = executor.run(command(http_spec(port, probes=(ProbeSpec(kind="http", target="/"),)), "http.verify")).result
    assert (result.ok, result.code, result.effect) == (True, "green", "none")
    assert (web.ok, web.code) == (True, "green")
    assert [line.split()[:2] for line in seen] == [["GET", "/"]]
    assert len(starts(root)) == 1


def test_the_critic_says_what_is_wrong(executor: Executor, root: Path) -> None:
    """Of several probes the first that is not green gives the code."""
    spec = process_spec(root, probes=(ProbeSpec(kind="disk", target="/", limit=101.0), ProbeSpec(kind="process")))
    result = executor.run(command(spec, "process.verify")).result
    assert (result.ok, result.code, result.effect) == (False, "down", "none")


def test_without_a_probe_nothing_is_verified(executor: Executor, root: Path) -> None:
    """A service that declares no probe is not called green."""
    result = executor.run(command(process_spec(root), "process.verify")).result
    assert (result.ok, result.code) == (False, "not_declared")


def test_commands_go_to_workers_of_their_role(fleet: Fleet) -> None:
    """A restart, a checkpoint and a verification of one service are done by an executor, a deployer and a critic."""
    config = fleet.root / "service.conf"
    config.write_text("good", "utf-8")
    spec = process_spec(fleet.root, config_files=(str(config),), probes=(ProbeSpec(kind="process"),))
    fleet.view.write(spec)
    fleet.manage()
    asked = [fleet.ask(spec, f"process.{verb}") for verb in ("restart", "checkpoint", "verify")]
    outcomes = [fleet.outcome(one) for one in asked]
    assert [one.worker for one in outcomes] == ["executor_001", "deployer_001", "critic_001"]
    assert all(one.ok for one in outcomes)
