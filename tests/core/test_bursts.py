"""How fast lines come: counted in event time, in few numbers, whatever order they come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.bursts import PARTS, Burst, raised
from streams.core.strategy import PatternRow
from tests.core.world import START_MS, World, kinds

WINDOW_MS = 60_000
ROW = PatternRow(id="x", burst_lines=10, burst_severity="critical")
LINES = st.lists(st.tuples(st.integers(START_MS, START_MS + 300_000), st.integers(1, 5)), min_size=1, max_size=40)


def burst_of(lines: list[tuple[int, int]]) -> Burst:
    """Count lines of (event time, how many) in the order given."""
    burst = Burst()
    for at_ms, count in lines:
        burst.add(at_ms, count, WINDOW_MS)
    return burst


@given(LINES)
def test_a_window_is_counted(lines: list[tuple[int, int]]) -> None:
    """The count lies between that of the window less one part and that of the whole window before the newest line."""
    newest_ms = max(at_ms for at_ms, _ in lines)
    slacks = (0, WINDOW_MS // PARTS)
    within = [sum(count for at_ms, count in lines if at_ms > newest_ms - WINDOW_MS + slack) for slack in slacks]
    assert within[1] <= burst_of(lines).lines() <= within[0]


@given(LINES, st.randoms())
def test_order_does_not_matter(lines: list[tuple[int, int]], chance: object) -> None:
    """Lines that come late count in the window in which they happened."""
    shuffled = sorted(lines, key=lambda _: chance.random())  # type: ignore[attr-defined] # Hypothesis gives a Random
    assert burst_of(shuffled).parts == burst_of(lines).parts


@given(LINES)
def test_state_is_small(lines: list[tuple[int, int]]) -> None:
    """However many lines come, at most ``PARTS`` numbers are kept."""
    assert len(burst_of(lines).parts) <= PARTS


def test_raised() -> None:
    """Enough lines raise a severity, and never lower one; a row without a burst raises nothing."""
    assert [raised(ROW, "error", lines) for lines in (9, 10, 11)] == ["error", "critical", "critical"]
    assert raised(ROW, "fatal", 10) == "fatal"
    assert raised(PatternRow(id="x"), "error", 10**9) == "error"


def test_an_incident_that_begins_with_a_burst_says_so() -> None:
    """When the first lines of an incident are a burst already, it is opened with the raised severity and its reason."""
    opened = World().detect("api", "database_connection", count=10)
    assert kinds(opened)[0] == "incident_opened"
    assert (opened[0].severity, opened[0].reason) == ("critical", "10 lines of database_connection within 60 s")


def test_a_more_severe_symptom_is_recorded() -> None:
    """An incident that becomes worse without a burst names the symptom that made it so."""
    world = World()
    world.detect("api", "database_lock")
    raised_by = [d for d in world.detect("api", "out_of_memory") if d.kind == "severity_raised"]
    assert [(d.severity, d.reason) for d in raised_by] == [("critical", "api out_of_memory")]
