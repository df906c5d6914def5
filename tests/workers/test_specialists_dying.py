"""Specialists when the pool's manager is killed at any step: nobody is lost sight of, nobody comes twice."""

from __future__ import annotations

import signal

import psutil
import pytest

from streams.core.reports import SpecialistReported
from streams.workers.journal import Journal, Position
from tests.workers.fleet import Fleet
from tests.workers.kit import HOST, PATIENCE_SECONDS, command, now_ms, process_spec, until
from tests.workers.plans import ASKED, NAME, Plans

ENDS = {"failed", "released"}
POINTS = [
    "journal.receive:after:1",
    "journal.start:before:1",
    "journal.start:after:1",
    "journal.hold:before:1",
    "journal.hold:after:1",
    "crew.invite:before:1",
    "crew.invite:after:1",
    "journal.note:before:1",
    "journal.note:after:2",
    "journal.end:before:1",
    "journal.end:after:1",
    "journal.told:before:1",
    "journal.told:after:1",
    "journal.start:after:2",
    "crew.give:after:1",
    "journal.end:before:2",
    "journal.end:after:2",
    "crew.dismiss:before:1",
    "crew.dismiss:after:1",
    "journal.note:before:5",
    "journal.note:after:6",
    "journal.end:before:3",
    "journal.end:after:3",
]


@pytest.mark.chaos
@pytest.mark.parametrize("point", POINTS)
def test_a_manager_killed_anywhere_loses_no_specialist(fleet: Fleet, point: str) -> None:
    """Wherever kill -9 hits: each command has one end, the specialist its last report, and no process is left."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    first = fleet.manage(point)
    until(fleet.heartbeats)
    spawn = plans.call()
    until(lambda: first.poll() is not None or plans.states()[-1:] == [("waiting", "")], "it waits, or the manager died")
    look = plans.look("process")
    until(lambda: first.poll() is not None or look.id in fleet.log.outcomes(), "a look, or the manager died")
    release = plans.release()
    assert first.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    fleet.manage()
    spawned, looked, released = (fleet.outcome(one) for one in (spawn, look, release))
    assert (spawned.status, spawned.code) in {("done", "running"), ("done", "pool_restarted"), ("done", "released")}
    assert (looked.status, looked.ok) == ("done", True), looked.code
    assert len(plans.findings(look)) >= 1
    assert (released.status, released.ok) == ("done", True)
    until(lambda: plans.states() and plans.states()[-1][0] in ENDS, "its last report")
    until(lambda: not fleet.workers("database-optimizer"), "its end")
    assert len({report for report in plans.reports() if report.state == "spawned"}) <= 1


@pytest.mark.chaos
def test_specialists_of_a_dead_manager_end(fleet: Fleet) -> None:
    """When their manager is killed they end by themselves, and the next one reports them failed."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    manager = fleet.manage()
    fleet.outcome(plans.call())
    process = plans.processes()[0]
    manager.kill()
    manager.wait()
    until(lambda: not psutil.pid_exists(process.pid), "its end")
    fleet.manage()
    until(lambda: plans.states()[-1] == ("failed", "pool_restarted"))
    assert [one.specialist for one in plans.reports()] == [NAME] * len(plans.reports())


@pytest.mark.chaos
def test_who_is_hung_ends_with_the_manager(fleet: Fleet) -> None:
    """Workers and specialists that are stopped (SIGSTOP) do not outlive a manager that is killed."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    manager = fleet.manage()
    fleet.outcome(plans.call())
    hung = [*plans.processes(), *fleet.workers("executor")]
    assert len(hung) == 2
    for process in hung:
        process.send_signal(signal.SIGSTOP)
    manager.kill()
    manager.wait()
    until(lambda: not any(psutil.pid_exists(process.pid) for process in hung), "their end")


@pytest.mark.parametrize("begun", ["held", "spawn", "release"])
@pytest.mark.parametrize("changed", [{"memory_mb": "256"}, {"specialist": "phrenologist-001"}])
def test_who_is_held_under_an_earlier_catalogue_is_failed(fleet: Fleet, begun: str, changed: dict[str, str]) -> None:
    """A specialist with more than its row has now, or with no row any more, is reported, and the pool runs."""
    spec = process_spec(fleet.root)
    fleet.view.write(spec)
    asked = {**ASKED, **changed}
    named = {name: asked[name] for name in ("specialist", "plan")}
    journal = Journal.open(fleet.root / "pool")
    journal.begin(Position(0, -1, 0))
    spawn = command(spec, "specialist.spawn", kind="spawn", strategy="", arguments=asked)
    release = command(spec, "specialist.release", 1, 0, kind="release", arguments=named)
    unfinished = [one for one in (spawn, release) if one.kind == begun]
    for one in (spawn, release):
        fleet.send(one)
    journal.receive([(one.seq, one) for one in unfinished], 2, 1)
    for one in unfinished:
        journal.start(one.id)
    report = SpecialistReported(host=HOST, state="spawned", code="", at_ms=now_ms(), cpu_ms=0, memory_kb=0, **named)
    journal.hold(spawn, report)
    journal.close()
    fleet.manage()
    ended = {"held": [], "spawn": [(False, "pool_restarted")], "release": [(True, "released")]}[begun]
    assert [(fleet.outcome(one).ok, fleet.outcome(one).code) for one in unfinished] == ended
    state = "released" if begun == "release" else "failed"
    until(lambda: Plans(fleet, spec).states(named["specialist"])[-1:] == [(state, "pool_restarted")])
    assert fleet.outcome(fleet.ask(spec, "process.start")).ok
