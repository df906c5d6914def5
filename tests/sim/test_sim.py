"""The promises of R4 under simulated crashes, and the proof that the simulator would see them broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.sim.mutants import MUTANTS
from tests.sim.play import Engines, play, remembering
from tests.sim.trouble import FAULTS, MENU

SEEDS = 80
"""``make sim`` plays ten thousand."""
MUTANT_SEEDS_MAX = 1_000
ALL_AT_ONCE_SEEDS = 12


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_is_lost_doubled_or_changed() -> None:
    """Under crashes, zombies, delays and rebalances all three parts of the oracle hold."""
    with remembering():
        broken = {seed: result.violations for seed in range(SEEDS) if (result := play(seed)).violations}
    assert not broken


def test_every_fault_is_played_and_none_breaks_a_promise() -> None:
    """With all faults at once each of them meets somebody within a few seeds, and nothing is lost."""
    played: set[str] = set()
    with remembering():
        for seed in range(ALL_AT_ONCE_SEEDS):
            result = play(seed, only=MENU)
            assert not result.violations
            played |= result.played.keys()
    assert played.issuperset(FAULTS)


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_removed_safeguard_is_found(mutant: str) -> None:
    """With one safeguard taken out, some seed of the first thousand with its faults shows a broken promise."""
    engines, only = MUTANTS[mutant]
    with remembering():
        assert any(play(seed, engines, only=only).violations for seed in range(MUTANT_SEEDS_MAX))


def test_a_seed_is_a_run() -> None:
    """The same seed gives the same run, step by step."""
    assert play(7, trace=True).trace == play(7, Engines(), trace=True).trace
