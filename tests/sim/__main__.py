"""``python -m tests.sim``: plays many seeds and says how many broke a promise; a failing one can be played again."""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.play import Engines, Result, play, remembering
from tests.sim.trouble import FAULTS

CHUNK = 25
FAILURES_SHOWN_MAX = 10
ENOUGH_SEEDS = 500
"""In so many every fault must have been played."""


def quiet() -> None:
    """Play without log lines: the engines report every fault that the simulator makes."""
    logging.disable(logging.CRITICAL)


def play_some(seeds: Iterable[int], mutant: Mutant) -> list[Result]:
    """Play seeds in one process. Collecting garbage between two runs is enough."""
    gc.disable()
    with remembering():
        results = [play(seed, mutant.engines, only=mutant.only) for seed in seeds]
    gc.enable()
    gc.collect()
    return results


def play_many(seeds: range, jobs: int, mutant: Mutant) -> Iterator[Result]:
    """Play seeds in several processes; results come in any order."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with multiprocessing.get_context("fork").Pool(jobs, quiet) as pool:
        for results in pool.imap_unordered(partial(play_some, mutant=mutant), chunks):
            yield from results


def show(result: Result) -> None:
    """Print a run step by step."""
    for step in result.trace:
        print(step)  # noqa: T201 - this command's output
    print(f"seed {result.seed}: {result.violations or 'nothing was violated'}")  # noqa: T201 - as above


def main() -> int:
    """Parse the arguments, play, print the sums; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, help="play this one alone and print its trace")
    parser.add_argument(
        "--mutant", choices=sorted(MUTANTS), help="play with this safeguard removed, and the faults that show it"
    )
    given = parser.parse_args()
    quiet()
    mutant = MUTANTS[given.mutant] if given.mutant else Mutant(Engines())
    if given.seed is not None:
        with remembering():
            result = play(given.seed, mutant.engines, trace=True, only=mutant.only)
        show(result)
        return int(bool(result.violations))
    began = time.monotonic()
    sums = {"facts": 0, "decisions": 0, "commands": 0}
    played: Counter[str] = Counter()
    seeds_with: Counter[str] = Counter()
    failed = 0
    for result in play_many(range(given.first, given.first + given.seeds), given.jobs, mutant):
        for name in sums:
            sums[name] += getattr(result, name)
        played += result.played
        seeds_with.update(result.played.keys())
        if result.violations:
            failed += 1
            if failed <= FAILURES_SHOWN_MAX:
                option = f" --mutant {given.mutant}" if given.mutant else ""
                print(f"seed {result.seed}: {result.violations[0][:300]}")  # noqa: T201 - this command's output
                print(f"  again: python -m tests.sim --seed {result.seed}{option}")  # noqa: T201 - as above
    came_to = ", ".join(f"{count} {name}" for name, count in sums.items())
    for fault in FAULTS:
        print(f"{played[fault]:>9} x {fault}, in {seeds_with[fault]} seeds")  # noqa: T201 - as above
    never = [fault for fault in FAULTS if not played[fault]] if given.seeds >= ENOUGH_SEEDS and not given.mutant else []
    if never:
        print(f"never played, which is a fault of the simulator: {', '.join(never)}")  # noqa: T201 - as above
    seconds = time.monotonic() - began
    print(f"{given.seeds} seeds, {failed} violations, {seconds:.1f} s ({came_to})")  # noqa: T201 - as above
    return int(failed > 0 or bool(never))


if __name__ == "__main__":
    sys.exit(main())
