"""Many workers: all of them start, are small and have heartbeats, come back when killed, and leave in order."""

from __future__ import annotations

import random
import signal
import time

import psutil
import pytest

from streams.workers.pool import PARALLEL_MAX
from streams.workers.roles import ROLES
from tests.workers.fleet import Fleet
from tests.workers.kit import PATIENCE_SECONDS, http_spec, process_spec, starts, target, until

WORKER_BYTES_MAX = 100_000_000


def named(fleet: Fleet) -> dict[str, int]:
    """Return the pid of each worker that has one, as the newest heartbeats say it."""
    return {beat.worker: beat.pid for beat in fleet.heartbeats() if beat.pid and beat.state != "stopping"}


def names(per_role: int) -> set[str]:
    """Return the ids of all workers."""
    return {f"{role}_{number:03d}" for role in ROLES for number in range(1, per_role + 1)}


@pytest.mark.chaos
@pytest.mark.parametrize("wanted", [25, 100])
def test_many_workers(fleet: Fleet, wanted: int) -> None:
    """Each is small and has a heartbeat; some are killed and come back by their ids, and every task is done once."""
    per_role = -(-wanted // len(ROLES))
    specs = [process_spec(fleet.root, f"s{number}") for number in range(6)]
    fleet.view.write(*specs)
    fleet.manage(f"--per-role={per_role}")
    until(lambda: set(named(fleet)) == names(per_role), "a heartbeat of every worker")
    before = named(fleet)
    for worker in fleet.workers():
        assert worker.memory_full_info().pss < WORKER_BYTES_MAX
    asked = [fleet.ask(spec, "process.restart") for spec in specs]
    victims = random.Random(wanted).sample(sorted(before), wanted // 5)
    for name in victims:
        psutil.Process(before[name]).kill()
    until(lambda: all(named(fleet)[name] != before[name] for name in victims), "new processes under the old ids")
    assert set(named(fleet)) == names(per_role)
    for one in asked:
        assert fleet.outcome(one).status == "done"
        assert starts(fleet.root, one.service) == [one.id]


def test_a_clean_stop_hands_back_what_it_did_not_begin(fleet: Fleet) -> None:
    """Of more calls than run at a time, those that had not begun are made by the next manager; each is made once."""
    with target() as (port, seen):
        specs = [http_spec(port, f"w{number}", calls={"go": "POST /slow"}) for number in range(PARALLEL_MAX + 2)]
        fleet.view.write(*specs)
        manager = fleet.manage()
        until(fleet.heartbeats)
        asked = [fleet.ask(spec, "http.call", arguments={"call": "go"}) for spec in specs]
        until(lambda: len(seen) == PARALLEL_MAX, "as many calls as run at a time")
        manager.terminate()
        assert manager.wait(PATIENCE_SECONDS) == 0
        time.sleep(0.1)
        assert len(seen) == PARALLEL_MAX
        fleet.manage()
        assert {fleet.outcome(one).status for one in asked} == {"done"}
        assert sorted(line.split()[2] for line in seen) == sorted(one.id for one in asked)


@pytest.mark.parametrize("still_seconds", [0.0, 2.8])
def test_a_long_action_is_no_hung_worker(fleet: Fleet, still_seconds: float) -> None:
    """Whose action takes longer than a hung worker is waited for stays, even if its manager stands still that long."""
    with target() as (port, seen):
        spec = http_spec(port)
        fleet.view.write(spec)
        manager = fleet.manage("--hasty")
        until(lambda: fleet.workers("executor"))
        before = fleet.workers("executor")
        asked = fleet.ask(spec, "http.call", arguments={"call": "slow"})
        until(lambda: seen, "the call, which takes 3 s: a worker without a sign of life for 2.5 s is hung")
        manager.send_signal(signal.SIGSTOP)
        time.sleep(still_seconds)
        manager.send_signal(signal.SIGCONT)
        assert fleet.outcome(asked).status == "done"
        assert fleet.workers("executor") == before
        assert len(seen) == 1
