"""Specialists on a real pool: called, looking, acting, let go; what becomes of one that dies."""

from __future__ import annotations

import os
import resource
import signal

import psutil
import pytest

from streams.core.inventory import ServiceSpec
from streams.workers import limits, running
from tests.workers.fleet import Fleet
from tests.workers.kit import PATIENCE_SECONDS, http_spec, process_spec, starts, target, until
from tests.workers.plans import NAME, PLAN, Plans


@pytest.fixture
def plans(fleet: Fleet) -> Plans:
    """Return what a plan does with a service of its own that its pool knows."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    return plans


def test_a_specialist_comes_looks_and_goes(fleet: Fleet, plans: Plans) -> None:
    """A spawned specialist runs, looks (its findings are told before the outcome), and its process ends on release."""
    fleet.manage()
    fleet.outcome(fleet.ask(plans.spec, "process.start"))
    spawned = fleet.outcome(plans.call())
    assert (spawned.status, spawned.ok, spawned.code) == ("done", True, "running")
    asked = plans.look("process")
    outcome = fleet.outcome(asked)
    assert (outcome.status, outcome.ok, outcome.code, outcome.effect) == ("done", True, "looked", "none")
    found = {one.code: one.value for one in plans.findings(asked)}
    assert found["process_alive"] == 1.0
    assert {outcome.worker} == {one.worker for one in plans.findings(asked)} == {NAME}
    let_go = fleet.outcome(plans.release())
    assert (let_go.status, let_go.ok, let_go.code) == ("done", True, "released")
    assert plans.processes() == []
    words = ["spawned", "running", "waiting", "running", "waiting", "done", "released"]
    until(lambda: len(plans.states()) == len(words))
    assert plans.states() == [(word, "") for word in words]


def test_what_a_specialist_has_used_is_told(fleet: Fleet, plans: Plans) -> None:
    """Its last report says how much processor time it has used and how much memory it has held."""
    fleet.manage()
    fleet.outcome(plans.call())
    memory = psutil.Process(plans.processes()[0].pid).memory_info().rss
    fleet.outcome(plans.release())
    until(lambda: plans.states()[-1][0] == "released")
    report = plans.reports()[-1]
    assert report.cpu_ms > 0
    assert report.memory_kb * 1024 >= memory // 2


def test_the_primary_acts_with_its_verbs(fleet: Fleet, plans: Plans) -> None:
    """An action of the incident is done by its primary if it is among its verbs; others are their roles'."""
    fleet.manage()
    fleet.outcome(plans.call())
    assert fleet.outcome(fleet.ask(plans.spec, "process.restart")).worker == NAME
    assert fleet.outcome(fleet.ask(plans.spec, "process.stop")).worker == "executor_001"
    assert fleet.outcome(fleet.ask(plans.spec, "process.restart", incident="1-9-9")).worker == "executor_001"
    assert len(starts(fleet.root)) == 2


def test_a_support_acts_where_the_primary_can_not(fleet: Fleet, plans: Plans) -> None:
    """An action goes to the primary before a support, and to the support when the primary has not the verb."""
    support = "devops-troubleshooter-001"
    fleet.manage()
    fleet.outcome(plans.call(specialist=support, part="support", cpu="0.25", memory_mb="96", bandwidth_mbps="10"))
    fleet.outcome(plans.call())
    assert fleet.outcome(fleet.ask(plans.spec, "process.restart")).worker == NAME
    assert fleet.outcome(fleet.ask(plans.spec, "process.start")).worker == support


def test_a_topic_of_others_is_refused(fleet: Fleet, plans: Plans) -> None:
    """A specialist is not made to look at what is not its own."""
    fleet.manage()
    fleet.outcome(plans.call())
    outcome = fleet.outcome(plans.look("certificate"))
    assert (outcome.status, outcome.code) == ("refused", "wrong_topic")


def test_a_look_without_a_specialist_is_the_architects(fleet: Fleet, plans: Plans) -> None:
    """Looks that name nobody, or somebody who is not here, are made by the role; survey and proposal have theirs."""
    config = fleet.root / "a.conf"
    config.write_text("good", "utf-8")
    plans.spec = process_spec(fleet.root, config_files=(str(config),))
    fleet.view.write(plans.spec)
    fleet.manage()
    fleet.outcome(fleet.ask(plans.spec, "process.checkpoint"))
    config.write_text("bad", "utf-8")
    asked = [plans.look("process", ""), plans.look("configuration"), plans.look_as("survey"), plans.look_as("propose")]
    outcomes = [fleet.outcome(one) for one in asked]
    assert [one.worker for one in outcomes] == ["architect_001"] * 3 + ["coder_001"]
    assert [one.code for one in outcomes] == ["looked"] * 3 + ["proposed"]
    found = {one.code: one.value for command in asked for one in plans.findings(command)}
    assert found == {"process_alive": 0.0, "configuration_changed": 1.0, "configuration_lines_changed": 1.0}


def test_a_look_goes_on_beside_an_action(fleet: Fleet) -> None:
    """While an action on a service takes its time a look at the same service begins and ends."""
    with target() as (port, seen):
        plans = Plans(fleet, http_spec(port))
        fleet.view.write(plans.spec)
        fleet.manage()
        until(fleet.heartbeats)
        slow = fleet.ask(plans.spec, "http.call", arguments={"call": "slow"})
        until(lambda: seen, "the call")
        looked = fleet.outcome(plans.look("host", ""))
        acted = fleet.outcome(slow)
    assert looked.finished_ms < acted.finished_ms
    assert looked.ok


def test_a_look_needs_no_approval_and_an_action_does(fleet: Fleet) -> None:
    """A service that asks for approval may be looked at, and specialists be called; it is not acted on."""
    plans = Plans(fleet, process_spec(fleet.root, mode="approve"))
    fleet.view.write(plans.spec)
    fleet.manage()
    assert fleet.outcome(plans.call()).ok
    assert fleet.outcome(plans.look("process")).ok
    assert fleet.outcome(fleet.ask(plans.spec, "process.restart")).code == "not_approved"
    assert fleet.outcome(fleet.ask(plans.spec, "process.restart", kind="look")).code == "wrong_kind"


def test_a_specialist_has_heartbeats(fleet: Fleet, plans: Plans) -> None:
    """Its heartbeat names it, says which specialist it is, and its pid."""
    fleet.manage("--per-role=2")
    fleet.outcome(plans.call())
    pid = plans.processes()[0].pid
    until(lambda: (NAME, "database-optimizer", pid) in {(one.worker, one.role, one.pid) for one in fleet.heartbeats()})


def test_a_killed_specialist_is_failed_and_not_replaced(fleet: Fleet, plans: Plans) -> None:
    """Killed by -9 it is reported at once; the look that it had is made by a role's worker; nobody takes its place."""
    fleet.manage()
    fleet.outcome(plans.call())
    process = plans.processes()[0]
    process.send_signal(signal.SIGSTOP)
    asked = plans.look("process")
    until(lambda: plans.states()[-1] == ("running", "") and len(plans.states()) > 3, "it has the look")
    process.kill()
    outcome = fleet.outcome(asked)
    assert (outcome.status, outcome.ok, outcome.worker) == ("done", True, "architect_001")
    assert plans.states()[-1] == ("failed", "died")
    assert plans.processes() == []
    assert fleet.outcome(plans.release()).code == "not_held"


def test_an_action_of_a_killed_primary_goes_to_its_role(fleet: Fleet, plans: Plans) -> None:
    """A restart that a primary had when it died is done once, by the executor."""
    fleet.manage()
    fleet.outcome(plans.call())
    process = plans.processes()[0]
    process.send_signal(signal.SIGSTOP)
    asked = fleet.ask(plans.spec, "process.restart")
    until(lambda: len(plans.states()) == 4, "it has the action")
    process.kill()
    assert fleet.outcome(asked).worker == "executor_001"
    assert starts(fleet.root) == [asked.id]


def test_nobody_is_kept_for_ever(fleet: Fleet, plans: Plans) -> None:
    """A specialist that is not released goes by itself when its time is over."""
    fleet.manage()
    fleet.outcome(plans.call(keep_ms="300"))
    until(lambda: plans.states()[-1] == ("released", "kept_long"))
    assert plans.processes() == []


def test_who_is_let_go_at_once_does_not_stay(fleet: Fleet, plans: Plans) -> None:
    """A release that comes before the process has begun ends it all the same, and both commands have their end."""
    spawn, let_go = plans.call(), plans.release()
    fleet.manage()
    assert fleet.outcome(let_go).code == "released"
    assert fleet.outcome(spawn).code in {"running", "released"}
    until(lambda: plans.states()[-1] == ("released", ""))
    assert plans.processes() == []


def test_only_its_own_plan_lets_a_specialist_go(fleet: Fleet, plans: Plans) -> None:
    """A release for another plan lets nobody go."""
    fleet.manage()
    fleet.outcome(plans.call())
    assert fleet.outcome(plans.release(plan="1-6-0")).code == "not_held"
    assert len(plans.processes()) == 1


def test_a_number_that_is_given_anew_lets_the_earlier_one_go(fleet: Fleet, plans: Plans) -> None:
    """When a specialist's name comes again for another plan the one of the earlier plan goes."""
    fleet.manage()
    fleet.outcome(plans.call())
    first = plans.processes()[0].pid
    fleet.outcome(plans.call(plan="1-6-0"))
    until(lambda: [one.pid for one in plans.processes()] not in ([], [first]) and len(plans.processes()) == 1)
    until(lambda: ("released", "superseded") in plans.states(plan=PLAN))
    assert plans.states(plan="1-6-0")[-1] == ("waiting", "")


def test_a_halt_lets_nobody_come_and_everybody_go(fleet: Fleet, plans: Plans) -> None:
    """While action is halted a spawn and a look are refused, and a release is carried out."""
    fleet.manage()
    fleet.outcome(plans.call())
    fleet.view.write(plans.spec, halted_by="ann")
    other = "error-detective-001"
    refused = fleet.outcome(plans.call(specialist=other, cpu="0.25", memory_mb="96", bandwidth_mbps="10"))
    assert (refused.status, refused.code) == ("refused", "halted")
    assert plans.states(other) == [("failed", "halted")]
    assert fleet.outcome(plans.look("process")).code == "halted"
    assert fleet.outcome(plans.release()).code == "released"


def test_a_dry_run_brings_nobody_up(fleet: Fleet, plans: Plans) -> None:
    """A pool that runs dry says so, of specialists and of looks."""
    fleet.manage("--dry-run")
    assert fleet.outcome(plans.call()).code == "dry_run"
    assert fleet.outcome(plans.look("process")).code == "dry_run"
    assert plans.states() == [("failed", "dry_run")]
    assert plans.processes() == []


def test_a_late_spawn_expires(fleet: Fleet, plans: Plans) -> None:
    """Nobody comes for a command whose time is over, and whoever asked is told."""
    asked = plans.call(expires_ms=1)
    fleet.manage()
    assert fleet.outcome(asked).status == "expired"
    assert plans.states() == [("failed", "expired")]


def test_a_clean_stop_says_who_it_takes_along(fleet: Fleet, plans: Plans) -> None:
    """Specialists of a pool that is stopped are reported failed before it ends."""
    manager = fleet.manage()
    fleet.outcome(plans.call())
    manager.terminate()
    assert manager.wait(PATIENCE_SECONDS) == 0
    assert plans.states()[-1] == ("failed", "pool_stopped")


def test_a_specialist_holds_what_it_was_given_and_services_do_not(fleet: Fleet, plans: Plans) -> None:
    """Its process may write to so much memory; a service that it restarts has neither its limits nor its precedence."""
    fleet.manage()
    fleet.outcome(plans.call(memory_mb="100"))
    process = plans.processes()[0]
    assert resource.prlimit(process.pid, resource.RLIMIT_DATA)[0] == 100 * limits.MEBIBYTE
    fleet.outcome(fleet.ask(plans.spec, "process.restart"))
    service = _pid_of(plans.spec)
    assert resource.prlimit(service, resource.RLIMIT_DATA) == resource.getrlimit(resource.RLIMIT_DATA)
    assert os.getpriority(os.PRIO_PROCESS, service) == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(("cpu", "nice"), [(4.0, 0), (1.0, 0), (0.5, 3), (0.25, 6), (0.001, 19)])
def test_a_share_of_a_processor_is_an_order_of_precedence(cpu: float, nice: int) -> None:
    """Half the weight of an ordinary process is three steps of niceness, a quarter six."""
    assert limits.niceness(cpu) == nice


def _pid_of(spec: ServiceSpec) -> int:
    found = running.find(spec)
    assert found
    return found.identity.pid
