"""SPEC C2: what each rule says, and what is recorded when evidence says something else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.catalogue import strategies
from streams.core.asking import vector_of
from streams.core.config import Policy
from streams.core.events import STRATEGIES, Option
from streams.core.features import ERROR_FEATURES
from streams.core.fleet import Fleet
from streams.core.inventory import Switch
from streams.core.learning import Lessons, Where
from streams.core.prediction import Prediction
from streams.core.state import Turn
from streams.core.strategy import Answer, Question, posterior_of, prior_of, score_options
from tests.core.test_fold import QUICK, a_world, only
from tests.core.world import CATEGORY, World, kinds, spec

POLICY = Policy(exploration_rate=0.0)
SURE = Prediction(valid=True, probability=0.9, confidence=0.9, horizon_ms=0, strategy="fallback", leading="attempts")


def ask(pattern: str, severity: str, **fields: Any) -> Question:
    """Return a question about a process."""
    category = CATEGORY[pattern][0]
    return Question(
        pattern=pattern, category=category, severity=severity, spec=spec("api"), failed={}, findings={}, **fields
    )


def answer(question: Question, lessons: Lessons | None = None, policy: Policy = POLICY) -> Answer:
    """Return the options of a question."""
    return score_options(question, strategies(), lessons or Lessons(), policy)


def lessons_of(question: Question, action: str, *, successes: int = 0, failures: int = 0) -> Lessons:
    """Return what these outcomes taught."""
    lessons = Lessons()
    for number in range(successes + failures):
        lessons.learn(question.where, action, success=number < successes, forgetting=0.0)
    return lessons


@pytest.mark.parametrize(
    ("pattern", "severity", "says"),
    [
        ("out_of_memory", "critical", "rule:restart"),
        ("out_of_memory", "fatal", "rule:restart"),
        ("security_intrusion", "critical", "rule:isolate"),
        ("performance_degradation", "critical", "rule:scale_down"),
        ("process_crash", "critical", "learned:process.restart"),
        ("resource_exhaustion", "fatal", "learned:process.restart"),
        ("database_connection", "critical", "rule:rollback"),
        ("out_of_memory", "error", "learned:process.restart"),
        ("configuration_error", "error", "learned:process.rollback_config"),
        ("database_connection", "error", "rule:retry"),
        ("security_intrusion", "warning", "rule:retry"),
    ],
)
def test_each_rule_of_c2(pattern: str, severity: str, says: str) -> None:
    """Critical and fatal: by category, else the learned fix, else rollback; below: the learned fix, else retry."""
    assert str(prior_of(ask(pattern, severity), strategies(), Lessons(), POLICY)) == says


@pytest.mark.parametrize(
    ("pattern", "severity", "predicted", "says"),
    [
        ("database_connection", "error", SURE, "predicted:fallback"),
        ("database_connection", "critical", SURE, "rule:rollback"),
        ("configuration_error", "error", SURE, "learned:process.rollback_config"),
        ("database_connection", "error", None, "rule:retry"),
    ],
)
def test_a_prediction_speaks_after_the_learned_fix_and_below_critical(
    pattern: str, severity: str, predicted: Prediction | None, says: str
) -> None:
    """A valid and confident prediction takes the place of retry, and of nothing else."""
    question = ask(pattern, severity, predicted=predicted)
    assert str(prior_of(question, strategies(), Lessons(), POLICY)) == says


@pytest.mark.parametrize("but", [{"valid": False}, {"confidence": 0.8}])
def test_a_prediction_that_is_not_valid_or_not_above_its_limit_says_nothing(but: dict[str, Any]) -> None:
    """Confidence has to be above 0.80."""
    question = ask("database_connection", "error", predicted=replace(SURE, **but))
    assert str(prior_of(question, strategies(), Lessons(), POLICY)) == "rule:retry"


def test_a_fix_that_nobody_shipped_is_learned_from_success() -> None:
    """Successes make an action the learned fix of a pattern for which none is shipped, once it is above 0.70."""
    question = ask("database_connection", "critical")
    named = [
        str(
            prior_of(
                question,
                strategies(),
                lessons_of(question, "process.start", successes=successes),
                POLICY,
            )
        )
        for successes in (2, 3)
    ]
    assert named == ["rule:rollback", "learned:process.start"]


def test_a_shipped_fix_that_fails_is_forgone() -> None:
    """A shipped fix is not the learned one any more when failures bring its confidence to 0.70 or below."""
    question = ask("process_crash", "critical")
    assert str(prior_of(question, strategies(), lessons_of(question, "process.restart", failures=3), POLICY)) == (
        "rule:rollback"
    )


def test_each_rule_names_a_strategy_of_the_nine() -> None:
    """No rule of the table names what is no strategy, and the last one fits every error."""
    rules = strategies().rules
    assert {rule.strategy for rule in rules if rule.name == "strategy"} <= set(STRATEGIES)
    assert (rules[-1].name, rules[-1].severities, rules[-1].categories) == ("strategy", (), ())


def test_a_departure_says_what_scored_more() -> None:
    """When evidence outweighs the rule, the reason names the rule, the action and both scores."""
    question = ask("out_of_memory", "critical")
    lessons = lessons_of(question, "process.restart", failures=30)
    for _ in range(30):
        lessons.learn(question.where, "process.start", success=True, forgetting=0.0)
    found = answer(question, lessons)
    chosen = max(found.options, key=lambda option: option.score)
    named = next(option for option in found.options if option.strategy == "restart")
    assert chosen.action == "process.start"
    assert found.why(chosen) == (
        f"rule:restart, departed to process.start: score {chosen.score:.2f} against {named.score:.2f}"
    )


def test_a_choice_by_chance_says_its_probability() -> None:
    """What was explored is recorded as that, with the probability that it had."""
    found = answer(ask("database_connection", "error"), policy=Policy(exploration_rate=0.02))
    explored = next(option for option in found.options if 0 < option.probability < 0.5)
    assert f"departed to {explored.action}: explored with probability" in found.why(explored)


def test_without_an_action_for_the_rule_the_reason_says_so() -> None:
    """Isolating goes by a switch or by stopping; scaling needs replicas, and nothing else scales."""
    switches = {"traffic": Switch(kind="traffic", file="t", values=("in", "out"))}
    found = answer(replace(ask("security_intrusion", "critical"), spec=spec("api", switches=switches)))
    assert found.why(_of(found, "process.isolate")) == "rule:isolate"
    scaled = answer(ask("performance_degradation", "critical"))
    assert scaled.why(_of(scaled, "process.restart")) == (
        "rule:scale_down, departed to process.restart: nothing that the rule names can be done"
    )


def test_what_failed_in_this_incident_is_worse_whatever_it_did_elsewhere() -> None:
    """After a failure a minute ago, four hundred successes elsewhere make an action score half at most."""
    question = ask("process_crash", "critical")
    lessons = lessons_of(question, "process.restart", successes=400)
    fresh = _of(answer(question, lessons), "process.restart")
    again = replace(question, failed={"process.restart": 2})
    assert _of(answer(again, lessons), "process.restart").expected_success < 0.6 * fresh.expected_success


def test_confidence_of_a_fix_begins_as_shipped() -> None:
    """Before any evidence the posterior of a shipped fix has its confidence as mean, and eight outcomes' weight."""
    where = Where(pattern="process_crash", category="process", service_type="process")
    good, bad = posterior_of(strategies(), Lessons(), POLICY, where, "process.restart")
    assert (round(good, 9), round(bad, 9)) == (7.6, 0.4)


def test_outcomes_teach_the_predictor_of_strategies() -> None:
    """Verified outcomes of a strategy make its prediction valid, and the next error of its kind is decided by it."""
    world = a_world("api", policy=_policy())
    for _ in range(40):
        _heal(world, only(world.detect("api", "service_unavailable"), "commanded").id)
    known = world.fold._state.strategist.strategies
    assert {strategy: one.positives for strategy, one in known.items()} == {"restart": 40}
    decided = only(world.detect("api", "database_connection"), "commanded")
    assert (decided.reason, decided.strategy) == ("predicted:restart", "restart")


def test_with_prediction_off_no_strategy_is_predicted_or_learnt() -> None:
    """The switch for prediction covers that of strategies: outcomes teach the lessons alone."""
    world = a_world("api", policy=replace(_policy(), prediction=False))
    _heal(world, only(world.detect("api", "service_unavailable"), "commanded").id)
    assert world.fold._state.strategist.strategies == {}
    assert list(world.fold._state.lessons.known) == ["service_unavailable|process"]


def test_a_changed_world_is_a_decision_that_names_the_action() -> None:
    """An action that always helped and then fails is told of once, with the share of success until now."""
    world = a_world("api", policy=replace(_policy(), budget_total=999, breaker_failures=99, attempts_max=9))
    for _ in range(30):
        _heal(world, only(world.detect("api", "process_crash"), "commanded").id)
    world.detect("api", "process_crash")
    while "world_changed" not in kinds(world.decisions) and world.fold.incidents_open:
        if world.decisions[-1].kind == "commanded":
            world.outcome(world.decisions[-1].id, ok=False)
        world.wait(3)
    told = only(world.decisions, "world_changed")
    assert (told.reason, told.strategy, told.pattern) == ("process.restart on process", "restart", "process_crash")
    figures = {one.name: one.value for one in told.figures}
    assert figures["usual_success"] > 0.8
    assert figures["learnt_confidence"] < figures["usual_success"]


def test_a_verified_outcome_says_what_is_believed_from_now_on() -> None:
    """The decision that verifies carries the confidence and how many outcomes it rests on; so does a failure."""
    world = a_world("api", policy=_policy())
    command = only(world.detect("api", "process_crash"), "commanded")
    failed = {one.name: one.value for one in only(world.outcome(command.id, ok=False), "command_ended").figures}
    assert failed == {"learnt_success": 0.0, "learnt_confidence": 0.844444444, "learnt_outcomes": 1.0}
    world.wait(3)
    second = world.decisions[-1]
    assert second.kind == "commanded"
    _heal(world, second.id)
    verified = {one.name: one.value for one in only(world.decisions, "verified").figures}
    assert (verified["learnt_success"], verified["learnt_outcomes"]) == (1.0, 2.0)
    assert verified["learnt_confidence"] > failed["learnt_confidence"]


def _of(found: Answer, action: str) -> Option:
    return next(option for option in found.options if option.action == action)


def _policy() -> Policy:
    return replace(QUICK, flapping_ms=0, budget_per_target=99, budget_per_service=99, budget_total=99)


def _heal(world: World, command_id: str) -> None:
    """End a command well, and let its symptom stay away."""
    world.outcome(command_id)
    world.wait(4)
    world.normal("api")
    world.wait(8)
    world.normal("api")
    world.wait(60)


def test_a_queue_is_seen_beside_its_limit() -> None:
    """What predicts the best strategy knows how full a queue is, when the inventory knows its limit."""
    shares = []
    for limit in (0, 20):
        world = a_world("api", queue_limit=limit)
        world.sample("api", queue_depth=15.0)
        opened = only(world.detect("api", "database_connection"), "incident_opened")
        state = world.fold._state
        turn = Turn(state, strategies(), Fleet(state.directory.inventory), epoch=1, offset=0)
        vector = vector_of(turn, state.incidents.by_id[opened.id], spec("api", queue_limit=limit))
        shares.append(dict(zip(ERROR_FEATURES, vector, strict=True))["queue_share"])
    assert shares == [0.0, 0.75]
