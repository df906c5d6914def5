"""What people ask for on the command line, and what they are told; a real fold decides, no broker runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from streams.cli import main, requests
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.ingest.people import Said
from streams.settings import Settings
from tests.core.world import World, of_kind, spec


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a fleet with one escalation, whose pool answers each command as soon as it is sent."""
    found = World()
    found.apply("policy", Policy(attempts_max=0))
    found.apply("inventory", Inventory(services=(spec("api"), spec("web"))))
    found.probe("web", ok=True)
    found.detect("api", "process_crash")
    found.apply("policy", Policy())

    async def asked(_settings: Settings, said: Said, until: frozenset[str]) -> Decision:
        decided = found.say(said.event)
        if until and decided[0].kind not in until:
            decided = found.outcome(decided[0].id, code="alive")
        return decided[0]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(requests, "_asked", asked)
    monkeypatch.setattr("time.time_ns", lambda: found.ms * 1_000_000)
    return found


def run(*arguments: str, status: int = 0) -> Result:
    """Run the command; it must end as expected."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result


def test_an_escalation_is_taken_on_and_resolved(world: World) -> None:
    """Each step is a decision about the escalation, by whoever says so, and is told in a sentence."""
    (asked,) = of_kind(world.decisions, "escalated")
    assert run("escalations", "acknowledge", asked.id).stdout == f"{asked.id} is acknowledged\n"
    assert run("escalations", "assign", asked.id, "--to", "bob").stdout == f"{asked.id} is bob's\n"
    assert run("escalations", "note", asked.id, "the disk was full").stdout == f"written down on {asked.id}\n"
    said = run("resolve", asked.id, "--method", "process.restart", "--notes", "by hand", "--author", "bob")
    assert said.stdout == f"{asked.id} is resolved: process.restart\n"
    steps = [one.kind for one in world.decisions if one.kind.startswith("escalation_")]
    assert [kind.removeprefix("escalation_") for kind in steps] == ["acknowledged", "assigned", "noted", "resolved"]


def test_what_is_refused_is_an_error(world: World) -> None:
    """A step on what was never escalated ends with status 1 and the reason."""
    said = run("resolve", "1-0-0", "--method", "manual", status=1)
    assert "error: no such escalation is known" in said.output


def test_a_service_is_silenced_and_maintained(world: World) -> None:
    """A mute holds from now for as long as was said, names who and why, and can be ended by the id that is told."""
    said = run("silence", "web-*", "--for", "2h", "--why", "load test", "--author", "ann").stdout
    (silence,) = of_kind(world.decisions, "mute_set")
    assert said == f"silence {silence.id} holds for 2h: end it with logmend unmute {silence.id}\n"
    assert (silence.service, silence.reason) == ("web-*", "silence by ann: load test")
    assert [one.value - world.ms for one in silence.figures] == [0, 7_200_000]
    run("maintain", "*", "--for", "30m", "--pattern", "disk*")
    maintenance = of_kind(world.decisions, "mute_set")[-1]
    assert (maintenance.service, maintenance.pattern) == ("", "disk*")
    assert run("unmute", silence.id).stdout == f"{silence.id} is over\n"
    assert "no such mute is set" in run("unmute", silence.id, status=1).output


@pytest.mark.parametrize(("text", "ms"), [("90s", 90_000), ("30m", 1_800_000), ("2h", 7_200_000), ("1d", 86_400_000)])
def test_durations_are_read(text: str, ms: int) -> None:
    """A number and a unit are a duration."""
    assert requests.milliseconds(text) == ms


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-1h", "1.5h", "2 h", "1w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Anything else is wrong usage, with what would be right."""
    with pytest.raises(click.BadParameter, match="90s, 30m, 2h or 1d"):
        requests.milliseconds(text)


def test_a_task_is_submitted(world: World) -> None:
    """A task without an action is answered by its role; what came of it is told."""
    said = json.loads(run("task", "submit", "--role", "critic", "--json").stdout)
    assert (said["host"], said["ended"]) == ("h1", "done ok alive")
    (given,) = of_kind(world.decisions, "task_given")
    assert given.reason == f"{said['task_id']} critic"


def test_a_task_with_an_action_keeps_to_the_guardrails(world: World) -> None:
    """What a guardrail says no to is an error that names it."""
    run("task", "submit", "--action", "process.restart", "--service", "web")
    (given,) = of_kind(world.decisions, "task_given")
    assert given.command is not None
    assert given.command.approved_by
    said = run("task", "submit", "--action", "process.restart", "--service", "web", status=1)
    assert "cooldown" in said.output


def test_the_pool_is_healed(world: World) -> None:
    """Healing is asked for, and its outcome is told by the host that did it."""
    assert run("heal", "--reason", "slow").stdout.endswith("done ok alive\n")
    assert of_kind(world.decisions, "heal_asked")


@pytest.mark.parametrize(
    ("outcome", "said", "status"),
    [
        ({"code": "healed"}, "the pool: done ok healed", 0),
        ({"ok": False, "code": "not_healed"}, "the pool: done failed not_healed", 1),
        (None, "h1: under way", 0),
    ],
)
def test_a_pool_that_is_not_healed_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch, outcome: dict[str, Any] | None, said: str, status: int
) -> None:
    """Exit status 1 when a worker's successor is silent too; what is not over yet is said to be under way."""

    async def asked(_settings: Settings, words: Said, _until: frozenset[str]) -> Decision:
        (decision,) = world.say(words.event)
        return world.outcome(decision.id, **outcome)[0] if outcome else decision

    monkeypatch.setattr(requests, "_asked", asked)
    assert run("heal", status=status).stdout == f"{said}\n"


def test_who_heals_a_pool_that_nobody_heard_of_learns_how_one_is_heard(world: World) -> None:
    """A refusal says what to look at and what to do."""
    world.wait(700)
    said = run("heal", status=1).output
    assert "no pool was heard of lately" in said
    assert "is logmend workers running?" in said
    assert "logmend task submit --host" in said


def test_nothing_is_open_before_anything_was_recorded(world: World) -> None:
    """Lists say that there is nothing yet, in a sentence or as JSON."""
    assert "nothing was given to a person" in run("escalations").output
    assert json.loads(run("escalations", "list", "--json").stdout) == []
    assert "nothing is muted" in run("unmute").output
