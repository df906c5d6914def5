"""Tasks go to a pool, once each, and end; healing asks every pool."""

from __future__ import annotations

import pytest

from streams.core.commands import command_sha256
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.requests import ROLES, HealRequested
from streams.core.tasks import HEARD_MS, Tasks
from streams.workers import roles
from tests.core.asking import mute, task
from tests.core.world import World, kinds, of_kind, spec


def a_world(**fields: object) -> World:
    """Return a world with a service, whose pool was just heard of."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api", **fields),)))
    world.probe("api", ok=True)
    return world


def given(decided: list[Decision]) -> Decision:
    """Return the decision that gave the task."""
    return of_kind(decided, "task_given")[0]


def test_a_task_goes_to_a_pool_and_ends() -> None:
    """A task without an action is a command for a host that spoke, and its outcome is the task's end."""
    world = a_world()
    one = given(task(world))
    assert one.command is not None
    assert (one.reason, one.host, one.command.kind, one.command.host) == ("t1 critic", "h1", "task", "h1")
    assert [(argument.name, argument.value) for argument in one.command.arguments] == [
        ("role", "critic"),
        ("task", "t1"),
    ]
    assert one.command.sha256 == command_sha256(one.command)
    (ended,) = world.outcome(one.id, code="alive", effect="none")
    assert (ended.kind, ended.reason, ended.refers_to) == ("task_ended", "done ok alive", one.id)
    assert world.outcome(one.id) == []


def test_a_task_is_taken_once() -> None:
    """The same id again, from an append that was repeated, changes nothing."""
    world = a_world()
    assert kinds(task(world)) == ["task_given"]
    assert task(world) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"role": "king"}, "task t1: a role is one of architect, coder, critic, deployer, executor"),
        ({"task_id": ""}, "a task's id has 1 to 64 plain characters"),
        ({"task_id": "é"}, "a task's id has 1 to 64 plain characters"),
        ({"action": "process.fly", "service": "api"}, "task t1: no such action for this service"),
        ({"action": "docker.restart", "service": "api"}, "task t1: no such action for this service"),
        ({"action": "process.restart", "service": "nobody"}, "task t1: known"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(fields: dict[str, str], reason: str) -> None:
    """Whoever submits what no pool could do is told so."""
    (said,) = task(a_world(), **fields)
    assert (said.kind, said.reason) == ("request_refused", reason)


def test_without_a_pool_a_host_must_be_named() -> None:
    """While no pool was heard of, a task is refused unless it says for whose pool it is."""
    world = World()
    assert of_kind(task(world), "request_refused")[0].reason.endswith("name its host")
    assert given(task(world, host="h9")).host == "h9"


def test_hosts_take_turns() -> None:
    """Tasks for anybody go to the pools that spoke lately, one after the other."""
    world = a_world()
    world.outcome("none", host="h2")
    hosts = [given(task(world, f"t{number}")).host for number in range(4)]
    assert sorted(hosts[:2]) == sorted(hosts[2:]) == ["h1", "h2"]


def test_a_task_that_nobody_answers_is_overdue() -> None:
    """Seconds are told while a task is open, and it ends by itself; a late outcome changes nothing."""
    world = a_world()
    one = given(task(world))
    (ended,) = of_kind(world.wait(120), "task_ended")
    assert (ended.reason, ended.refers_to) == ("overdue", one.id)
    assert not world.fold.timer_open
    assert world.outcome(one.id) == []


def test_tasks_use_up_no_budget() -> None:
    """However many tasks a pool answers, incidents have all of their budgets."""
    world = a_world()
    world.apply("policy", Policy(budget_total=1, budget_per_service=1, budget_per_target=1))
    for number in range(50):
        task(world, f"t{number}")
    assert "commanded" in kinds(world.detect("api", "process_crash"))


def test_an_action_that_a_person_asks_for_is_approved_by_that_person() -> None:
    """It goes to the service's host with its typed arguments, says who approved, and counts for the service."""
    world = a_world(mode="approve")
    world.apply("policy", Policy(budget_per_service=1))
    one = given(task(world, action="process.restart", service="api", role=""))
    assert one.command is not None
    assert (one.reason, one.service, one.strategy) == ("t1 process.restart", "api", "restart")
    assert (one.command.approved_by, one.command.action, one.command.incident) == ("ada", "process.restart", "")
    assert one.command.sha256 == command_sha256(one.command)
    (said,) = task(world, "t2", action="process.restart", service="api")
    assert said.reason == "task t2: target_idle cooldown budget_service"
    assert [gate.name for gate in said.gates if not gate.passed] == ["target_idle", "cooldown", "budget_service"]


def test_an_incident_waits_for_a_persons_action() -> None:
    """While a person's action is under way on a service, nothing else is done there."""
    world = a_world()
    one = given(task(world, action="process.restart", service="api"))
    held = of_kind(world.detect("api", "process_crash"), "withheld")
    assert held[0].reason == "target_idle cooldown"
    world.outcome(one.id)
    assert "commanded" in kinds(world.wait(60))


@pytest.mark.parametrize(
    ("fields", "gate"),
    [({"protected": True}, "not_protected"), ({"mode": "observe"}, "mode")],
    ids=["protected", "mode"],
)
def test_a_person_can_not_reach_past_the_inventory(fields: dict[str, object], gate: str) -> None:
    """What may not be touched is not touched because a person asks for it."""
    (said,) = task(a_world(**fields), action="process.restart", service="api")
    assert said.reason == f"task t1: {gate}"


def test_no_action_is_done_under_a_kill_switch_or_maintenance() -> None:
    """The kill switch and a maintenance hold a person's action back too, and not the question who is there."""
    world = a_world()
    mute(world, "maintenance", service="api")
    assert task(world, "t1", action="process.restart", service="api")[0].reason == "task t1: maintenance"
    world.halt()
    assert task(world, "t2", action="process.restart", service="api")[0].reason == "task t2: not_halted maintenance"
    assert kinds(task(world, "t3")) == ["task_given"]


def test_tasks_under_way_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a task is refused until another has ended."""
    monkeypatch.setattr("streams.core.tasking.TASKS_OPEN_MAX", 1)
    world = a_world()
    one = given(task(world))
    assert task(world, "t2")[0].reason == "task t2: 1 tasks are under way"
    world.outcome(one.id)
    assert kinds(task(world, "t3")) == ["task_given"]


def test_healing_asks_every_pool() -> None:
    """Each host that spoke lately gets a command to heal, whose outcome ends it; nobody there is a refusal."""
    world = a_world()
    world.outcome("none", host="h2")
    asked = world.say(HealRequested(author="ada", reason="slow"))
    assert [(one.kind, one.reason, one.host) for one in asked] == [
        ("heal_asked", "by ada", "h1"),
        ("heal_asked", "by ada", "h2"),
    ]
    assert [one.kind for one in world.outcome(asked[0].id)] == ["command_ended"]
    assert kinds(World().say(HealRequested(author="ada", reason=""))) == ["request_refused"]


def test_roles_are_those_of_the_pool() -> None:
    """What a person may name is what a pool has."""
    assert set(ROLES) == set(roles.ROLES)


def test_hosts_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where as many hosts are known as can be, one that was silent for ten minutes makes room for a new one."""
    monkeypatch.setattr("streams.core.tasks.HOSTS_MAX", 2)
    tasks = Tasks()
    for now_ms, host in ((0, "h1"), (1, "h2"), (2, "h3"), (HEARD_MS, "h4")):
        tasks.heard(host, now_ms)
    assert tasks.hosts == {"h2": 1, "h4": HEARD_MS}
