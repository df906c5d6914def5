"""What people do about an escalation is told, held against what happens next, and learnt."""

from __future__ import annotations

import pytest

from streams.core import escalations
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.learning import Where
from tests.core.asking import answer
from tests.core.world import World, figure, kinds, of_kind, spec

POLICY = Policy(attempts_max=0, verify_after_ms=10_000, stay_away_ms=10_000, quiet_close_ms=120_000)
CRASH = Where(pattern="process_crash", category="process", service_type="process")


def escalated(world: World) -> Decision:
    """Return the escalation of a crash of the api, on which Logmend may not make an attempt."""
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api"),)))
    world.detect("api", "process_crash")
    return of_kind(world.decisions, "escalated")[0]


def learnt(world: World) -> float:
    """Return the weight of the outcomes known of restarting after a crash."""
    return world.fold._state.lessons.lesson(CRASH, "process.restart").weight


def test_steps_are_told_of_the_escalation() -> None:
    """Acknowledged, assigned and noted are decisions that name the escalation, its incident, and say which step."""
    world = World()
    found = escalated(world)
    said = [
        *answer(world, found.id, "acknowledged"),
        *answer(world, found.id, "assigned", assignee="bob"),
        *answer(world, found.id, "noted", reason="looks like\nthe disk"),
    ]
    assert [(one.kind, one.reason) for one in said] == [
        ("escalation_acknowledged", "by ada"),
        ("escalation_assigned", "bob"),
        ("escalation_noted", "looks like the disk"),
    ]
    assert {(one.refers_to, one.incident, one.service) for one in said} == {(found.id, found.incident, "api")}
    assert [one.causes[0].topic for one in said] == ["logmend.inbox.people"] * 3


def test_an_escalation_waits_until_somebody_takes_it_on() -> None:
    """It is one that waits from when it is told until it is acknowledged."""
    world = World()
    before = world.fold.escalations_waiting
    found = escalated(world)
    told = world.fold.escalations_waiting
    answer(world, found.id, "acknowledged")
    assert (before, told, world.fold.escalations_waiting) == (0, 1, 0)


def test_an_escalation_that_is_over_by_itself_waits_for_nobody() -> None:
    """Its incident was closed, since the symptom stayed away."""
    world = World()
    escalated(world)
    for _ in range(4):
        world.wait(60)
        world.normal("api")
    assert of_kind(world.decisions, "incident_closed")
    assert world.fold.escalations_waiting == 0


def test_an_action_waits_for_an_approval_until_it_is_given() -> None:
    """Of a service that is in mode approve, one action waits until somebody has said yes."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api", mode="approve"),)))
    world.detect("api", "process_crash")
    asked = of_kind(world.decisions, "approval_requested")[-1]
    assert world.fold.approvals_waiting == 1
    world.answer(asked, approved=True)
    assert world.fold.approvals_waiting == 0


@pytest.mark.parametrize(
    ("step", "fields", "reason"),
    [
        ("closed", {}, "a step is one of acknowledged, assigned, noted, resolved"),
        ("assigned", {}, "nobody is named whose it is to be"),
        ("resolved", {"method": "prayer"}, "a method is one of manual, false_alarm, wont_fix, external, or an action"),
        ("resolved", {"method": "docker.restart"}, "a method is one of manual"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(step: str, fields: dict[str, str], reason: str) -> None:
    """Whoever takes a step that there is not, or leaves out what it needs, is told so, and nothing changes."""
    world = World()
    found = escalated(world)
    (said,) = answer(world, found.id, step, **fields)
    assert (said.kind, said.refers_to) == ("request_refused", found.id)
    assert said.reason.startswith(reason)


def test_an_unknown_escalation_is_refused() -> None:
    """An answer to what was never escalated is a refusal that repeats nothing of what was asked."""
    world = World()
    escalated(world)
    (said,) = answer(world, "1-0-0", "resolved", method="manual")
    assert (said.kind, said.reason, said.refers_to) == ("request_refused", "no such escalation is known", "")


def test_what_is_resolved_is_not_resolved_again() -> None:
    """The first resolution stands; a second one, or whose it is, is refused, and a note is still taken."""
    world = World()
    found = escalated(world)
    assert kinds(answer(world, found.id, "resolved", method="manual")) == ["escalation_resolved"]
    assert of_kind(answer(world, found.id, "resolved", method="external"), "request_refused")
    assert of_kind(answer(world, found.id, "acknowledged"), "request_refused")
    assert kinds(answer(world, found.id, "noted", reason="for the record")) == ["escalation_noted"]


def test_a_persons_fix_is_learnt_when_the_symptom_stays_away() -> None:
    """An action that a person did is learnt once the service is well; its incident is healed without waiting longer."""
    world = World()
    found = escalated(world)
    said = answer(world, found.id, "resolved", method="process.restart")
    assert learnt(world) == 0.0
    world.wait(5)
    world.normal("api")
    decided = world.wait(40)
    (verified,) = of_kind(decided, "resolution_verified")
    assert (verified.refers_to, verified.strategy) == (said[0].id, "restart")
    assert figure(verified, "learnt_success") == 1.0
    assert [one.reason for one in of_kind(decided, "incident_closed")] == ["healed"]
    assert learnt(world) == 1.0


def test_a_persons_fix_that_did_not_help_asks_for_a_person_again() -> None:
    """When the symptom comes back after a resolution, the action is learnt as a failure, and there is an escalation."""
    world = World()
    found = escalated(world)
    answer(world, found.id, "resolved", method="process.restart")
    world.wait(15)
    world.detect("api", "process_crash")
    decided = world.wait(3)
    assert figure(of_kind(decided, "resolution_failed")[0], "learnt_success") == 0.0
    (again,) = of_kind(decided, "escalated")
    assert (again.reason, again.incident) == ("resolved, but the symptom came back", found.incident)
    assert kinds(answer(world, again.id, "resolved", method="manual")) == ["escalation_resolved"]


def test_echoes_of_the_symptom_right_after_a_resolution_are_no_failure() -> None:
    """What comes within the time before which nothing of our own is verified does not count against a person either."""
    world = World()
    found = escalated(world)
    answer(world, found.id, "resolved", method="process.restart")
    world.wait(5)
    world.detect("api", "process_crash")
    world.wait(1)
    world.normal("api")
    decided = world.wait(40)
    assert of_kind(decided, "resolution_verified")
    assert not of_kind(world.decisions, "resolution_failed")


@pytest.mark.parametrize("method", ["false_alarm", "wont_fix"])
def test_what_is_left_as_it_is_is_not_escalated_again(method: str) -> None:
    """After a false alarm or what nobody fixes the symptom may go on: nobody is asked twice, nothing is judged."""
    world = World()
    found = escalated(world)
    answer(world, found.id, "resolved", method=method)
    for _ in range(4):
        world.wait(30)
        world.detect("api", "process_crash")
    assert len(of_kind(world.decisions, "escalated")) == 1
    assert not {"resolution_verified", "resolution_failed"} & set(kinds(world.decisions))


def test_who_fixes_first_and_answers_later_is_learnt_from() -> None:
    """An answer to an escalation whose symptom is gone by then is taken as the fix, at once."""
    world = World()
    found = escalated(world)
    assert "incident_closed" in kinds(world.wait(150))
    said = answer(world, found.id, "resolved", method="process.restart")
    assert kinds(said) == ["escalation_resolved", "resolution_verified"]
    assert learnt(world) == 1.0


def test_one_escalation_an_issue() -> None:
    """However often its symptom comes, an issue has one escalation until somebody resolves it."""
    world = World()
    escalated(world)
    for _ in range(20):
        world.wait(20)
        world.detect("api", "process_crash")
        world.detect("api", "out_of_memory")
    assert len(of_kind(world.decisions, "escalated")) == 1


def test_the_oldest_closed_escalation_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the first escalation whose incident is over is forgotten, never one that is open."""
    monkeypatch.setattr(escalations, "ESCALATIONS_MAX", 2)
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=tuple(spec(name) for name in "abc")))
    for name in "ab":
        world.detect(name, "process_crash")
        world.wait(2)
    first, second = of_kind(world.decisions, "escalated")
    for _ in range(5):
        world.wait(40)
        world.detect("a", "process_crash")
    world.detect("c", "process_crash")
    world.wait(2)
    third = of_kind(world.decisions, "escalated")[-1]
    assert list(world.fold._state.escalations.known) == [first.id, third.id]
    assert of_kind(answer(world, second.id, "acknowledged"), "request_refused")


def test_answers_survive_a_restart() -> None:
    """A fold restored from a snapshot judges a resolution that was given before it."""
    world = World()
    found = escalated(world)
    answer(world, found.id, "resolved", method="process.restart")
    world.fold = Fold.restore(world.fold.snapshot(), world.fold._catalogue)
    world.wait(5)
    world.normal("api")
    assert of_kind(world.wait(40), "resolution_verified")
