"""Surges and late lines, told of by the fold."""

from __future__ import annotations

from streams.catalogue import strategies
from streams.core.asking import vector_of
from streams.core.config import SERVICES_MAX, Inventory
from streams.core.events import Decision, Tally
from streams.core.features import ERROR_FEATURES
from streams.core.fleet import Fleet
from streams.core.state import Turn
from streams.core.windows import PATTERNS_MAX
from tests.core.world import START_MS, World, spec

OURS = {"rate_surged", "rate_subsided", "lines_late"}


def tally(service: str, at_ms: int, count: int = 1, **fields: str) -> Tally:
    """Return lines of one second; errors without a pattern unless told."""
    named = {"severity": "error", "pattern": "", "template": "", **fields}
    return Tally(at_ms=at_ms - at_ms % 1000, service=service, count=count, **named)


def told(world: World, *tallies: Tally) -> list[Decision]:
    """Append a slice and return what of ours was decided."""
    return [decision for decision in world.slice(tallies=tallies) if decision.kind in OURS]


def minutes(world: World, number: int, lines: int, service: str = "api") -> list[Decision]:
    """Let a service say so many error lines a minute, for some minutes."""
    decided = []
    for _ in range(number):
        decided += told(world, tally(service, world.ms, lines))
        world.ms += 60_000
    return decided


def settled(lines: int = 10) -> World:
    """Return a world in which a service has had so many error lines a minute for ten minutes."""
    world = World()
    assert minutes(world, 10, lines) == []
    return world


def test_a_surge_is_told_once_by_service_and_severity() -> None:
    """Forty lines within a minute, where ten are usual, are a surge of the service and of errors, told of once each."""
    world = settled()
    decided = told(world, tally("api", world.ms, 39)) + told(world, tally("api", world.ms + 3_000, 1))
    decided += told(world, tally("api", world.ms + 5_000, 30))
    assert [(d.kind, d.reason, d.count) for d in decided] == [
        ("rate_surged", "service api", 40),
        ("rate_surged", "severity error", 40),
    ]
    figures = {figure.name: figure.value for figure in decided[0].figures}
    assert figures == {"lines_a_minute": 40, "usual_a_minute": 10, "slope": 6, "session_ms": 600_000}


def test_few_lines_are_no_surge() -> None:
    """Nineteen lines within a minute are no surge, however few are usual."""
    assert minutes(settled(1), 1, 19) == []


def test_what_is_usual_for_a_service_is_no_surge() -> None:
    """A service that always says a hundred errors a minute does not surge with three hundred."""
    assert minutes(settled(100), 1, 300) == []


def test_nothing_surges_before_it_is_known() -> None:
    """A service that begins with a thousand errors a minute has no history to compare them with."""
    assert minutes(World(), 3, 1_000) == []


def test_the_end_of_a_surge_is_told() -> None:
    """When the rate is down again the fleet's next minute says so, of the decision that told of the surge."""
    world = settled()
    surged = minutes(world, 2, 100)
    ended = minutes(world, 2, 10)
    assert [decision.refers_to for decision in ended] == [decision.id for decision in surged]
    assert {figure.name: figure.value for figure in ended[0].figures} == {"peak_a_minute": 100, "lasted_ms": 180_000}


def test_a_silent_service_ends_its_surge_by_anothers_minute() -> None:
    """A service that went silent in its surge needs no further line of its own for the surge to be over."""
    world = settled()
    surged = minutes(world, 1, 100)
    world.ms += 60_000
    ended = told(world, tally("other", world.ms, severity="info"))
    assert [decision.refers_to for decision in ended] == [decision.id for decision in surged]


def test_a_late_line_revises_a_window_that_is_held() -> None:
    """Lines that come two minutes late make the minute that they belong to a surge, and none of them is late."""
    world = settled()
    decided = told(world, tally("api", world.ms - 120_000, 90))
    assert [(d.kind, d.reason, d.count) for d in decided] == [
        ("rate_surged", "service api", 100),
        ("rate_surged", "severity error", 100),
    ]


def test_lines_too_late_are_told_of() -> None:
    """Lines older than every window are counted, and told of at most every ten minutes with how late they were."""
    world = settled()
    first = told(world, tally("api", world.ms - 600_000, 3))
    more = told(world, tally("api", world.ms - 700_000, 4))
    assert minutes(world, 10, 1) == []
    last = told(world, tally("web", world.ms - 600_000, 5))
    assert [decision.kind for decision in (*first, *more, *last)] == ["lines_late"] * 2
    assert [decision.count for decision in (*first, *last)] == [3, 9]
    assert [figure.value for figure in first[0].figures] == [540_000]


def test_patterns_and_categories_surge() -> None:
    """A pattern that comes far more often than usual surges, and so does its category."""
    world = World()
    for _ in range(10):
        world.detect("api", "authentication_failure")
        world.ms += 60_000
    decided = [d.reason for d in world.detect("api", "authentication_failure", count=50) if d.kind == "rate_surged"]
    assert sorted(decided) == ["category security", "pattern authentication_failure"]


def test_patterns_have_a_limit() -> None:
    """However many patterns users' rules have, no more are held than the limit."""
    world = World()
    for first in range(0, PATTERNS_MAX + 200, 100):
        world.slice(tallies=tuple(tally("api", START_MS, pattern=f"p{first + one}") for one in range(100)))
    windows = world.fold._state.windows
    assert len(windows.patterns) == PATTERNS_MAX
    assert f"p{PATTERNS_MAX + 199}" in windows.patterns


def test_a_choice_is_asked_with_the_errors_a_minute_and_their_slope() -> None:
    """What the best strategy is predicted from has the errors of the last minute and how they grew over five."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("api"),)))
    for lines in (10, 20, 30, 40):
        minutes(world, 1, lines)
    world.ms -= 30_000  # within the minute after the last lines
    (opened,) = [one for one in world.detect("api", "process_crash", count=10) if one.kind == "incident_opened"]
    state = world.fold._state
    turn = Turn(state, strategies(), Fleet(state.directory.inventory), epoch=1, offset=0)
    vector = dict(zip(ERROR_FEATURES, vector_of(turn, state.incidents.by_id[opened.id], spec("api")), strict=True))
    assert (vector["errors_per_minute"], vector["error_rate_slope"]) == (50.0, 12.0)


def test_a_service_that_leaves_within_its_surge_stops_nothing() -> None:
    """A surge of a service that the rest of the slice pushes out of the state is not told of."""
    world = settled()
    crowd = (tally(f"made up {number}", world.ms) for number in range(SERVICES_MAX))
    assert [d.reason for d in told(world, tally("api", world.ms, 100), *crowd)] == ["severity error"]


def test_of_old_evidence_no_surge_is_told() -> None:
    """An import of last month's lines surges without a word, and teaches what is usual."""
    world = World()
    for number in range(20):
        at_ms = world.ms - 30 * 86_400_000 + number * 60_000
        assert told(world, tally("api", at_ms, 900 if number == 15 else 10)) == []
    rate = world.fold._state.windows.of("service api")
    assert rate is not None
    assert rate.settled
