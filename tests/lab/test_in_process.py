from __future__ import annotations

from pathlib import Path

import pytest

from lab.closed_loop import Component, Loop
from lab.in_process import AT_ONCE, IN_PARALLEL, Figures, Times, measure, one_after_another
from lab.scenarios.figures import alone, by_strategy
from streams.core.config import Inventory, Policy
from streams.ingest import matcher
from tests.core.world import World, spec


class Hopeless(Component):
    """A component whose second mirror is lost together with the first."""

    def lose_mirror(self) -> None:
        """Make both mirrors fail."""
        super().lose_mirror()
        (self.home / "mirror-b" / "artefact").unlink(missing_ok=True)


def test_every_error_in_one_process_is_healed_for_real(tmp_path: Path) -> None:
    """Errors one by one, fifty at once and sixteen in parallel all recover; one that six speak of takes one action."""
    found = measure(tmp_path, 12)
    assert (found.errors, found.recovered) == (12, 12)
    assert (found.at_once_recovered, found.in_parallel_recovered) == (AT_ONCE, IN_PARALLEL)
    assert found.six_actions == 1
    assert min(found.recovery.mean, found.rollback_1mb.mean, found.start.mean, found.error_report.mean) > 0


def test_what_still_does_not_work_does_not_count_as_recovered(tmp_path: Path) -> None:
    """A component whose other mirror fails too is acted on, and not recovered."""
    component = Hopeless(tmp_path, "runtime")
    loop = Loop([component], tmp_path, matcher.shipped())
    _, outcomes, recovered = one_after_another(loop, [component], 3)  # of which two are of mirrors
    assert (len(outcomes) >= 1, recovered) == (True, 1)


@pytest.mark.parametrize(("mean", "most", "better"), [(4.6, 8.1, True), (4.6, 8.3, False), (4.8, 8.1, False)])
def test_a_figure_that_is_worse_says_so(mean: float, most: float, *, better: bool) -> None:
    """A time is better when both its mean and its maximum are."""
    figures = {one.figure: one for one in alone(figures_of(Times(mean, most)))}
    assert figures["error to strategy, mean / max"].better is better


def figures_of(to_strategy: Times) -> Figures:
    """Return made-up figures."""
    some = Times(1.0, 1.0)
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
        six_actions=1,
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
    """Of two restarts one is verified and one not, which is half; a strategy that was never tried has no figure."""
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
    figures = {one.figure: one for one in by_strategy(world.decisions)}
    assert (figures["success of restart"].ours, figures["success of restart"].better) == ("50.0%", False)
    assert (figures["success of retry"].ours, figures["success of retry"].better) == ("-", None)
