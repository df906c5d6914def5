"""Errands are answered by a worker of their role, many at once, each once; they touch nothing and wait for nothing."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from streams.core.events import Command
from streams.core.requests import ROLES
from streams.workers.checks import ExpiredError, check
from streams.workers.errand import Errand
from streams.workers.frames import Ended
from streams.workers.healing import Heal
from streams.workers.orders import RefusedError
from tests.workers.fleet import Fleet
from tests.workers.kit import HOST, Executor, command, process_spec, until
from tests.workers.test_checks import CLOCK_MS, moment

ABOUT_NOTHING = {
    "service": "",
    "service_type": "",
    "strategy": "",
    "incident": "",
    "target": b"",
    "host": HOST,
    "repeatable": True,
}


def errand(root: Path, role: str = "critic", seq: int = 0, previous_seq: int = -1, **fields: Any) -> Command:
    """Return an errand as decide would write it."""
    given = {**ABOUT_NOTHING, "kind": "task", "arguments": {"role": role, "task": f"t{seq}"}, **fields}
    return command(process_spec(root), "", seq, previous_seq, **given)


def healing(root: Path, seq: int = 0, previous_seq: int = -1, **fields: Any) -> Command:
    """Return a command to heal the pool as decide would write it."""
    return command(process_spec(root), "", seq, previous_seq, **{**ABOUT_NOTHING, "kind": "heal", **fields})


def test_an_errand_in_order_passes(tmp_path: Path) -> None:
    """An errand is one whatever is halted, and in a dry run: it touches nothing."""
    found = check(errand(tmp_path, expires_ms=CLOCK_MS), moment(halted_by="ann"))
    assert isinstance(found, Errand)
    assert found.role == "critic"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"role": "king"}, "bad_argument"),
        ({"arguments": {"role": "critic"}}, "bad_argument"),
        ({"arguments": {"role": "critic", "task": "t", "more": "x"}}, "bad_argument"),
        ({"host": "h2"}, "wrong_host"),
        ({"sha256": "0" * 64}, "wrong_hash"),
        ({"epoch": 2}, "wrong_epoch"),
        ({"id": "../1"}, "bad_id"),
    ],
)
def test_an_errand_that_is_none_is_refused(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    """Whatever else is in an errand makes it refused, as any other command."""
    with pytest.raises(RefusedError) as refused:
        check(errand(tmp_path, expires_ms=CLOCK_MS, **fields), moment())
    assert refused.value.code == code


def test_a_late_errand_expires(tmp_path: Path) -> None:
    """An errand that is read after its time is not run."""
    with pytest.raises(ExpiredError):
        check(errand(tmp_path, expires_ms=CLOCK_MS - 1), moment())


def test_healing_takes_no_argument(tmp_path: Path) -> None:
    """A command to heal that asks for anything else is refused."""
    assert isinstance(check(healing(tmp_path, expires_ms=CLOCK_MS), moment()), Heal)
    with pytest.raises(RefusedError):
        check(healing(tmp_path, expires_ms=CLOCK_MS, arguments={"role": "critic"}), moment())


def test_a_worker_answers_its_own_errands(tmp_path: Path) -> None:
    """A worker answers for its role in its own loop, and refuses what is for another or was changed on the way."""
    with Executor(tmp_path, "critic") as worker:
        ended = worker.run(errand(tmp_path))
        assert (ended.status, ended.result.ok, ended.result.code) == ("done", True, "alive")
        assert ended.result.effect == "none"
        assert worker.run(errand(tmp_path, "coder")).result.code == "wrong_role"
        assert worker.run(errand(tmp_path, sha256="0" * 64)).result.code == "wrong_hash"


def test_a_worker_answers_many_errands_in_order(tmp_path: Path) -> None:
    """What comes in one go is answered in one go, each once, in the order in which it came."""
    asked = [errand(tmp_path, seq=seq) for seq in range(300)]
    with Executor(tmp_path, "critic") as worker:
        for one in asked:
            worker.send(one)
        answers = worker.answers(len(asked))
    assert [one.command_id for one in answers if isinstance(one, Ended)] == [one.id for one in asked]


def test_errands_end_once_by_workers_of_their_roles(fleet: Fleet) -> None:
    """Each errand of a pool has one outcome, said by a worker of its role, though action is halted and it is dry."""
    fleet.view.write(process_spec(fleet.root), halted_by="ann")
    asked = [
        fleet.send(errand(fleet.root, ROLES[seq % len(ROLES)], seq, seq - 1, expires_ms=4_000_000_000_000))
        for seq in range(60)
    ]
    fleet.manage("--dry-run")
    for seq, one in enumerate(asked):
        outcome = fleet.outcome(one)
        assert (outcome.status, outcome.ok, outcome.code, outcome.effect) == ("done", True, "alive", "none")
        assert outcome.worker == f"{ROLES[seq % len(ROLES)]}_001"
        assert 0 < outcome.started_ms <= outcome.finished_ms
    assert all(len(told) == 1 for told in fleet.log.outcomes().values())


@pytest.mark.chaos
def test_no_errand_is_lost_with_its_worker_or_its_manager(fleet: Fleet) -> None:
    """Whoever is killed while errands are under way, each has one answer in the end."""
    fleet.view.write(process_spec(fleet.root))
    manager = fleet.manage("telling.end_errands:before:2")
    until(fleet.workers, "workers")
    asked = [
        fleet.send(errand(fleet.root, seq=seq, previous_seq=seq - 1, expires_ms=4_000_000_000_000)) for seq in range(40)
    ]
    until(lambda: fleet.log.outcomes() or manager.poll() is not None, "a first answer")
    for worker in fleet.workers("critic") if manager.poll() is None else []:
        worker.kill()
    asked += [
        fleet.send(errand(fleet.root, seq=seq, previous_seq=seq - 1, expires_ms=4_000_000_000_000))
        for seq in range(40, 80)
    ]
    assert manager.wait(30) == -signal.SIGKILL
    fleet.manage()
    assert {fleet.outcome(one).status for one in asked} == {"done"}


def newest(fleet: Fleet) -> dict[str, int]:
    """Return the pid of each worker by its newest heartbeat."""
    return {beat.worker: beat.pid for beat in fleet.heartbeats() if beat.pid and beat.state != "stopping"}


def test_healing_replaces_a_hung_worker_at_once(fleet: Fleet) -> None:
    """A worker that stands still is replaced under its name, long before it would be its turn, and the others stay."""
    fleet.view.write(process_spec(fleet.root))
    fleet.manage()
    fleet.outcome(fleet.send(errand(fleet.root)))
    until(lambda: len(newest(fleet)) == len(ROLES), "a heartbeat of each")
    before = newest(fleet)
    (hung,) = fleet.workers("critic")
    hung.suspend()
    outcome = fleet.outcome(fleet.send(healing(fleet.root, 1, 0, expires_ms=4_000_000_000_000)))
    assert (outcome.status, outcome.ok, outcome.code) == ("done", True, "healed")
    assert not psutil.pid_exists(hung.pid)
    after = newest(fleet)
    assert after["critic_001"] not in {0, hung.pid}
    assert {name for name in after if after[name] != before.get(name)} == {"critic_001"}
    assert fleet.outcome(fleet.send(errand(fleet.root, seq=2, previous_seq=1))).worker == "critic_001"


def test_healing_a_healthy_pool_changes_nothing(fleet: Fleet) -> None:
    """When everybody answers nobody is replaced, and the outcome says so."""
    fleet.view.write(process_spec(fleet.root))
    fleet.manage()
    fleet.outcome(fleet.send(errand(fleet.root)))
    until(lambda: len(fleet.workers()) == len(ROLES), "all workers")
    before = {one.pid for one in fleet.workers()}
    outcome = fleet.outcome(fleet.send(healing(fleet.root, 1, 0)))
    assert (outcome.ok, outcome.code) == (True, "all_well")
    assert {one.pid for one in fleet.workers()} == before
