"""Failures are foretold from what preceded earlier ones, and only then."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.core.config import Inventory, Policy, check
from streams.core.errors import InputError
from streams.core.events import Decision, Figure
from streams.core.fold import Fold
from streams.core.outlooks import LEARNT_PER_SECOND_MAX, Outlooks
from streams.core.prediction import RIPE_MAX, FailurePredictor, Foresight, Ripe
from tests.core.world import START_MS, World, figure, of_kind, spec

EVERY_S = 10.0
CALM = 40.0


def a_world(policy: Policy | None = None) -> World:
    """Return a world with a policy."""
    world = World()
    world.apply("policy", policy or Policy())
    return world


def outlooks(world: World) -> Outlooks:
    """Return what the fold foresees."""
    return world.fold._state.foresight


def predictor(world: World) -> FailurePredictor:
    """Return the learner."""
    return outlooks(world).predictor


def learnt(world: World, *, failed: bool = True) -> int:
    """Return how many examples of a failure, or of none, are learnt, or will be with the vectors to come."""
    known = predictor(world)
    seen = known.regression.positives if failed else known.regression.negatives
    return seen + sum(one.failed == failed for one in known.ripe)


def live(world: World, name: str, *memory: float) -> list[Decision]:
    """Let a service report its memory every ten seconds; return what was decided."""
    decided = []
    for value in memory:
        decided += world.sample(name, memory=value)
        decided += world.wait(EVERY_S)
    return decided


def die(world: World, name: str, begin: float = CALM) -> list[Decision]:
    """Let a service be calm for a while, leak and crash."""
    decided = live(world, name, *[begin] * 8, 60.0, 75.0, 85.0, 95.0)
    return decided + world.detect(name, "process_crash")


def taught(policy: Policy | None = None) -> World:
    """Return a world in which eight services leaked and crashed."""
    world = a_world(policy)
    for number in range(8):
        die(world, f"old-{number}")
    return world


def test_a_failure_like_earlier_ones_is_foretold() -> None:
    """After eight leaks that ended in a crash, the ninth is an alarm before it crashes, led by its memory."""
    world = taught()
    said = of_kind(die(world, "new"), "predicted")
    assert [one.service for one in said] == ["new"] * len(said)
    alarms = [figure(one, "probability") >= 0.5 for one in said]
    assert (alarms[0], alarms[-1], alarms) == (False, True, sorted(alarms))
    assert said[-1].reason.startswith("memory.")
    assert said[-1].strategy == "restart"
    assert said[-1].at_ms < world.ms


def test_nothing_is_predicted_untaught() -> None:
    """A leak in a world that saw no failure is not predicted, but what it did is held back to be learnt from."""
    world = a_world()
    assert of_kind(die(world, "first"), "predicted") == []
    assert learnt(world) > 0


def test_a_calm_service_has_one_prediction_a_horizon() -> None:
    """In five minutes of calm there are ten predictions, 30 s apart, and none is an alarm."""
    world = taught()
    said = of_kind(live(world, "calm", *[CALM] * 30), "predicted")
    assert [later.at_ms - one.at_ms for one, later in pairwise(said)] == [30_000] * 9
    assert max(figure(one, "probability") for one in said) < 0.5


def test_an_alarm_is_said_at_once_and_so_is_its_end() -> None:
    """A prediction that crosses the alarm, up or down, is recorded less than a horizon after the last one."""
    world = taught()
    said = of_kind(live(world, "new", *[CALM] * 11, 95.0, *[CALM] * 30), "predicted")
    alarms = [figure(one, "probability") >= 0.5 for one in said]
    up = alarms.index(True)
    assert said[up].at_ms - said[up - 1].at_ms < 30_000
    assert not any(alarms[alarms.index(False, up) :])


def test_off_means_nothing_is_predicted_learnt_or_forecast() -> None:
    """With the switch off no example is learnt, and nothing is said of what is ahead."""
    world = taught(Policy(prediction=False))
    for _ in range(40):
        live(world, "calm", *[CALM] * 6)
    assert predictor(world).regression.examples == 0
    assert predictor(world).waiting_count == 0
    assert of_kind(world.decisions, "predicted") == []
    assert of_kind(world.decisions, "forecast") == []


def test_what_was_held_back_before_the_switch_is_not_learnt_after_it() -> None:
    """A vector whose outcome came while predictions were off is forgotten: nobody knows what became of it."""
    world = a_world()
    live(world, "api", CALM, CALM)
    world.apply("policy", Policy(prediction=False))
    live(world, "api", CALM)
    assert predictor(world).waiting_count == 0


def test_a_broken_service_is_not_predicted() -> None:
    """While an incident of error or more is open on a service, nothing is predicted of it, and nothing held back."""
    world = taught()
    die(world, "new")
    assert of_kind(live(world, "new", 95.0, 95.0, 95.0, 95.0), "predicted") == []
    assert "new" not in predictor(world).waiting


def test_a_warning_is_no_failure_until_it_is_an_error() -> None:
    """An incident of severity warning teaches no failure; when it is raised to error, it does."""
    world = a_world()
    live(world, "api", CALM, CALM)
    world.detect("api", "performance_degradation")
    assert learnt(world) == 0
    world.wait(EVERY_S)
    world.detect("api", "performance_degradation", severity="error")
    assert learnt(world) == 3


def test_a_failure_that_is_told_twice_is_learnt_once() -> None:
    """A crash that lines and probes tell of teaches as many warnings as one that lines alone tell of."""
    world, other = a_world(), a_world()
    for one in (world, other):
        one.apply("inventory", Inventory(services=(spec("api", mode="observe"),)))
        live(one, "api", CALM, CALM, CALM)
        one.detect("api", "process_crash")
    world.probe("api", ok=False)
    world.probe("api", ok=False)
    assert learnt(world) == learnt(other) > 0


def test_old_evidence_teaches_but_is_not_foretold() -> None:
    """Of samples of an hour ago the learner learns, and nothing is said: that future has passed."""
    world = taught()
    examples = predictor(world).regression.examples
    for _ in range(12):
        assert of_kind(world.sample("late", memory=CALM, age_s=3_600.0), "predicted") == []
        world.wait(EVERY_S)
    assert predictor(world).regression.examples > examples


def test_it_goes_on_after_a_snapshot_as_if_nothing_was() -> None:
    """A fold that is restored while vectors wait decides the same bytes as the one that went on."""
    world = taught()
    live(world, "new", *[CALM] * 5, 60.0)
    restored = Fold.restore(world.fold.snapshot(), world.fold._catalogue)
    begin = len(world.facts)
    live(world, "new", 75.0, 85.0, 95.0)
    for fact, offset, append_ms in world.facts[begin:]:
        restored.apply(fact, offset, append_ms)
    assert restored.chain_head == world.fold.chain_head
    assert restored.snapshot() == world.fold.snapshot()


def test_minutes_since_the_last_failure_count_from_its_event_time() -> None:
    """The outlook of a service holds the event time of its last failure."""
    world = a_world()
    live(world, "api", CALM)
    world.detect("api", "process_crash", at_ms=world.ms - 2_000)
    assert outlooks(world).by_service["api"].failed_at_ms == world.ms - 2_000


@pytest.mark.parametrize(
    "wrong", [Policy(prediction_alarm=1.5), Policy(capacity_target=1.5), Policy(capacity_target=0.0)]
)
def test_shares_of_the_policy_are_shares(wrong: Policy) -> None:
    """A share above 1, or a target of nothing, is refused."""
    with pytest.raises(InputError, match="policy: "):
        check(wrong)


def test_where_nothing_speaks_for_a_failure_no_feature_is_named() -> None:
    """A prediction that rests on nothing but what is usual names no metric that is not even reported."""
    said = of_kind(live(taught(), "calm", *[CALM] * 12), "predicted")
    assert {one.reason.partition(".")[0] for one in said} <= {"", "memory", "health_score"}


def test_figures_are_numbers_with_names() -> None:
    """A prediction carries its probability, its horizon and the threshold of the alarm."""
    world = taught(Policy(prediction_alarm=0.25))
    said = of_kind(live(world, "calm", CALM), "predicted")[0]
    assert [one.name for one in said.figures] == ["probability", "horizon_ms", "alarm"]
    assert said.figures[1:] == (Figure(name="horizon_ms", value=30_000.0), Figure(name="alarm", value=0.25))
    assert said.at_ms > START_MS


def test_of_what_nothing_is_measured_nothing_is_predicted() -> None:
    """A service that only writes lines, too few to make a metric, teaches nothing."""
    world = a_world()
    world.apply("inventory", Inventory(services=(spec("api"),)))
    for _ in range(10):
        world.normal("api")
        world.wait(EVERY_S)
    assert predictor(world).waiting_count == predictor(world).regression.examples == 0


def test_a_failure_is_learnt_with_the_vectors_after_it() -> None:
    """In the turn in which a service fails nothing is learnt: what is to be done comes first."""
    world = a_world()
    live(world, "api", *[CALM] * 3)
    world.detect("api", "process_crash")
    assert (predictor(world).regression.positives, learnt(world)) == (0, 3)
    live(world, "other", CALM, CALM)
    assert (predictor(world).regression.positives, learnt(world)) == (3, 3)


def test_learning_has_a_limit_a_second() -> None:
    """However many services speak in one second, no more than the limit is learnt in it; the rest waits its turn."""
    held = Outlooks()
    held.predictor.ripe = [Ripe((0.0,) * 64, failed=False)] * 100
    counts = [held.may_learn(now_ms, 2) for now_ms in (5_000, *range(6_000, 6_040))]
    assert counts[0] == 2
    assert sum(counts[1:]) == LEARNT_PER_SECOND_MAX


def test_what_waits_to_be_learnt_is_bounded() -> None:
    """Beyond the limit calm examples are only counted, warnings up to twice as many are kept."""
    known, foresight = FailurePredictor(), Foresight(at_once=False)
    for number in range(3 * RIPE_MAX):
        known.watch(f"calm-{number}", 0, (0.5,) * 64, foresight)
        known.pass_to(f"calm-{number}", 60_000, foresight)
    assert (len(known.ripe), sum(known.calibration.false)) == (RIPE_MAX, 3.0 * RIPE_MAX)
    for number in range(3 * RIPE_MAX):
        known.watch(f"ill-{number}", 0, (0.5,) * 64, foresight)
        known.failed(f"ill-{number}", 1_000, foresight)
    assert (len(known.ripe), known.waiting_count) == (2 * RIPE_MAX, 0)
    known.digest(10)
    assert (known.regression.negatives, len(known.ripe)) == (10, 2 * RIPE_MAX - 10)
