from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab import display, score
from lab.report import fault_row
from lab.score import scored, wilson
from lab.timeline import Story

HEALED = Story(
    fault="no_route",
    service="shop-mail",
    stand_in="an address",
    seen=["network_unreachable"],
    actions=["process.fallback"],
    injected_ms=1_000,
    detected_ms=1_100,
    decided_ms=1_200,
    recovered_ms=1_500,
    verified_ms=15_000,
)
TAKEN_FOR_ANOTHER = Story(
    fault="slow", service="shop-search", seen=["disk_full"], injected_ms=1, decided_ms=2, recovered_ms=3, verified_ms=4
)


def report(*stories: Story, mode: score.Mode = "healing") -> score.LabReport:
    """Return the report on stories of one run."""
    return scored(mode, stories, runs=1, seconds=20.0, verify_ms=3_000, away_ms=10_000)


@pytest.mark.parametrize(
    ("good", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (216, 216, 0.9825, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_wilsons(good: int, count: int, low: float, high: float) -> None:
    """The bounds agree with published tables of the score interval to four places."""
    assert wilson(good, count) == pytest.approx((low, high), abs=5e-5)


def test_a_fault_that_was_taken_for_another_is_not_good() -> None:
    """Healed counts only when the fault's own pattern was seen."""
    assert [one.good for one in report(HEALED, TAKEN_FOR_ANOTHER).faults] == [True, False]


def test_a_fault_that_was_not_injected_fails_the_measurement() -> None:
    """All that was asked for must have been injected, however good the rest is."""
    assert report(HEALED).ok
    assert not report(HEALED, Story(fault="slow", service="shop-search")).ok


def test_where_nothing_acts_every_fault_must_stay() -> None:
    """One fault that ends by itself makes a control run fail."""
    stays = Story(fault="slow", service="shop-search", injected_ms=1, stayed_broken=True)
    assert report(stays, mode="control").ok
    assert not report(stays, HEALED, mode="control").ok


def test_what_nobody_saw_was_not_held_by_the_kill_switch() -> None:
    """With the kill switch on some fault must be seen, and all stay; without Logmend they only stay."""
    unseen = Story(fault="slow", service="shop-search", injected_ms=1, stayed_broken=True)
    seen = Story(fault="slow", service="shop-search", injected_ms=1, detected_ms=2, stayed_broken=True)
    assert [report(*told, mode="halted").ok for told in ((unseen,), (seen, unseen))] == [False, True]
    assert report(unseen, mode="control").ok


def test_a_fault_of_the_demo_that_was_taken_for_another_is_not_healed() -> None:
    """The demo counts as the measurement does: the fault's own pattern has to be among what was seen."""
    row = fault_row(TAKEN_FOR_ANOTHER)
    assert (row.healed, row.note) == (False, "taken for another")
    assert fault_row(HEALED).healed


def test_the_measurement_is_printed_with_stand_ins_and_interval() -> None:
    """A row has its four times, a stand-in is marked and named, and the share has its interval."""
    console = Console(file=io.StringIO(), width=200)
    display.measurement(console, report(HEALED))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    row = next(line for line in text.splitlines() if line.startswith("no_route *"))
    assert row.split()[2:] == [
        *("network_unreachable", "shop-mail", "network_unreachable", "process.fallback"),
        *("0.1", "s", "0.2", "s", "0.5", "s", "14.0", "s", "healed"),
    ]
    assert "an address" in text
    assert "1 of 1 faults healed and verified: 100.0%, 95 % interval 20.7% to 100.0% (Wilson)" in text
