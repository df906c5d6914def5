from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from lab.closed_loop import Component, Loop
from lab.in_process import AT_ONCE, IN_PARALLEL, Figures, measure, one_after_another
from lab.scenarios.figures import Figure, Storm, alone, by_strategy, of_storm
from lab.scenarios.toolchain import claim_of_figures
from lab.stopwatch import Span, Times, times
from streams.core.config import Inventory, Policy
from streams.core.events import Decision
from streams.ingest import matcher
from tests.core.world import World, spec


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    """Give back to the collector what a measurement takes out of its sight."""
    yield
    gc.unfreeze()


class Hopeless(Component):
    """A component whose second mirror is lost together with the first."""

    def lose_mirror(self) -> None:
        """Make both mirrors fail."""
        super().lose_mirror()
        (self.home / "mirror-b" / "artefact").unlink(missing_ok=True)


class SlowLoop(Loop):
    """A loop that needs 9 ms of processor time for each fetch of lines, beyond what it does with them."""

    def lines(self, said: Iterable[tuple[str, str]]) -> list[Decision]:
        """Burn processor time first."""
        until = time.process_time() + 0.009
        while time.process_time() < until:
            pass
        return super().lines(said)


class PausedLoop(Loop):
    """A loop that is not on a processor for 40 ms, once."""

    paused = False

    def lines(self, said: Iterable[tuple[str, str]]) -> list[Decision]:
        """Stand still the first time."""
        if not self.paused:
            self.paused = True
            time.sleep(0.04)
        return super().lines(said)


def test_every_error_in_one_process_is_healed_for_real(tmp_path: Path) -> None:
    """Errors one by one, fifty at once and sixteen in parallel all recover; one that six speak of takes one action."""
    found = measure(tmp_path, 12)
    assert (found.errors, found.recovered) == (12, 12)
    assert (found.at_once_recovered, found.in_parallel_recovered) == (AT_ONCE, IN_PARALLEL)
    assert found.six_healed == found.six_times > 0
    assert min(found.recovery.mean, found.rollback_1mb.mean, found.start.mean, found.error_report.mean) > 0


def test_what_still_does_not_work_does_not_count_as_recovered(tmp_path: Path) -> None:
    """A component whose other mirror fails too is acted on, and not recovered."""
    component = Hopeless(tmp_path, "runtime")
    loop = Loop([component], tmp_path, matcher.shipped())
    _, outcomes, recovered = one_after_another(loop, [component], 3)  # of which two are of mirrors
    assert (len(outcomes) >= 1, recovered) == (True, 1)


@pytest.mark.parametrize(("mean", "cpu_max", "better"), [(4.6, 8.1, True), (4.6, 8.3, False), (4.8, 8.1, False)])
def test_a_figure_that_is_worse_says_so(mean: float, cpu_max: float, *, better: bool) -> None:
    """A time is better when its mean by the wall clock is, and its maximum of processor time."""
    assert strategy_figure(Times(mean, 8.0, cpu_max)).better is better


def test_a_step_that_burns_the_processor_each_time_fails_the_claim(tmp_path: Path) -> None:
    """Really slow code is told from a busy machine: with 9 ms of work in each error the claim of the figures fails."""
    component = Component(tmp_path, "runtime")
    found, _, recovered = one_after_another(SlowLoop([component], tmp_path, matcher.shipped()), [component], 3)
    claim = claim_of_figures(alone(figures_of(times(found))))
    assert recovered == 3
    assert not claim.holds
    assert claim.found.startswith("error to strategy")


def test_a_pause_of_the_machine_is_printed_but_is_not_a_slow_step(tmp_path: Path) -> None:
    """What stands still for 40 ms takes that long by the wall clock, which is told beside, and not of the processor."""
    component = Component(tmp_path, "runtime")
    found, _, _ = one_after_another(PausedLoop([component], tmp_path, matcher.shipped()), [component], 2)
    assert found[0].wall >= 40.0
    assert found[0].cpu < found[0].wall
    figure = strategy_figure(times([Span(28.0, 2.0), *[Span(1.0, 1.0)] * 99]))
    assert (figure.ours, figure.better) == ("1.27 / 2.00 ms", True)
    assert "28.00 ms" in figure.measured


def test_a_wait_in_each_step_fails_the_claim_by_its_mean() -> None:
    """Waiting takes no processor time, and still counts: a step that waits 5 ms each time is worse than the seed's."""
    assert strategy_figure(times([Span(6.0, 1.0)] * 10)).better is False


def test_nothing_measured_is_no_good_figure() -> None:
    """Without a single step there is no time that could be better."""
    with pytest.raises(ValueError, match="nothing was measured"):
        times([])


def test_an_error_over_six_components_that_is_not_healed_is_no_good_figure() -> None:
    """However fast it was: unless one action healed it each time, that figure is worse."""
    figures = {one.figure: one for one in alone(replace(figures_of(Times(1.0, 1.0, 1.0)), six_healed=0))}
    assert figures["one error over six components"].better is False


def strategy_figure(found: Times) -> Figure:
    """Return the figure of the time from an error to a strategy."""
    return next(one for one in alone(figures_of(found)) if one.figure.startswith("error to strategy"))


def figures_of(to_strategy: Times) -> Figures:
    """Return made-up figures."""
    some = Times(1.0, 1.0, 1.0)
    return Figures(
        error_to_strategy=to_strategy,
        recovery=some,
        error_report=some,
        health_sample=some,
        rollback_1mb=some,
        rules_ms=1.0,
        start=some,
        restore=some,
        six_components=some,
        six_times=1,
        six_healed=1,
        errors=1,
        recovered=1,
        at_once=1,
        at_once_recovered=1,
        at_once_ms=1.0,
        in_parallel=1,
        in_parallel_recovered=1,
        in_parallel_ms=1.0,
        memory_mb=1.0,
        load_average=1.0,
    )


def test_success_of_a_strategy_is_what_was_verified(tmp_path: Path) -> None:
    """Of two restarts one is verified and one not, which is half; what was never tried has no figure.

    Unless the breakages call for it: then it is worse.
    """
    world = World()
    world.apply(
        "policy", Policy(exploration_rate=0.0, blast_radius_share=1.0, verify_after_ms=1_000, stay_away_ms=1_000)
    )
    world.apply("inventory", Inventory(services=(spec("a"), spec("b"))))
    for service in "ab":
        decided = world.detect(service, "process_crash")
        (command,) = [one.command for one in decided if one.command is not None]
        world.outcome(command.id)
    world.detect("b", "process_crash", at_ms=world.ms + 500)
    for _ in range(12):
        world.wait(1)
        world.normal("a")
    figures = {one.figure: one for one in by_strategy(world.decisions, {"restart", "fallback"})}
    assert (figures["success of restart"].ours, figures["success of restart"].better) == ("50.0%", False)
    assert (figures["success of retry"].ours, figures["success of retry"].better) == ("-", None)
    assert (figures["success of fallback"].ours, figures["success of fallback"].better) == ("-", False)


@pytest.mark.parametrize(
    ("took_seconds", "counted", "better"), [(10.0, 10_000, True), (10.0, 9_999, False), (20.0, 10_000, False)]
)
def test_a_storm_counts_at_the_rate_that_is_claimed(took_seconds: float, counted: int, *, better: bool) -> None:
    """Ten seconds of errors for which twenty were needed are no figure of 1,000 errors a second."""
    storm = Storm(
        per_second=1_000, seconds=10, took_seconds=took_seconds, shipped=10_000, counted=counted, behind_seconds=None
    )
    assert of_storm(storm).better is better


def test_figures_of_nothing_bear_nothing_out() -> None:
    """The claim needs at least one figure that can be compared."""
    assert not claim_of_figures([]).holds
