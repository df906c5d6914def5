"""Whatever is reported, in whatever order: what is foreseen stays consistent, and a restored fold goes on the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.config import Policy
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.core.foreseeing import forget
from streams.core.num import draw
from streams.core.outlooks import Outlooks
from streams.core.state import Turn
from tests.core.world import World

SERVICES = ("a", "b", "c")
VALUES = st.one_of(st.floats(0.0, 100.0), st.sampled_from([-1e300, 1e300, 0.0, 1e-9]))
METRICS = st.dictionaries(
    st.sampled_from(["memory", "disk", "throughput", "temperature", "queue_depth"]), VALUES, min_size=1
)
SAMPLE = st.tuples(st.just("sample"), st.sampled_from(SERVICES), METRICS, st.sampled_from([0.0, 0.0, 30.0, 400.0, 1e6]))
DRIFT = st.tuples(
    st.just("drift"),
    st.sampled_from(SERVICES),
    st.sampled_from(["memory", "disk", "throughput"]),
    st.sampled_from([20.0, 60.0, 95.0]),
    st.sampled_from([0.0, 0.7, 2.0, -1.0]),
    st.sampled_from([10, 30, 45]),
)
STEPS = st.lists(
    st.one_of(
        SAMPLE,
        DRIFT,
        DRIFT,
        st.tuples(st.just("wait"), st.sampled_from([1.0, 10.0, 60.0, 60.0, 900.0])),
        st.tuples(
            st.just("break"), st.sampled_from(SERVICES), st.sampled_from(["process_crash", "performance_degradation"])
        ),
        st.tuples(st.just("forget"), st.sampled_from(SERVICES)),
        st.tuples(st.just("switch"), st.booleans()),
    ),
    max_size=20,
)
ENDINGS = {"anomaly_ended": "anomaly_began", "exhaustion_came": "expected", "exhaustion_averted": "expected"}


def play(steps: list[tuple[object, ...]]) -> World:
    """Return a world in which all that happened, with low thresholds, so that much is said."""
    world = World()
    world.apply("policy", Policy(anomaly_surprise=0.3, quiet_close_ms=5_000, exhaustion_within_ms=10**9))
    for step in steps:
        match step:
            case ("sample", str(service), dict(metrics), float(age_s)):
                world.sample(service, age_s, **metrics)
            case ("drift", str(service), str(metric), float(first), float(slope), int(count)):
                for minute in range(count):
                    world.ms += 60_000
                    world.sample(service, **{metric: first + slope * minute + draw(f"{minute}")})
            case ("wait", float(seconds)):
                world.wait(min(seconds, 5.0))
                world.ms += int(max(seconds - 5.0, 0.0) * 1000)
            case ("break", str(service), str(pattern)):
                world.detect(service, pattern)
            case ("switch", bool(on)):
                world.apply("policy", Policy(prediction=on, anomaly_surprise=0.3, quiet_close_ms=5_000))
            case ("forget", str(service)):
                turn = Turn(
                    world.fold._state, world.fold._catalogue, world.fold._fleet, epoch=1, offset=len(world.facts)
                )
                forget(turn, service)
                world.decisions += turn.decisions
                assert service not in world.fold._state.foresight.by_service
    return world


def check_counts(held: Outlooks) -> None:
    """Check that what is counted is what is there."""
    outlooks = held.by_service.values()
    assert held.trends == sum(len(one.series) for one in outlooks)
    assert held.groups == sum(one.group is not None for one in outlooks)
    assert held.detectors == sum(len(one.detectors) for one in outlooks)
    assert held.predictor.waiting_count == sum(map(len, held.predictor.waiting.values()))
    assert all(one.group is None or len(one.group.tracks) == len(one.metrics) for one in outlooks)


def check_pairs(decisions: list[Decision]) -> None:
    """Check that what ends has begun, is of the same service, and ends once."""
    begun = {one.id: one for one in decisions if one.kind in {"anomaly_began", "exhaustion_expected"}}
    ended = [one for one in decisions if one.kind in ENDINGS]
    assert len({one.refers_to for one in ended}) == len(ended)
    for one in ended:
        assert begun[one.refers_to].service == one.service
        assert begun[one.refers_to].kind.endswith(ENDINGS[one.kind])


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_counts_are_right_and_what_ends_has_begun(steps: list[tuple[object, ...]]) -> None:
    """Counts of what is held are true after anything, and every end refers to its own begin."""
    world = play(steps)
    check_counts(world.fold._state.foresight)
    check_pairs(world.decisions)


@settings(max_examples=40, deadline=None)
@given(STEPS.map(lambda steps: [step for step in steps if step[0] != "forget"]), st.floats(0.0, 1.0))
def test_a_restored_fold_decides_the_same_bytes(steps: list[tuple[object, ...]], part: float) -> None:
    """A fold that is restored anywhere in between ends with the same state and the same chain."""
    world = play(steps)
    fold = Fold.new(world.fold._catalogue)
    cut = int(part * len(world.facts))
    for fact, offset, append_ms in world.facts:
        if offset == cut:
            fold = Fold.restore(fold.snapshot(), world.fold._catalogue)
        fold.apply(fact, offset, append_ms)
    assert fold.chain_head == world.fold.chain_head
    assert fold.snapshot() == world.fold.snapshot()
