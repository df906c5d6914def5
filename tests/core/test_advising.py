"""Advisors in the phases of an incident: who is asked, what counts, what follows, and what is learnt."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core.advice import ADVISORS, PROVEN_FIX, ROOT_CAUSE, UNUSUAL_CAUSES, AdvisorsReported
from streams.core.advisors import OPEN_MAX
from streams.core.autonomy import SHADOW, Standing, bound
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.learning import Where
from streams.core.strategy import fixes_of
from tests.core.world import World, figure, kinds, of_kind, spec

POLICY = Policy(
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    lateness_ms=500,
    cooldown_ms=0,
    exploration_rate=0.0,
    blast_radius_share=1.0,
    coordination=False,
)
RESTART, START, CLEAN = "process.restart", "process.start", "process.rollback_config"


def a_world(*names: str, present: bool = True, **policy: Any) -> World:
    """Return a world with advisors (all three unless named), and a service whose first attempt has failed."""
    world = World()
    world.apply("policy", replace(POLICY, **policy))
    world.apply("inventory", Inventory(services=(spec("api"), spec("db"))))
    if present:
        world.advisors(*names)
    fail(world, world.detect("api", "configuration_error"))
    return world


def fail(world: World, decided: list[Decision]) -> None:
    """Let the command that was just decided fail."""
    world.outcome(of_kind(decided, "commanded")[-1].id, ok=False)


def heal(world: World) -> list[Decision]:
    """Let the newest command help, and return what is decided until its incident is closed."""
    decided = world.outcome(of_kind(world.decisions, "commanded")[-1].id)
    decided += world.wait(5)
    decided += world.normal("api")
    return decided + world.wait(2)


def in_phase_3(**policy: Any) -> World:
    """Return a world with an incident in phase 3, three advisors asked."""
    world = a_world(**policy)
    world.opine(ROOT_CAUSE, START, 0.1)
    return world


def settled(world: World) -> list[str]:
    """Return what came of each question."""
    return [one.reason for one in of_kind(world.decisions, "advice_settled")]


def phases(world: World) -> list[str]:
    """Return the reasons of phases 2 and 3."""
    return [one.reason for one in of_kind(world.decisions, "phase_entered")]


def last(world: World, kind: str) -> Decision:
    """Return the newest decision of a kind."""
    return of_kind(world.decisions, kind)[-1]


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


# ----------------------------------------------------------------------------------------------------------- hostility


@pytest.mark.parametrize("action", ["escalate", "process.wipe", "docker.restart", "rm -rf /", "process.restart "])
def test_an_action_that_is_no_option_is_an_abstention(action: str) -> None:
    """What is not on the question's list is not done and not counted, however sure the advisor is."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, action, 1.0)
    assert [one.reason for one in decided[:2]] == ["root_cause: abstained, not_allowed", "none answered"]


def test_a_barred_option_can_not_be_advised() -> None:
    """An action that evidence has put in shadow is among the options as barred, and an opinion for it abstains."""
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api"),)))
    world.advisors()
    state, where = world.fold._state, Where(pattern="process_crash", category="process", service_type="process")
    for _ in range(30):
        state.lessons.learn(where, START, success=False, forgetting=0.0)
    state.autonomy.standings[f"process_crash|process|{START}"] = Standing(SHADOW, state.clock.now_ms)
    fail(world, world.detect("api", "process_crash"))
    assert [one.barred for one in last(world, "advice_asked").options if one.action == START] == [SHADOW]
    decided = world.opine(ROOT_CAUSE, START, 1.0)
    assert decided[0].reason == "root_cause: abstained, not_allowed"
    assert not [one for one in of_kind(world.decisions, "commanded") if one.command and one.command.action == START]


@pytest.mark.parametrize("confidence", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_confidence_that_is_none_is_an_abstention(confidence: float) -> None:
    """A number that is no share can't outweigh anything."""
    world = a_world()
    decided = world.opine(ROOT_CAUSE, START, confidence)
    assert decided[0].reason == "root_cause: abstained, bad_answer"
    assert figure(decided[0], "stated_confidence") == 0


@pytest.mark.parametrize("fields", [{"question_id": "1-0-0"}, {"question_id": ""}, {"advisor": "oracle"}])
def test_who_was_not_asked_changes_nothing(fields: dict[str, Any]) -> None:
    """An unknown question or an unknown advisor is not even recorded."""
    world = a_world()
    values: dict[str, Any] = {"advisor": ROOT_CAUSE, "action": START, **fields}
    assert world.opine(**values) == []


def test_an_advisor_has_one_voice() -> None:
    """The second opinion of the same advisor on a question changes nothing, whoever else has to speak yet."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START)
    assert world.opine(PROVEN_FIX, START) == []
    assert len(settled(world)) == 1


def test_a_late_opinion_is_recorded_and_does_not_count() -> None:
    """What comes when the question is settled, or its incident closed, is told once and changes nothing."""
    world = a_world()
    world.wait(60)
    decided = world.opine(ROOT_CAUSE, START, 1.0)
    assert [one.reason for one in decided] == ["root_cause: process.start, too late"]
    heal(world)
    decided = world.opine(PROVEN_FIX, START, 1.0)
    assert [one.reason for one in decided] == ["proven_fix: process.start, too late"]
    about = ("incident", "service", "host", "pattern", "category", "severity")
    asked = of_kind(world.decisions, "advice_asked")[0]
    assert [getattr(decided[0], name) for name in about] == [getattr(asked, name) for name in about]
    assert world.opine(PROVEN_FIX, START, 1.0) == []


def test_an_opinion_at_the_very_end_of_its_time_is_late() -> None:
    """With no fact between, what comes when the time is over finds the question settled."""
    world = a_world()
    world.ms += 60_000
    decided = world.opine(ROOT_CAUSE, START, 1.0)
    assert [one.reason for one in decided[:2]] == ["none answered", "root_cause: process.start, too late"]


def test_a_suspect_or_cause_that_nobody_knows_is_unknown() -> None:
    """Two invented origins that are equal do not make two different actions agree."""
    world = in_phase_3()
    for advisor, action in zip(ADVISORS, (START, RESTART, CLEAN), strict=True):
        world.opine(advisor, action, 1.0, suspect="made up", cause="made up")
    assert settled(world)[1] == "none agreed"


# ----------------------------------------------------------------------------------------------------------- guardrails


def test_a_guardrail_has_the_last_word() -> None:
    """While people have halted action an opinion is recorded and settled, and nothing is done until they resume."""
    world = a_world()
    world.halt()
    decided = world.opine(ROOT_CAUSE, START, 1.0)
    assert kinds(decided) == ["advised", "advice_settled"]
    assert "commanded" in kinds(world.resume())


def test_a_person_is_asked_for_what_was_advised_where_the_mode_says_so() -> None:
    """Advice does not make an action of a service in mode approve automatic."""
    world = World()
    world.apply("policy", POLICY)
    world.apply("inventory", Inventory(services=(spec("api", mode="approve"),)))
    world.advisors()
    sent = (
        world.answer(last(world, "approval_requested"), approved=True) if world.detect("api", "process_crash") else []
    )
    world.outcome(sent[-1].id, ok=False)
    assert kinds(world.opine(ROOT_CAUSE, START, 1.0))[-1] == "approval_requested"


def test_the_next_advisors_are_asked_while_a_cool_down_runs() -> None:
    """An opinion that is too unsure brings phase 3 at once: there is no need to wait for what would not be done."""
    world = a_world(cooldown_ms=30_000)
    assert "advice_asked" in kinds(world.opine(ROOT_CAUSE, START, 0.1))
    assert phases(world)[1] == "3: advice too unsure, three advisors"


def test_advice_is_gathered_while_a_cool_down_runs() -> None:
    """The question is asked when the phase begins, and its answer waits for the cool-down instead of after it."""
    world = a_world(cooldown_ms=30_000)
    assert "advice_settled" in kinds(world.opine(ROOT_CAUSE, START, 0.9))
    decided = world.wait(31)
    assert [one.command.action for one in of_kind(decided, "commanded") if one.command] == [START]


# ------------------------------------------------------------------------------------------------------------- teaching


def test_an_outcome_teaches_what_the_confidence_of_its_advisor_is_worth() -> None:
    """A success in phase 2 raises the trust in who advised it, a failure lowers it, and the decision tells it."""
    healed, failed = a_world(), a_world()
    for world in (healed, failed):
        world.opine(ROOT_CAUSE, START, 0.8)
    verified = next(one for one in heal(healed) if one.kind == "verified")
    assert figure(verified, "trust_root_cause") > 0.8
    ended = failed.outcome(last(failed, "commanded").id, ok=False)[0]
    assert figure(ended, "trust_root_cause") < 0.8
    assert healed.fold._state.advisors.worth(ROOT_CAUSE, 0.8) == figure(verified, "trust_root_cause")


def test_who_advised_something_else_learns_nothing_of_it() -> None:
    """The dissenter's action was not tried, so nothing is known of what it would have done."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START)
    world.opine(UNUSUAL_CAUSES, RESTART, suspect="db", cause="database_lock")
    world.opine(ROOT_CAUSE, START)
    heal(world)
    assert set(world.fold._state.advisors.records) == {PROVEN_FIX, ROOT_CAUSE}


def test_a_consensus_that_helped_is_a_known_fix_from_then_on() -> None:
    """What two agreed on and was verified is taught as a fix, which phase 1 then knows: no advisor is asked again."""
    world = in_phase_3()
    where = Where(pattern="configuration_error", category="configuration", service_type="process")
    assert START not in fixes_of(strategies(), world.fold._state.lessons, where)
    for advisor in ADVISORS:
        world.opine(advisor, START, 0.9)
    verified = next(one for one in heal(world) if one.kind == "verified")
    assert figure(verified, "taught_confidence") == 0.9
    assert fixes_of(strategies(), world.fold._state.lessons, where)[START] == 0.9


def test_a_fix_that_is_known_already_is_not_taught_again() -> None:
    """What is shipped keeps its confidence whatever advisors say of it; outcomes alone change what is thought of it."""
    world = in_phase_3()
    for advisor in ADVISORS:
        world.opine(advisor, CLEAN, 1.0)
    verified = next(one for one in heal(world) if one.kind == "verified")
    assert "taught_confidence" not in {one.name for one in verified.figures}
    assert world.fold._state.lessons.taught == {}


def test_a_consensus_gives_no_autonomy() -> None:
    """What an action may do unasked is bounded by its outcomes as if nobody had advised it."""
    world = in_phase_3()
    for advisor in ADVISORS:
        world.opine(advisor, START, 1.0)
    heal(world)
    lessons, where = (
        world.fold._state.lessons,
        Where(pattern="configuration_error", category="configuration", service_type="process"),
    )
    known = bound(strategies(), lessons, POLICY, where, START)
    lessons.taught.clear()
    assert bound(strategies(), lessons, POLICY, where, START) == known


def test_a_fix_that_was_taught_goes_when_the_world_has_changed() -> None:
    """When outcomes no longer fit, what was taught there is put away with all that was learnt."""
    world = in_phase_3()
    for advisor in ADVISORS:
        world.opine(advisor, START, 1.0)
    heal(world)
    lessons, where = (
        world.fold._state.lessons,
        Where(pattern="configuration_error", category="configuration", service_type="process"),
    )
    assert START in lessons.taught_for(where)
    for success in [True] * 30 + [False] * 15:
        lessons.learn(where, START, success=success, forgetting=0.0)
    assert lessons.taught_for(where) == {}


def test_one_advisor_alone_teaches_no_fix() -> None:
    """A success in phase 2 is learnt as any other."""
    world = a_world()
    world.opine(ROOT_CAUSE, START, 0.9)
    heal(world)
    assert world.fold._state.lessons.taught == {}


# ------------------------------------------------------------------------------------------------------------ the state


def test_a_question_outlives_a_snapshot() -> None:
    """A fold restored between question and answers decides the same of them."""
    world = in_phase_3()
    world.opine(PROVEN_FIX, START)
    again = Fold.restore(world.fold.snapshot(), strategies())
    cut = len(world.facts)
    world.opine(ROOT_CAUSE, START)
    world.opine(UNUSUAL_CAUSES, START)
    heal(world)
    repeated = [one for fact, offset, ms in world.facts[cut:] for one in again.apply(fact, offset, ms)]
    assert [one.previous_sha256 for one in repeated] == [
        one.previous_sha256 for one in world.decisions[-len(repeated) :]
    ]
    assert again.snapshot() == world.fold.snapshot()
