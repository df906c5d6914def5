"""Advisors in the phases of an incident: who is asked, what is recorded of the answers, and what follows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core.advice import PROVEN_FIX, ROOT_CAUSE, UNUSUAL_CAUSES, AdvisorsReported
from streams.core.advisors import OPEN_MAX
from streams.core.config import Inventory
from tests.core.counsel import CLEAN, POLICY, RESTART, START, a_world, fail, heal, in_phase_3, last, phases, settled
from tests.core.world import World, figure, kinds, of_kind, spec

# -------------------------------------------------------------------------------------------------------------- asking


def test_without_advisors_nobody_is_asked() -> None:
    """Where nobody reported, phase 2 says so and decides by the rules in the same turn."""
    world = a_world(present=False)
    assert phases(world) == ["2: after a failed attempt, no advisor"]
    assert not of_kind(world.decisions, "advice_asked")
    assert len(of_kind(world.decisions, "commanded")) == 2


def test_one_advisor_is_asked_in_phase_2_and_waited_for() -> None:
    """The question has the options of the rules, and nothing is done before it is answered."""
    world = a_world()
    asked = last(world, "advice_asked")
    assert (phases(world), asked.reason) == (["2: after a failed attempt, one advisor"], "one")
    assert {figure(asked, "phase"), figure(asked, "wait_ms")} == {2, 60_000}
    assert {RESTART, START, CLEAN, "escalate"} <= {one.action for one in asked.options}
    world.wait(59)
    assert len(of_kind(world.decisions, "commanded")) == 1


def test_three_are_asked_in_phase_3() -> None:
    """The second question of an incident goes to all three, and waits longer."""
    world = in_phase_3()
    asked = last(world, "advice_asked")
    assert (phases(world)[1], asked.reason) == ("3: advice too unsure, three advisors", "three")
    assert (figure(asked, "phase"), figure(asked, "wait_ms")) == (3, 120_000)


def test_a_consensus_takes_two() -> None:
    """With a single advisor there, phase 3 has no advisor: it could agree with nobody."""
    world = a_world(ROOT_CAUSE)
    assert phases(world) == ["2: after a failed attempt, one advisor"]
    world.opine(ROOT_CAUSE, START, 0.1)
    assert phases(world)[1] == "3: advice too unsure, no advisor"


@pytest.mark.parametrize("silence", ["said", "for three minutes", "policy"])
def test_advisors_that_are_gone_are_not_asked(silence: str) -> None:
    """Nobody is asked after a report of nobody, after three minutes without one, or with advice off."""
    world = World()
    world.apply("policy", replace(POLICY, advice=silence != "policy"))
    world.apply("inventory", Inventory(services=(spec("api"),)))
    world.advisors()
    if silence == "said":
        world.say(AdvisorsReported(host="h1", provider="", model="", advisors=(), at_ms=world.ms), "advice")
    for _ in range(3 if silence == "for three minutes" else 0):
        world.ms += 60_000
        world.normal("api")
    fail(world, world.detect("api", "process_crash"))
    assert phases(world) == ["2: after a failed attempt, no advisor"]
    assert not of_kind(world.decisions, "advice_asked")


def test_nobody_is_waited_for_longer_than_half_of_the_phase() -> None:
    """A phase of ten seconds leaves five to the advisors and the rest to the rules."""
    world = a_world(phase2_ms=10_000)
    assert figure(last(world, "advice_asked"), "wait_ms") == 5_000
    world.wait(5)
    assert settled(world) == ["none answered"]
    assert figure(last(world, "commanded"), "phase") == 2


def test_an_incident_that_nothing_may_be_done_about_is_not_asked_about() -> None:
    """Without an action to name there is no question."""
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api", type="http"),)))
    world.advisors()
    world.detect("api", "disk_full")
    assert phases(world) == [f"{number}: no action promises more, no advisor" for number in (2, 3)]


def test_only_so_many_questions_wait_at_one_time() -> None:
    """In a storm the advisors are busy, and the rules decide what is beyond."""
    names = [f"s{number}" for number in range(OPEN_MAX + 5)]
    world = World()
    limits = dict.fromkeys(("budget_per_target", "budget_per_service", "budget_total", "breaker_failures"), 10_000)
    world.apply("policy", replace(POLICY, stuck_failures=0, autonomy=False, **limits))
    world.apply("inventory", Inventory(services=tuple(spec(name) for name in names)))
    world.advisors()
    for name in names:
        decided = world.detect(name, "process_crash")
        if "commanded" in kinds(decided):  # until so many have failed that nothing promises more
            fail(world, decided)
    assert len(of_kind(world.decisions, "advice_asked")) == OPEN_MAX
    assert [reason.partition(", ")[2] for reason in phases(world)[-1:]] == ["no advisor"]


# ----------------------------------------------------------------------------------------------------------- answering


def test_an_opinion_is_recorded_with_what_it_cost() -> None:
    """The decision names the advisor, its action, its stated and calibrated confidence, time, tokens and price."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, START, 0.8)
    said = decided[0]
    assert (said.kind, said.reason, said.confidence) == ("advised", "root_cause: process.start", 0.8)
    assert [row.strategy for row in strategies().actions if row.id == START] == [said.strategy]
    assert said.refers_to == last(world, "advice_asked").id
    assert said.causes[0].topic == "logmend.inbox.advice"
    names = ("stated_confidence", "latency_ms", "tokens", "cost_usd")
    assert [figure(said, name) for name in names] == [0.8, 1_500, 1_000, 0.004]


def test_what_one_advisor_advises_is_done_when_it_outweighs_the_rules() -> None:
    """The verdict speaks for its action, which is commanded in the same turn, and the reason says so."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, START, 0.9)
    assert kinds(decided) == ["advised", "advice_settled", "planned", "commanded"]
    assert settled(world) == ["1 of 1: process.start"]
    sent = decided[-1]
    assert sent.command is not None
    assert sent.command.action == START
    assert "advice=0.9" in sent.reason


def test_advice_weighs_and_does_not_decide() -> None:
    """With next to no weight the rules decide what they would have decided without the opinion."""
    advised, unadvised = a_world(advice_weight=0.001), a_world(present=False)
    advised.opine(ROOT_CAUSE, START, 0.9)
    actions = [one.command.action for one in (last(advised, "commanded"), last(unadvised, "commanded")) if one.command]
    assert actions[0] == actions[1] != START


def test_too_unsure_goes_on_without_an_attempt() -> None:
    """An opinion of less than the least confidence brings phase 3 at once, and nothing was done in phase 2."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, START, 0.49)
    assert kinds(decided) == ["advised", "advice_settled", "phase_entered", "advice_asked"]
    assert settled(world) == ["too unsure"]
    assert last(world, "advice_settled").confidence == 0.49


def test_two_of_three_heal_what_failed_twice() -> None:
    """Two that agree against a third: their action is done in phase 3, and it is healed there."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START, 0.9, suspect="api", cause="configuration_error")
    world.opine(UNUSUAL_CAUSES, RESTART, 0.6, suspect="db", cause="database_lock")
    decided = world.opine(ROOT_CAUSE, START, 0.9, suspect="api", cause="port_conflict")
    assert settled(world)[1] == "2 of 3: process.start"
    sent = last(world, "commanded")
    assert sent in decided
    assert sent.command is not None
    assert (sent.command.action, figure(sent, "phase")) == (START, 3)
    assert "incident_closed" in kinds(heal(world))


def test_three_that_do_not_agree_are_a_case_for_a_person() -> None:
    """Three diagnoses without a common part end phase 3 without an attempt."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START, 0.9, suspect="api", cause="configuration_error")
    world.opine(UNUSUAL_CAUSES, RESTART, 0.9, suspect="db", cause="database_lock")
    decided = world.opine(ROOT_CAUSE, CLEAN, 0.9, suspect="db", cause="disk_full")
    assert settled(world)[1] == "none agreed"
    assert [one.reason for one in of_kind(decided, "escalated")] == ["advisors do not agree"]
    assert len(of_kind(world.decisions, "commanded")) == 1


def test_those_that_answered_are_counted_when_the_time_is_over() -> None:
    """Two answers of three in two minutes are enough when they agree."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START)
    world.opine(ROOT_CAUSE, START)
    assert len(settled(world)) == 1
    decided = world.wait(120)
    assert settled(world)[1] == "2 of 3: process.start"
    assert (figure(last(world, "advice_settled"), "answers"), figure(last(world, "advice_settled"), "agreed")) == (2, 2)
    assert "commanded" in kinds(decided)


def test_silence_leaves_it_to_the_rules() -> None:
    """Nobody answers within a minute: the rules decide in phase 2, as they would have without advisors."""
    world = a_world()
    decided = world.wait(60)
    assert settled(world) == ["none answered"]
    sent = of_kind(decided, "commanded")[0]
    assert (figure(sent, "phase"), "advice" in sent.reason) == (2, False)


def test_one_answer_of_three_leaves_it_to_the_rules() -> None:
    """A single voice is no consensus, and the silence of the others is no disagreement: phase 3 has its attempt."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START, 1.0)
    decided = world.wait(120)
    assert settled(world)[1] == "none answered"
    sent = of_kind(decided, "commanded")[0]
    assert (figure(sent, "phase"), "advice" in sent.reason) == (3, False)


def test_all_abstained_leaves_it_to_the_rules() -> None:
    """An advisor without an opinion says why, and is waited for no longer."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, "", 0.0, code="budget")
    assert [one.reason for one in decided[:2]] == ["root_cause: abstained, budget", "none answered"]
    assert figure(decided[1], "abstentions") == 1
    assert "commanded" in kinds(decided)


def test_abstentions_do_not_lower_what_the_others_agree_on() -> None:
    """Two of three are as sure as they are when the third has nothing to say."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START, 0.8)
    world.opine(UNUSUAL_CAUSES, "", 0.0)
    world.opine(ROOT_CAUSE, START, 0.8)
    assert (settled(world)[1], last(world, "advice_settled").confidence) == ("2 of 3: process.start", 0.8)
