"""Whatever is reported, in whatever order: the vitals stay within their bounds."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.events import HEALTH_METRICS, SAMPLE_KINDS, SEVERITIES, Decision, Sample, Tally
from streams.core.health import STATUSES
from tests.core.test_assessing import state_of
from tests.core.test_fold import a_world
from tests.core.world import World

SERVICES = ("api", "db", "stranger")
numbers = st.floats(allow_nan=False, allow_infinity=False)
samples = st.builds(
    Sample,
    at_ms=st.integers(-600_000, 600_000),
    service=st.sampled_from(SERVICES),
    host=st.sampled_from(("h1", "h2")),
    metric=st.sampled_from((*HEALTH_METRICS, "unheard_of")),
    kind=st.sampled_from(SAMPLE_KINDS),
    series=st.sampled_from(("r", "r#1", "r#2", "q#1", "")),
    count=st.integers(1, 5),
    sum=numbers,
    min=numbers,
    max=numbers,
    last=numbers,
)
tallies = st.builds(
    Tally,
    at_ms=st.integers(-600_000, 600_000),
    service=st.sampled_from(SERVICES),
    severity=st.sampled_from(SEVERITIES),
    pattern=st.just(""),
    template=st.just(""),
    count=st.integers(1, 100),
)
steps = st.lists(
    st.tuples(
        st.lists(samples, max_size=8),
        st.lists(tallies, max_size=3),
        st.lists(st.tuples(st.sampled_from(SERVICES), st.booleans()), max_size=3),
        st.integers(1, 120_000),
    ),
    max_size=40,
)
Step = tuple[list[Sample], list[Tally], list[tuple[str, bool]], int]


def play(world: World, step: Step) -> None:
    """Do what a step says, at the present time; then let time pass."""
    measured, counted, probed, pause_ms = step
    world.slice("metrics", lines=0, samples=tuple(replace(one, at_ms=world.ms + one.at_ms) for one in measured))
    world.slice(tallies=tuple(replace(one, at_ms=world.ms + one.at_ms) for one in counted))
    for service, ok in probed:
        world.probe(service, ok=ok)
    world.ms += pause_ms


@given(steps)
@settings(max_examples=60, deadline=None)
def test_vitals_keep_their_bounds(script: list[Step]) -> None:
    """Nothing raises; scores, figures, counters and alerts stay within what they may be."""
    world = a_world("api", "db")
    for step in script:
        play(world, step)
    vitals = state_of(world).vitals
    assert vitals.counters == sum(len(f.counters) for one in vitals.followed.values() for f in one.flows.values())
    for vital in vitals.followed.values():
        assert vital.score == -1.0 or 0.0 <= vital.score <= 100.0
        assert vital.status in {"", *STATUSES}
        assert set(vital.tracks) == set(vital.rules) <= set(HEALTH_METRICS)
        assert set(vital.alerts) <= set(HEALTH_METRICS)
    for decision in world.decisions:
        assert all(math.isfinite(one.value) for one in decision.figures)
    assert_alerts(world.decisions)


def assert_alerts(decisions: list[Decision]) -> None:
    """Hold every alert to its course: raised once, then only higher, then resolved."""
    level: dict[str, int] = {}
    open_now: set[tuple[str, str]] = set()
    for one in decisions:
        matter = (one.service, one.reason)
        if one.kind == "alerted" and not one.refers_to:
            assert matter not in open_now
            open_now.add(matter)
            level[one.id] = SEVERITIES.index(one.severity)
        elif one.kind == "alerted":
            assert matter in open_now
            assert SEVERITIES.index(one.severity) > level[one.refers_to]
            level[one.refers_to] = SEVERITIES.index(one.severity)
        elif one.kind == "alert_resolved":
            open_now.remove(matter)
            del level[one.refers_to]
