"""Two policies on one log: what differs, and that what differs does not lead astray."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied, Decision, Fact
from streams.core.fold import Fold
from streams.core.kinds import DECISION_KINDS
from streams.core.twin import ADDED, DETAILS, DIFFERENT, DROPPED, INSTEAD, OBSERVED_KINDS, SAME, Pair, Twin
from tests.core.test_fold import QUICK, a_world
from tests.core.test_surging import minutes, settled, tally, told
from tests.core.world import START_MS, World


def applied(policy: Policy) -> ConfigApplied:
    """Return the event that puts a policy in force."""
    body = canonical(policy)
    return ConfigApplied(kind="policy", sha256=sha256(body), author="ada", body=body)


def compared(world: World, policy: Policy) -> list[Pair]:
    """Return the pairs of all facts of a world, with a candidate from the first one on."""
    twin = Twin(Fold.new(strategies()), applied(policy), strategies())
    pairs = [pair for fact, offset, ms in world.facts for pair in twin.apply(fact, offset, ms)]
    assert [pair.recorded for pair in pairs if pair.recorded] == world.decisions
    return pairs


def different(pairs: list[Pair]) -> list[tuple[str, str, str]]:
    """Return (change, kind in the log, kind of the candidate) of what differs."""
    return [
        (one.change, one.recorded.kind if one.recorded else "", one.candidate.kind if one.candidate else "")
        for one in pairs
        if one.change in DIFFERENT
    ]


def healed() -> World:
    """Return a world in which two services crash, one after the other, are restarted and healed."""
    world = a_world("api", "web")
    for service in ("api", "web"):
        command = next(one.command for one in world.detect(service, "process_crash") if one.command)
        world.wait(2)
        world.outcome(command.id)
        for _ in range(4):
            world.wait(4)
            world.normal(service)
    return world


def test_the_same_policy_decides_the_same() -> None:
    """Under an equal policy nothing differs."""
    pairs = compared(healed(), QUICK)
    assert len(pairs) > 5
    assert {one.change for one in pairs} == {SAME}


def test_what_a_person_applies_meanwhile_is_the_candidate_for_the_candidate() -> None:
    """A policy that is applied later does not replace the candidate."""
    world = healed()
    world.apply("policy", replace(QUICK, automatic_recovery=False))
    world.detect("api", "process_crash")
    assert (DROPPED, "withheld", "") not in different(compared(world, QUICK))
    assert (INSTEAD, "withheld", "commanded") in different(compared(world, QUICK))


def test_a_candidate_that_acts_on_nothing_withholds_each_command() -> None:
    """With automatic recovery off each command of the log is withheld instead, once."""
    found = different(compared(healed(), replace(QUICK, automatic_recovery=False)))
    assert found.count((INSTEAD, "commanded", "withheld")) == 2


def test_after_a_difference_the_candidate_goes_on_from_what_was_done() -> None:
    """What followed from the log's commands is no difference: the candidate knows them by then."""
    pairs = compared(healed(), replace(QUICK, automatic_recovery=False))
    later = {one.known.kind: one.change for one in pairs if one.known.kind in {"command_ended", "verified"}}
    assert later == {"command_ended": SAME, "verified": SAME}


def test_a_command_that_only_the_candidate_sends_is_no_failed_one() -> None:
    """The outcomes that never come for a candidate's commands open no breaker and fail no incident."""
    world = a_world("api", policy=replace(QUICK, automatic_recovery=False))
    for _ in range(8):
        world.detect("api", "process_crash")
        world.wait(30)
    found = different(compared(world, QUICK))
    assert (INSTEAD, "withheld", "commanded") in found
    assert not [kinds for kinds in found if "command_overdue" in kinds or "escalated" in kinds[2:]]


def test_other_probabilities_are_details() -> None:
    """Another rate of exploration changes options and what they weigh, and by itself no act."""
    pairs = compared(healed(), replace(QUICK, cost_weight=0.11))
    assert {one.change for one in pairs} == {SAME, DETAILS}


def test_what_only_the_candidate_observes_is_added() -> None:
    """Lines that surge under the candidate's factor alone are added, once each, and over when the candidate says so."""
    world = settled()
    told(world, tally("api", world.ms, 25))
    world.ms += 1_000
    told(world, tally("api", world.ms, 5))
    for _ in range(5):
        world.ms += 60_000
        minutes(world, 1, 10)
    found = different(compared(world, Policy(surge_factor=2.0)))
    assert found == [(ADDED, "", "rate_surged")] * 2 + [(ADDED, "", "rate_subsided")] * 2


def test_a_candidate_that_fails_on_a_fact_goes_on_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fact on which only the candidate's fold raises is counted, and the next one is decided as ever."""
    world = healed()
    twin = Twin(Fold.new(strategies()), applied(QUICK), strategies())
    calls = iter(range(1_000))
    apply = Fold.apply

    def failing(fold: Fold, fact: Fact, offset: int, append_ms: int) -> list[Decision]:
        if next(calls) == 9:
            raise ZeroDivisionError
        return apply(fold, fact, offset, append_ms)

    monkeypatch.setattr(Fold, "apply", failing)
    pairs = [pair for fact, offset, ms in world.facts for pair in twin.apply(fact, offset, ms)]
    assert twin.failures == 1
    assert {one.change for one in pairs if one.known.facts_offset > 4} == {SAME}


def test_what_the_log_rejects_both_reject() -> None:
    """A rejected fact halts action under both policies, and nothing differs."""
    twin = Twin(Fold.new(strategies()), applied(QUICK), strategies())
    pairs = twin.reject(None, 0, START_MS, "undecodable")
    assert [(one.change, one.known.kind) for one in pairs] == [(SAME, "fact_rejected")]


def test_kinds_that_observe_are_kinds() -> None:
    """Every kind that is said to observe is one of the log's."""
    assert DECISION_KINDS.keys() >= OBSERVED_KINDS
