"""Input that somebody made up: it may be wrong, and it must not steer, stop or fill the fold."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.config import Inventory, Policy, check
from streams.core.errors import InputError
from streams.core.events import ActionHalted, ActionResumed, ApprovalGiven, InboxEvent, Message, Tally
from streams.core.incidents import STRANGERS_MAX, SYMPTOMS_MAX
from streams.core.inventory import ProbeSpec
from tests.core import team
from tests.core.test_fold import QUICK, a_world, only
from tests.core.world import World, detection, kinds, spec


@pytest.mark.parametrize("inbox", ["workers", "advice"])
def test_only_people_release_the_kill_switch(inbox: str) -> None:
    """An inbox that is not people's cannot resume: each has an access list of its own."""
    world = a_world("api")
    world.halt()
    assert world.say(ActionResumed(author="pool", reason="")) != []
    world.halt()
    assert world.say(ActionResumed(author="pool", reason=""), inbox) == []
    assert world.fold.directory.halted_by


def test_only_people_approve() -> None:
    """An approval in the advisors' inbox sends nothing."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    assert request.command is not None
    answer = ApprovalGiven(
        decision_id=request.id, command_sha256=request.command.sha256, approved=True, author="model", reason=""
    )
    assert world.say(answer, "advice") == []


def test_messages_of_one_slice_take_effect_in_their_order() -> None:
    """An approval between halt and resume meets the kill switch."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    assert request.command is not None
    events: tuple[InboxEvent, ...] = (
        ActionHalted(author="ada", reason=""),
        ApprovalGiven(
            decision_id=request.id, command_sha256=request.command.sha256, approved=True, author="bo", reason=""
        ),
        ActionResumed(author="ada", reason=""),
    )
    messages = tuple(Message(offset=i, append_ms=world.ms, event=event) for i, event in enumerate(events))
    decided = world.slice("logmend.inbox.people", messages=messages)
    assert kinds(decided)[:2] == ["halted", "approval_denied"]
    assert "commanded" not in kinds(decided)


def test_answer_after_the_deadline_is_no_answer() -> None:
    """With no fact between, an approval that comes too late is still too late."""
    world = a_world("api", mode="approve", policy=Policy(approval_ttl_ms=30_000))
    request = only(world.detect("api", "process_crash"), "approval_requested")
    world.ms += 59_000
    assert kinds(world.answer(request, approved=True))[:1] == ["approval_denied"]


def test_answer_in_time_is_acted_on_though_the_evidence_waited() -> None:
    """A person has all of approval_ttl_ms, even beyond old_evidence_ms."""
    world = a_world("api", mode="approve", policy=Policy(approval_ttl_ms=900_000, old_evidence_ms=300_000))
    request = only(world.detect("api", "process_crash"), "approval_requested")
    world.wait(400)
    assert kinds(world.answer(request, approved=True)) == ["commanded"]


def test_stamp_ahead_of_its_time_is_no_evidence() -> None:
    """A normal line stamped two hours ahead, from before the crash, verifies nothing."""
    world = a_world("api")
    ahead = world.ms + 7_200_000
    world.slice(at_max_ms=ahead, tallies=(_tally(ahead),))
    command = only(world.detect("api", "process_crash"), "commanded")
    world.wait(1)
    world.outcome(command.id)
    assert "verified" not in kinds(world.wait(15))


def _tally(at_ms: int) -> Tally:
    return Tally(at_ms=at_ms, service="api", severity="info", pattern="", template="", count=1)


def test_outcome_without_times_does_not_shorten_the_window() -> None:
    """An outcome that says it finished in 1970 is verified no sooner than another one."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.ms += 1
    world.normal("api")
    world.outcome(command.id, finished_ms=0)
    assert "verified" not in kinds(world.wait(7))
    world.wait(3)
    world.normal("api")
    assert "verified" in kinds(world.wait(1))


def test_strangers_do_not_fill_the_room_of_the_inventory() -> None:
    """Made-up services stop at their limit, that is recorded once, and a known service is still acted on."""
    world = a_world("api")
    for number in range(STRANGERS_MAX + 50):
        world.slice(detections=(detection(f"x{number}", "process_crash", world.ms),))
    full = [d for d in world.decisions if d.kind == "withheld" and "no more are opened" in d.reason]
    assert len(full) == 1
    assert world.fold.incidents_open == STRANGERS_MAX
    assert "commanded" in kinds(world.detect("api", "process_crash"))


def test_symptoms_beyond_the_limit_are_counted_and_not_recorded_one_by_one() -> None:
    """A flood of kinds of symptoms writes a bounded number of decisions."""
    names = [f"front{number}" for number in range(SYMPTOMS_MAX + 10)]
    world = World()
    world.apply("policy", QUICK)
    world.apply("inventory", Inventory(services=(spec("api"), *(spec(n, depends_on=("api",)) for n in names))))
    world.detect("api", "process_crash")
    for _ in range(3):
        for name in names:
            world.detect(name, "connection_refused")
    assert kinds(world.decisions).count("symptom_joined") == SYMPTOMS_MAX - 1


def test_made_up_kinds_of_probes_change_nothing() -> None:
    """A kind of probe that the catalogue does not know leaves no trace in the state."""
    world = a_world("api")
    world.probe("api", ok=False, kind="http")
    size = len(world.fold.snapshot())
    for number in range(200):
        world.probe("api", ok=False, kind=f"kind{number}")
    assert len(world.fold.snapshot()) < size + 200


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prior_weight": 0.0}, "prior_weight is 0"),
        ({"command_ttl_ms": 2**63 - 1}, "command_ttl_ms is not in"),
        ({"attempts_max": -1}, "attempts_max is not in"),
        ({"blast_radius_share": 1.5}, "is a share"),
        ({"advice_confidence_min": 1.5}, "is a share"),
        ({"advice_wait_three_ms": -1}, "advice_wait_three_ms is not in"),
    ],
)
def test_policy_that_would_break_the_fold_is_refused(fields: dict[str, Any], says: str) -> None:
    """A value that arithmetic or the wire can't hold never comes into force."""
    with pytest.raises(InputError, match=says):
        check(Policy(**fields))
    world = a_world("api")
    world.apply("policy", Policy(**fields))
    assert world.fold.directory.policy == QUICK


def test_service_has_one_host() -> None:
    """An inventory that names a service twice is refused: health and incidents are known by its name."""
    world = a_world("api")
    world.apply("inventory", Inventory(services=(spec("web"), spec("web", host="h2"))))
    assert [one.name for one in world.fold.directory.inventory.services] == ["api"]


def test_dependencies_have_no_circle() -> None:
    """Services that depend on each other are refused: each would be the other's echo, and neither healed."""
    circle = (spec("a", depends_on=("b",)), spec("b", depends_on=("c",)), spec("c", depends_on=("a",)), spec("d"))
    with pytest.raises(InputError, match="in a circle among a, b, c"):
        check(Inventory(services=circle))
    check(Inventory(services=(spec("a", depends_on=("b", "c")), spec("b", depends_on=("c",)), spec("c"))))


def test_only_the_host_of_a_command_ends_it() -> None:
    """An outcome that the pool of another host reports changes nothing; that of the command's own host still counts."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    assert world.outcome(command.id, host="h2") == []
    assert kinds(world.outcome(command.id)) == ["command_ended"]


def test_only_the_host_of_a_look_finds_and_ends_it() -> None:
    """Outcomes and findings of another host change no plan."""
    world = team.a_world()
    survey = team.call(world)[-1]
    assert world.outcome(survey.id, host="h2") == []
    assert world.found(survey.id, "process_alive", 1.0, host="h2") == []
    team.bring_up(world)
    assert "0 findings" in team.of(team.finish_looks(world), "synchronised")[0].reason


def test_open_commands_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands whose outcomes never come make room for new ones, the oldest first."""
    monkeypatch.setattr("streams.core.sending.COMMANDS_OPEN_MAX", 2)
    world = a_world("a", "b", "c")
    sent = [only(world.detect(name, "process_crash"), "commanded") for name in "abc"]
    assert list(world.fold._state.commands_open) == [sent[1].id, sent[2].id]


@pytest.mark.parametrize(
    "fields",
    [
        {"queue_limit": 10**400},
        {"port": 10**30},
        {"probes": (ProbeSpec(kind="tcp", target="h:1", every_ms=10**30),)},
        {"probes": (ProbeSpec(kind="tcp", target="h:1", timeout_ms=10**30),)},
    ],
)
def test_an_inventory_that_no_snapshot_could_hold_is_refused(fields: dict[str, Any]) -> None:
    """A number of an entry beyond what it can mean is refused, and the state can still be saved."""
    world = World()
    (decision,) = world.apply("inventory", Inventory(services=(spec("api", **fields),)))
    assert decision.reason == "inventory refused, from ada"
    assert world.fold.snapshot()


def test_a_severity_that_nobody_knows_opens_nothing() -> None:
    """A detection that no detect would write is taken, and action goes on."""
    world = a_world("api")
    assert kinds(world.detect("api", "process_crash", severity="terrible")) == []
    assert "incident_opened" in kinds(world.detect("api", "process_crash"))
