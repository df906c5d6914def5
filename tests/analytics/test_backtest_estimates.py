"""What a candidate's choices would have been worth: formulas, support, and how often intervals hold the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from analytics.backtest.differing import Comparison, Pair
from analytics.backtest.draws import Draw, Draws
from analytics.backtest.estimates import ESTIMATORS, Effect, effective, estimate
from analytics.backtest.refold import Refold
from analytics.backtest.rules import Rules
from analytics.backtest.run import Candidate, backtest
from benchmarks.backtest import BAR, Truth, contexts, coverage, is_trusted, log_of, one_log
from streams.catalogue import strategies
from streams.cli.backtesting import _tell_effect
from streams.core.config import Policy
from streams.core.events import ApprovalGiven
from streams.core.fold import Fold
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.analytics.struggle import apply
from tests.core.test_fold import a_world, only

LOGS = 200
INCIDENTS = 1_000
A, B, C = "process.restart", "process.start", "process.stop"
EVEN = {A: 0.5, B: 0.5}


def draw(
    number: int, action: str, reward: int, candidate: Mapping[str, float], logged: Mapping[str, float] = EVEN
) -> Draw:
    """Return a draw of an incident of its own."""
    return Draw(
        incident=f"1-{number}-0",
        pattern="process_crash",
        service_type="process",
        action=action,
        strategies={A: "restart", B: "retry", C: "isolate"},
        logged=logged,
        candidate=candidate,
        reward=reward,
    )


def even(candidate: Mapping[str, float], count: int = 200) -> list[Draw]:
    """Return as many draws of either action; A always helps, B in one of four."""
    return [draw(at, A if at % 2 else B, int(at % 2 or at % 8 == 0), candidate) for at in range(count)]


@pytest.fixture(scope="module")
def logs() -> list[tuple[Truth, Effect]]:
    """Return the first synthetic logs that the backtest does not warn of."""
    found: list[tuple[Truth, Effect]] = []
    seed = 0
    while len(found) < LOGS:
        real, said = one_log(seed, INCIDENTS)
        found += [(real, said)] if is_trusted(said) else []
        seed += 1
    assert seed < 2 * LOGS
    return found


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_intervals_hold_the_truth(logs: list[tuple[Truth, Effect]], estimator: str) -> None:
    """At least 93 % of the 95 % intervals of 200 logs, of the effect and of the share itself, hold what is true."""
    found = coverage(logs)[estimator]
    assert min(found.effect, found.share) >= BAR


def test_the_doubly_robust_estimate_is_nearer_than_weighting_alone(logs: list[tuple[Truth, Effect]]) -> None:
    """An outcome model takes from the error that weights make."""
    found = coverage(logs)
    assert found["dr"].error < found["ips"].error


def test_the_truth_of_the_synthetic_world_is_what_its_logs_come_to() -> None:
    """Over a long log, the share of verified success is what is said to be true of the log's probabilities."""
    chance = Random(3)
    made = log_of(contexts(chance), 40_000, chance)
    rewards = sum(one.draw.reward for one in made) / len(made)
    assert rewards == pytest.approx(sum(one.logged for one in made) / len(made), abs=0.01)


def test_always_the_better_action_is_worth_its_share() -> None:
    """A candidate that always takes A, which always helps, has a share of one by all three estimators."""
    found = estimate(even({A: 1.0}))
    assert found.logged_share == pytest.approx(0.625)
    assert [found.estimates[name].share.value for name in ("ips", "snips")] == pytest.approx([1.0, 1.0])
    assert found.estimates["dr"].share.value == pytest.approx(1.0, abs=0.02)
    assert found.estimates["ips"].effect.value == pytest.approx(0.375)
    assert (found.changed, found.moved) == (200, 200)
    (flag,) = found.flags
    assert flag.startswith(
        "one-sided: where the candidate chooses otherwise, every draw that it could have made helped"
    )


def test_shares_and_their_intervals_lie_within_0_and_1() -> None:
    """Where heavy weights came more often than they should, a share is still one at most, and within its interval."""
    logged = {A: 0.9, B: 0.1}
    found = estimate([draw(at, B if at % 4 == 0 else A, int(at != 4), {B: 1.0}, logged) for at in range(400)])
    assert found.weight_max * 0.25 > 2.0
    for one in found.estimates.values():
        assert 0.0 <= one.share.low <= one.share.value <= one.share.high <= 1.0
        assert -1.0 <= one.effect.low <= one.effect.value <= one.effect.high <= 1.0


@pytest.mark.parametrize(("helped", "word"), [(1, "helped"), (0, "did not help")])
def test_outcomes_all_alike_are_warned_of(helped: int, word: str) -> None:
    """Where all that the candidate would choose came to the same, resampling finds nothing else, and that is said."""
    alike = [draw(at, A if at % 2 else B, helped if at % 2 else at % 4 // 2, {A: 1.0}) for at in range(200)]
    (flag,) = estimate(alike).flags
    assert f"every draw that it could have made {word}: the intervals don't know" in flag
    mixed = [*alike, draw(900, A, 1 - helped, {A: 1.0})]
    assert estimate(mixed).flags == ()


def test_the_formulas_by_hand() -> None:
    """IPS, SNIPS and the effective sample size of fifty times three draws are what their formulas say."""
    done = [(A, 1), (B, 1), (A, 0)] * 50
    found = estimate(
        [draw(at, action, reward, {A: 0.8, B: 0.2}, {A: 0.4, B: 0.6}) for at, (action, reward) in enumerate(done)]
    )
    assert found.estimates["ips"].share.value == pytest.approx((2.0 + 1 / 3) / 3)
    assert found.estimates["snips"].share.value == pytest.approx((2.0 + 1 / 3) / (2.0 + 1 / 3 + 2.0))
    assert found.effective == pytest.approx(50 * (4 + 1 / 3) ** 2 / (8 + 1 / 9))
    assert found.worth == pytest.approx(150 / (0.8**2 / 0.4 + 0.2**2 / 0.6))
    assert found.weight_max == pytest.approx(2.0)


def test_without_a_difference_the_effect_is_nothing() -> None:
    """The policy in force is worth what the log had: no effect, no width, no warning."""
    found = estimate(even(EVEN))
    for name in ("ips", "snips"):
        one = found.estimates[name]
        assert (one.effect.value, one.effect.low, one.effect.high) == (0.0, 0.0, 0.0)
        assert one.share.value == pytest.approx(found.logged_share)
    assert (found.changed, found.effective, found.flags) == (0, 200.0, ())


def test_what_the_log_never_could_choose_is_left_out_and_said() -> None:
    """Draws in which the candidate prefers an action without probability in the log count for nothing."""
    known = even({A: 0.5, B: 0.5})
    found = estimate([*known, *(draw(900 + at, A, 1, {A: 0.1, C: 0.9}) for at in range(10))])
    assert (found.draws, found.counted, found.unsupported) == (210, 200, 10)
    assert found.estimates == estimate(known).estimates
    assert "in 10 draws the candidate prefers what the log would not have chosen 20 times" in found.flags[0]


def test_a_candidate_that_does_not_act_has_no_estimate() -> None:
    """Where the candidate holds back in all draws, there is no estimate, and it is said."""
    found = estimate([draw(at, A, 1, {}) for at in range(5)])
    assert (found.not_chosen, found.counted, found.estimates, found.logged_share) == (5, 0, {}, None)
    assert any(flag.startswith("no estimate") for flag in found.flags)


def test_a_share_of_nothing_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no choice counts, the log's own share is not known, and no number stands for it."""
    _tell_effect(estimate([draw(at, A, 1, {}) for at in range(5)]), 2)
    (line, *_) = capsys.readouterr().out.splitlines()
    assert line == "verified success: no choice counts, of 5 with a known outcome (2 without)"


def test_few_explored_draws_are_warned_of() -> None:
    """A candidate that prefers what was drawn 24 times in 400 is estimated with a warning, also among others."""
    logged = {A: 0.94, B: 0.06}
    few = [draw(at, B if at % 17 == 0 else A, 1, {B: 1.0}, logged) for at in range(400)]
    among_many = [*few, *(draw(at, A, 1, logged, logged) for at in range(400, 1_400))]
    for found in (estimate(few), estimate(among_many)):
        assert found.worth == pytest.approx(24.0)
        assert "too few: the 400 draws in which the candidate chooses otherwise are worth 24" in found.flags[0]


def test_what_the_log_would_next_to_never_have_chosen_is_left_out() -> None:
    """Two expected draws of an action tell nothing of it, also when both came and helped."""
    logged = {A: 0.98, B: 0.02}
    found = estimate([draw(at, B if at % 50 == 0 else A, 1, {B: 1.0}, logged) for at in range(100)])
    assert (found.counted, found.unsupported, found.estimates) == (0, 100, {})
    harmless = estimate([draw(at, A, 1, {A: 0.99, B: 0.01}, logged) for at in range(1_000)])
    assert (harmless.counted, harmless.flags) == (1_000, ())


def test_the_same_draws_give_the_same_figures() -> None:
    """Chance in the intervals comes from the seed alone."""
    assert estimate(even({A: 0.9, B: 0.1})) == estimate(even({A: 0.9, B: 0.1}))


def test_more_draws_make_narrower_intervals() -> None:
    """Four times the draws halve the interval."""
    few, many = (estimate(even({A: 0.7, B: 0.3}, count)).estimates["dr"].effect for count in (400, 1_600))
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.5, abs=0.1)


def test_equal_weights_are_worth_their_number() -> None:
    """The effective sample size of equal weights is how many there are; of one large weight it is one."""
    assert effective([0.5] * 40) == pytest.approx(40.0)
    assert effective([1e6, 1.0, 1.0]) == pytest.approx(1.0, abs=1e-5)
    assert effective([]) == 0.0


async def test_rewards_are_verified_successes_of_the_log(tmp_path: Path) -> None:
    """Verified counts one, failed counts none, and what is under way at the end of the log has no reward."""
    policy = Policy(coordination=False, flapping_ms=0, cooldown_ms=0, blast_radius_share=1.0)
    history = History()
    history.begin()
    apply(history, policy)
    history.heal("shop")
    history.see("cart", "process_crash")
    history.outcome(history.commands[-1], ok=False)
    history.calm("cart", 5)
    history.see("mail", "process_crash")
    found = backtest(await archive(history, tmp_path), lambda: Fold.new(strategies()), Candidate.of("policy", policy))
    commanded = [one for one in history.decisions if one.kind == "commanded"]
    assert [one.service for one in commanded] == ["shop", "cart", "cart", "mail"]
    assert (found.effect.draws, found.unsettled, found.effect.logged_share) == (2, 2, 0.5)


async def test_a_draw_has_the_probabilities_that_both_folds_give(tmp_path: Path) -> None:
    """The log's are those in its decision; a candidate that explores less leaves as much more to the best."""
    policy = Policy(coordination=False, prior_weight=0.1, autonomy=False, exploration_rate=1.0)
    history = History()
    history.begin()
    apply(history, policy)
    history.see("shop", "database_lock")
    history.outcome(history.commands[0])
    history.calm("shop", 200)
    candidate = Candidate.of("policy", replace(policy, exploration_rate=0.02))
    directory = await archive(history, tmp_path)
    refold = Refold(directory, lambda: Fold.new(strategies()), candidate.event, rules=Rules(None, iter(())))
    comparison, found = Comparison(), Draws()
    for step in refold.steps():
        for pair, downstream in comparison.take(step):
            found.take(pair, downstream=downstream)
    (one,) = found.settled
    chosen = next(one for one in history.decisions if one.kind == "commanded")
    logged = {one.action: one.probability for one in chosen.options if one.probability}
    best = max(logged, key=lambda action: logged[action])
    others = 1.0 - logged[best]
    assert others > 0.02
    assert one.logged == logged
    assert one.candidate == pytest.approx(
        {action: 0.98 if action == best else 0.02 * share / others for action, share in logged.items()}
    )


async def test_an_approved_action_is_a_draw_of_the_decision_that_asked(tmp_path: Path) -> None:
    """What was approved and verified counts one, what was denied none; both were drawn when a person was asked."""
    policy = Policy(coordination=False, risk_auto_max=0.0, flapping_ms=0, blast_radius_share=1.0)
    history = History()
    history.begin()
    apply(history, policy)
    for service, approved in (("shop", True), ("cart", False)):
        history.see(service, "process_crash")
        asked = history.decisions[-1]
        assert asked.command is not None
        history.say(
            ApprovalGiven(
                decision_id=asked.id,
                command_sha256=asked.command.sha256,
                approved=approved,
                author="ann",
                reason="",
            )
        )
    history.outcome(history.commands[0])
    history.calm("shop", 200)
    found = backtest(await archive(history, tmp_path), lambda: Fold.new(strategies()), Candidate.of("policy", policy))
    assert [one.kind for one in history.decisions if one.kind in {"verified", "approval_denied"}] == [
        "approval_denied",
        "verified",
    ]
    assert (found.effect.draws, found.effect.logged_share, found.unsettled) == (2, 0.5, 0)


def test_a_choice_that_might_have_been_a_persons_is_no_draw() -> None:
    """Where the log could have escalated, that it acted is a part of what was drawn: it is left out."""
    world = a_world("api")
    commanded = only(world.detect("api", "process_crash"), "commanded")
    closed = replace(commanded, kind="incident_closed", options=(), command=None)
    for share, settled in ((0.0, 1), (0.1, 0)):
        options = tuple(
            replace(one, probability=share) if one.strategy == "escalate" else one for one in commanded.options
        )
        drawn = Draws()
        one = replace(commanded, options=options)
        drawn.take(Pair(recorded=one, candidate=one, same=True), downstream=False)
        drawn.take(Pair(recorded=closed, candidate=closed, same=True), downstream=False)
        assert len(drawn.settled) == settled
