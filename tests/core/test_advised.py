"""What advice can't do, whatever it says: guardrails, learning, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.catalogue import strategies
from streams.core.advice import ADVISORS, PROVEN_FIX, ROOT_CAUSE, UNUSUAL_CAUSES
from streams.core.autonomy import SHADOW, Standing, bound
from streams.core.config import Inventory
from streams.core.fold import Fold
from streams.core.learning import Where
from streams.core.strategy import fixes_of
from tests.core.counsel import CLEAN, POLICY, RESTART, START, a_world, fail, heal, in_phase_3, last, phases, settled
from tests.core.world import World, figure, kinds, of_kind, spec

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


def test_what_is_not_worth_its_cost_and_risk_can_not_be_advised() -> None:
    """Stopping a service that crashed scores below 0 by the rules, so no advisor may name it."""
    world = a_world()
    (score,) = [one.score for one in last(world, "advice_asked").options if one.action == "process.stop"]
    assert score < 0.0
    decided = world.opine(ROOT_CAUSE, "process.stop", 1.0)
    assert decided[0].reason == "root_cause: abstained, not_allowed"


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


def discredited(advisor: str, world: World, stated: float = 0.9) -> World:
    """Let what an advisor said with a confidence have failed nine times."""
    for _ in range(9):
        world.fold._state.advisors.learn(advisor, stated, success=False)
    return world


def test_an_advisor_that_was_always_wrong_counts_as_silent() -> None:
    """Its opinion is recorded as not trusted, and the rules have their attempt: it costs nothing but its answer."""
    world = discredited(ROOT_CAUSE, a_world())
    decided = world.opine(ROOT_CAUSE, START, 0.9)
    assert [one.reason for one in decided[:2]] == ["root_cause: process.start, not trusted", "none answered"]
    sent = last(world, "commanded")
    assert (figure(sent, "phase"), "advice" in sent.reason) == (2, False)


def test_an_advisor_that_states_little_is_unsure_whatever_came_of_its_opinions() -> None:
    """Doubt that it states itself is heard: the next phase, without an attempt."""
    world = discredited(ROOT_CAUSE, a_world(), 0.4)
    world.opine(ROOT_CAUSE, START, 0.4)
    assert settled(world) == ["too unsure"]


def test_two_that_are_trusted_agree_without_the_third() -> None:
    """A discredited voice neither agrees nor dissents."""
    world = discredited(UNUSUAL_CAUSES, in_phase_3())
    world.opine(PROVEN_FIX, START, 0.8)
    world.opine(UNUSUAL_CAUSES, RESTART, 0.9, suspect="db", cause="database_lock")
    world.opine(ROOT_CAUSE, START, 0.8)
    assert (settled(world)[1], last(world, "advice_settled").confidence) == ("2 of 3: process.start", 0.8)


def test_a_discredited_advisor_earns_trust_where_the_rules_do_what_it_says() -> None:
    """What it advised and the rules did anyway is learnt from, so a better model is believed again."""
    world = discredited(ROOT_CAUSE, a_world())
    before = world.fold._state.advisors.worth(ROOT_CAUSE, 0.9)
    world.opine(ROOT_CAUSE, CLEAN, 0.9)
    sent = last(world, "commanded").command
    assert sent is not None
    assert sent.action == CLEAN
    heal(world)
    assert world.fold._state.advisors.worth(ROOT_CAUSE, 0.9) > before


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
