"""Specialists on a real pool: called, looking, acting, let go; what becomes of them when something dies."""

from __future__ import annotations

from typing import Any

import psutil

from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from streams.core.reports import FindingReported, SpecialistReported
from tests.workers.fleet import Fleet
from tests.workers.kit import TOPICS, process_spec, until

NAME = "database-optimizer-001"
PLAN = "1-5-0"


def call(fleet: Fleet, spec: ServiceSpec, **given: Any) -> Command:
    """Ask for a specialist."""
    asked = {"specialist": NAME, "part": "primary", "way": "parallel", "plan": PLAN}
    held = {"cpu": "0.5", "memory_mb": "128", "bandwidth_mbps": "20", "keep_ms": "60000"}
    return fleet.ask(spec, "specialist.spawn", kind="spawn", repeatable=True, arguments={**asked, **held, **given})


def release(fleet: Fleet, spec: ServiceSpec, name: str = NAME, plan: str = PLAN, **fields: Any) -> Command:
    """Let a specialist go."""
    given = {"specialist": name, "plan": plan}
    return fleet.ask(spec, "specialist.release", kind="release", repeatable=True, arguments=given, **fields)


def look(fleet: Fleet, spec: ServiceSpec, topic: str, name: str = NAME, **fields: Any) -> Command:
    """Have a specialist look at a topic."""
    return fleet.ask(spec, "process.look", kind="look", arguments={"topic": topic, "specialist": name}, **fields)


def states(fleet: Fleet, name: str = NAME) -> list[tuple[str, str]]:
    """Return the states that were reported of a specialist, each with its code."""
    events = fleet.log.events(TOPICS.inbox_workers)
    return [(one.state, one.code) for one in events if isinstance(one, SpecialistReported) and one.specialist == name]


def findings(fleet: Fleet, command: Command) -> list[FindingReported]:
    """Return what a command found."""
    events = fleet.log.events(TOPICS.inbox_workers)
    return [one for one in events if isinstance(one, FindingReported) and one.command_id == command.id]


def process_of(fleet: Fleet, role: str = "database-optimizer") -> list[psutil.Process]:
    """Return the processes of the specialists of a kind."""
    return fleet.workers(role)


def test_a_specialist_comes_looks_and_goes(fleet: Fleet) -> None:
    """A spawned specialist runs, looks (its findings are told before the outcome), and its process ends on release."""
    spec = process_spec(fleet.root)
    fleet.view.write(spec)
    fleet.manage("--patient")
    fleet.outcome(fleet.ask(spec, "process.start"))
    spawned = fleet.outcome(call(fleet, spec))
    assert (spawned.status, spawned.ok, spawned.code) == ("done", True, "running")
    asked = look(fleet, spec, "process")
    outcome = fleet.outcome(asked)
    assert (outcome.status, outcome.ok, outcome.code, outcome.effect) == ("done", True, "looked", "none")
    assert outcome.worker == NAME
    found = {one.code: one.value for one in findings(fleet, asked)}
    assert found["process_alive"] == 1.0
    assert {one.worker for one in findings(fleet, asked)} == {NAME}
    let_go = fleet.outcome(release(fleet, spec))
    assert (let_go.status, let_go.ok, let_go.code) == ("done", True, "released")
    assert process_of(fleet) == []
    words = ["spawned", "running", "waiting", "running", "waiting", "done", "released"]
    until(lambda: len(states(fleet)) == len(words))
    assert states(fleet) == [(word, "") for word in words]
