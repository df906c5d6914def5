"""Services that get into trouble together are found as it happens, once a pair."""

from __future__ import annotations

import pytest

from streams.core import outlooks, together
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.foreseeing import _situation
from streams.core.num import draw
from streams.core.state import Turn
from streams.core.together import NEAR_MAX, Onsets
from tests.core.world import World, figure, of_kind, spec

HOUR_S = 3_600


def a_world(*names: str) -> World:
    """Return a world whose services are only observed, and whose incidents subside within ten seconds."""
    world = World()
    world.apply("policy", Policy(quiet_close_ms=10_000))
    world.apply("inventory", Inventory(services=tuple(spec(name, mode="observe") for name in names)))
    return world


def together_in_trouble(world: World, times: int) -> list[Decision]:
    """Let cart follow db by 40 s, every hour or so; mail fails at other times."""
    decided = []
    for time in range(times):
        decided += world.detect("db", "process_crash")
        decided += world.wait(40)
        decided += world.detect("cart", "process_crash")
        decided += world.wait(1_200 + 600 * draw(f"pause {time}"))
        decided += world.detect("mail", "process_crash")
        decided += world.wait(HOUR_S)
    return decided


def test_who_follows_another_is_tied_to_it_once() -> None:
    """Cart fails 40 s after db, again and again: one tie, led by db; mail, which fails alone, has none."""
    world = a_world("db", "cart", "mail")
    (found,) = of_kind(together_in_trouble(world, 12), "tie_found")
    assert (found.service, found.reason) == ("db", "leads cart")
    assert figure(found, "lag_ms") == 40_000.0
    assert figure(found, "meetings") > 3 * figure(found, "expected")
    assert figure(found, "surprise") >= 3.0
    assert (found.refers_to in {one.incident for one in world.decisions}, found.incident) == (True, "")


def test_who_fails_at_the_same_moment_leads_nobody() -> None:
    """Two services whose trouble begins in the same second are tied, and neither leads."""
    world = a_world("one", "two")
    for _ in range(12):
        world.detect("one", "process_crash")
        world.detect("two", "process_crash")
        world.wait(2 * HOUR_S)
    (found,) = of_kind(world.decisions, "tie_found")
    assert found.reason.split()[0] == "with"
    assert {found.service, found.reason.split()[1]} == {"one", "two"}


def test_a_tied_service_in_trouble_is_a_feature() -> None:
    """Of a service that is tied to one with an open incident, one correlated service is in trouble."""
    world = a_world("db", "cart", "mail")
    together_in_trouble(world, 12)
    world.sample("cart", memory=40.0)
    counts = []
    for _ in range(2):
        state = world.fold._state
        turn = Turn(state, world.fold._catalogue, world.fold._fleet, epoch=1, offset=len(world.facts))
        vital, outlook = state.vitals.followed["cart"], state.foresight.by_service["cart"]
        counts.append(_situation(turn, "cart", vital, outlook, world.ms).correlated_in_trouble)
        world.detect("db", "process_crash")
    assert counts == [0, 1]


def test_an_echo_begins_no_trouble() -> None:
    """What joins the incident of its dependency has no onset of its own: a declared tie needs no finding."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("db"), spec("api", depends_on=("db",)))))
    world.detect("db", "process_crash")
    world.detect("api", "connection_refused")
    assert list(world.fold._state.foresight.onsets.times) == ["db"]


def test_ties_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pair that was found first is forgotten first, on both sides."""
    monkeypatch.setattr(outlooks, "TIES_MAX", 2)
    held = outlooks.Outlooks()
    assert [held.tie(*pair) for pair in (("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"))] == [True, False, True, True]
    assert held.ties == [("b", "c"), ("c", "d")]
    assert held.tied == {"b": ["c"], "c": ["b", "d"], "d": ["c"]}


def test_services_with_onsets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service that was well for the longest is forgotten first."""
    monkeypatch.setattr(together, "SERVICES_MAX", 2)
    onsets = Onsets(0)
    for at_ms, name in enumerate(("one", "two", "one", "three")):
        onsets.add(name, at_ms)
    assert list(onsets.times) == ["one", "three"]


def test_an_onset_meets_those_just_before_it() -> None:
    """An onset meets other services within five minutes, each once, itself never, and a storm has a limit."""
    onsets = Onsets(0)
    assert onsets.add("one", 1_000_000) == []
    assert onsets.add("one", 1_000_001) == []
    assert onsets.add("two", 1_300_001) == ["one"]
    assert onsets.add("three", 1_600_002) == []
    for number in range(100):
        met = onsets.add(f"storm-{number}", 9_000_000)
    assert len(met) == NEAR_MAX
    assert met[-1] == "storm-98"


def test_pairs_that_are_asked_for_are_judged_as_among_all() -> None:
    """A tie that is asked for alone has the surprise that it has among all pairs; who is unknown has none."""
    onsets = Onsets(0)
    for day in range(8):
        for name in ("a", "b", "c"):
            onsets.add(name, day * 86_400_000 + int(20_000_000 * draw(f"{day}")) + (name == "c") * 40_000_000)
    every = onsets.ties(8 * 86_400_000, 3.0)
    assert onsets.ties(8 * 86_400_000, 3.0, [("a", "b"), ("a", "nobody")]) == [
        tie for tie in every if {tie.first, tie.second} == {"a", "b"}
    ]
