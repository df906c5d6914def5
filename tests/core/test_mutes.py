"""Silences tell nobody, maintenance lets nothing be done; both end by themselves."""

from __future__ import annotations

import pytest

from streams.core import mutes
from streams.core.config import Inventory, Policy
from streams.core.mutes import stands_for
from tests.core.asking import answer, lift, mute
from tests.core.world import World, figure, kinds, of_kind, spec

POLICY = Policy(attempts_max=1, cooldown_ms=1_000)


def a_world(**fields: object) -> World:
    """Return a world with a service that may be acted on."""
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api", **fields), spec("web"))))
    return world


def test_a_mute_is_set_lifted_and_over() -> None:
    """A mute is a decision with its times; lifting it and its end name that decision."""
    world = a_world()
    (one,) = of_kind(mute(world, service="api", seconds=60, reason="release"), "mute_set")
    (other,) = of_kind(mute(world, "maintenance", seconds=30), "mute_set")
    assert (one.reason, one.service) == ("silence by ada: release", "api")
    assert figure(one, "end_ms") - figure(one, "begin_ms") == 60_000
    assert [two.refers_to for two in of_kind(lift(world, one.id), "mute_lifted")] == [one.id]
    world.ms += 30_000
    world.normal("web")
    assert [two.refers_to for two in of_kind(world.decisions, "mute_ended")] == [other.id]
    assert of_kind(lift(world, one.id), "request_refused")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "quiet"}, "a mute is one of silence, maintenance"),
        ({"seconds": 0}, "the mute is over before it begins"),
        ({"seconds": 32 * 86_400}, "a mute ends within 31 days"),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(fields: dict[str, object], reason: str) -> None:
    """Whoever asks for a mute of no kind, of no time or of too much is told so."""
    (said,) = mute(a_world(), **fields)  # type: ignore[arg-type]  # one of them at a time
    assert (said.kind, said.reason) == ("request_refused", reason)


def test_there_is_a_limit_of_mutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mute too many is refused, and the others hold."""
    monkeypatch.setattr("streams.core.muting.MUTES_MAX", 2)
    world = a_world()
    said = [mute(world)[0].kind for _ in range(3)]
    assert said == ["mute_set", "mute_set", "request_refused"]
    assert mutes.MUTES_MAX == 256


def test_a_silence_does_not_stop_healing() -> None:
    """What is silenced is acted on as ever, and its escalation says because of which mute nobody is told."""
    world = a_world()
    (one,) = of_kind(mute(world, service="a*"), "mute_set")
    world.detect("api", "process_crash")
    (acted,) = of_kind(world.decisions, "commanded")
    assert acted.gates
    assert all(gate.passed for gate in acted.gates)
    world.outcome(acted.id, ok=False)
    (asked,) = of_kind(world.decisions, "escalated")
    assert asked.refers_to == one.id
    assert [(gate.name, gate.passed) for gate in asked.gates] == [("silence", False)]


def test_what_is_not_silenced_is_told() -> None:
    """A mute of another service or pattern, or one that is over, changes nothing of an escalation."""
    world = a_world()
    mute(world, service="web")
    mute(world, pattern="disk*")
    mute(world, seconds=1)
    world.wait(2)
    world.detect("api", "process_crash")
    world.outcome(of_kind(world.decisions, "commanded")[0].id, ok=False)
    (asked,) = of_kind(world.decisions, "escalated")
    assert (asked.refers_to, asked.gates) == ("", ())


def test_nothing_is_acted_on_under_maintenance() -> None:
    """An incident is opened and held back, with the mute that does it; it is acted on when that is over."""
    world = a_world()
    (one,) = of_kind(mute(world, "maintenance", service="api", seconds=300), "mute_set")
    decided = [*world.detect("api", "process_crash"), *world.wait(200)]
    (held,) = of_kind(decided, "withheld")
    assert (held.reason, held.refers_to, held.strategy) == ("maintenance", one.id, "restart")
    assert not {"commanded", "escalated", "phase_entered"} & set(kinds(decided))
    later = world.wait(102)
    assert kinds(later)[0] == "mute_ended"
    assert of_kind(later, "commanded")


def test_lifting_a_maintenance_lets_incidents_go_on_at_once() -> None:
    """With the very fact that ends it, what was held back is acted on."""
    world = a_world()
    (one,) = of_kind(mute(world, "maintenance"), "mute_set")
    world.detect("api", "process_crash")
    assert kinds(lift(world, one.id)) == ["mute_lifted", "commanded"]


def test_an_escalation_waits_for_the_end_of_maintenance() -> None:
    """What fails while its service is maintained is given to a person afterwards, for the same reason."""
    world = a_world()
    world.detect("api", "process_crash")
    (acted,) = of_kind(world.decisions, "commanded")
    (one,) = of_kind(mute(world, "maintenance"), "mute_set")
    during = [*world.outcome(acted.id, status="in_doubt", ok=False, effect="unknown"), *world.wait(60)]
    assert "escalated" not in kinds(during)
    (asked,) = of_kind(lift(world, one.id), "escalated")
    assert asked.reason == "in doubt whether it was done"
    assert kinds(answer(world, asked.id, "acknowledged")) == ["escalation_acknowledged"]


def test_an_approved_action_is_not_done_under_maintenance() -> None:
    """A person's yes to an action does not reach past a maintenance that was set meanwhile."""
    world = a_world(mode="approve")
    world.detect("api", "process_crash")
    (asked,) = of_kind(world.decisions, "approval_requested")
    mute(world, "maintenance", service="api")
    decided = world.answer(asked, approved=True)
    assert "commanded" not in kinds(decided)
    assert of_kind(decided, "approval_denied")[0].reason == "approved, but maintenance"


def test_an_approval_under_a_silence_says_so() -> None:
    """A request that nobody is to be told of carries the silence as a gate."""
    world = a_world(mode="approve")
    mute(world)
    world.detect("api", "process_crash")
    (asked,) = of_kind(world.decisions, "approval_requested")
    assert [gate.name for gate in asked.gates if not gate.passed] == ["silence"]


def test_a_mute_begins_when_it_says() -> None:
    """Before its time a mute holds nothing back, from then on it does."""
    world = a_world()
    mute(world, "maintenance", service="web", begin_ms=world.ms + 5_000)
    assert "commanded" in kinds(world.detect("web", "process_crash"))
    mute(world, "maintenance", service="api", begin_ms=world.ms + 5_000)
    world.wait(6)
    assert of_kind(world.detect("api", "process_crash"), "withheld")[0].reason == "maintenance"


def test_a_name_stands_for_itself_or_for_all_that_begin_so() -> None:
    """Empty stands for all, a star at the end for what begins so; anywhere else a star is a star."""
    assert stands_for("", "api")
    assert stands_for("api", "api")
    assert stands_for("a*", "api")
    assert stands_for("*", "")
    assert not stands_for("api", "api2")
    assert not stands_for("*i", "api")
    assert not stands_for("b*", "api")
