"""``python -m tests.sim``: plays many seeds and says how many broke a promise; a failing one can be played again."""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial

from tests.sim.mutants import MUTANTS
from tests.sim.play import Engines, Result, play, remembering

CHUNK = 25
FAILURES_SHOWN_MAX = 10


def quiet() -> None:
    """Play without log lines: the engines report every fault that the simulator makes."""
    logging.disable(logging.CRITICAL)


def play_some(seeds: Iterable[int], engines: Engines) -> list[Result]:
    """Play seeds in one process. Collecting garbage between two runs is enough."""
    gc.disable()
    with remembering():
        results = [play(seed, engines) for seed in seeds]
    gc.enable()
    gc.collect()
    return results


def play_many(seeds: range, jobs: int, engines: Engines) -> Iterator[Result]:
    """Play seeds in several processes; results come in any order."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with multiprocessing.get_context("fork").Pool(jobs, quiet) as pool:
        for results in pool.imap_unordered(partial(play_some, engines=engines), chunks):
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
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="play with this ack-wait removed")
    given = parser.parse_args()
    quiet()
    engines = MUTANTS[given.mutant] if given.mutant else Engines()
    if given.seed is not None:
        result = play(given.seed, engines, trace=True)
        show(result)
        return int(bool(result.violations))
    began = time.monotonic()
    sums = {"facts": 0, "decisions": 0, "commands": 0, "crashes": 0}
    failed = 0
    for result in play_many(range(given.first, given.first + given.seeds), given.jobs, engines):
        for name in sums:
            sums[name] += getattr(result, name)
        if result.violations:
            failed += 1
            if failed <= FAILURES_SHOWN_MAX:
                mutant = f" --mutant {given.mutant}" if given.mutant else ""
                print(f"seed {result.seed}: {result.violations[0][:300]}")  # noqa: T201 - this command's output
                print(f"  again: python -m tests.sim --seed {result.seed}{mutant}")  # noqa: T201 - as above
    played = ", ".join(f"{count} {name}" for name, count in sums.items())
    seconds = time.monotonic() - began
    print(f"{given.seeds} seeds, {failed} violations, {seconds:.1f} s ({played})")  # noqa: T201 - as above
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
