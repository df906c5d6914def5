"""``python -m tests.fuzz``: tries fuzzed inputs in several processes; says what crashed, was lost, or was slow.

python -m tests.fuzz --inputs 1000000
python -m tests.fuzz --again FILE          the failures that a run wrote, once more
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from pathlib import Path
from typing import Final

import msgspec

from tests.fuzz.domains import Tally
from tests.fuzz.trial import CHUNK_INPUTS, CPU_MS_MAX, Done, Failure, again, chunk

SHOWN_MAX: Final = 10
SAY_EVERY_RECORDS: Final = 50_000
FAILURES_MAX: Final = 1000


def _ready() -> None:
    logging.disable(logging.CRITICAL)


def _chunk(seed: int, number: int, worst_ms: float) -> tuple[Done, int]:
    """Try one chunk; also return the largest size of this process in KB."""
    return chunk(seed, number, worst_ms=worst_ms), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def results(seed: int, chunks: int, jobs: int, seconds: float) -> Iterator[tuple[Done, int]]:
    """Yield what chunks came to, in any order, until all were tried or the time is up.

    A process that dies takes the chunks under way with it, which are named.
    """
    deadline, worst_ms = time.monotonic() + seconds, 0.0
    numbers = islice(count(), chunks)
    running: dict[Future[tuple[Done, int]], int] = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _ready) as pool:
        while True:
            if time.monotonic() < deadline:
                running |= {
                    pool.submit(_chunk, seed, number, worst_ms): number
                    for number in islice(numbers, jobs * 2 - len(running))
                }
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            try:
                found = [future.result() for future in done]
            except BrokenProcessPool:
                raise SystemExit(
                    f"a process died; one of the chunks {sorted(running.values())} of seed {seed} did it"
                ) from None
            worst_ms = max(worst_ms, *(one.worst_ms for one, _ in found))
            yield from found
            for future in done:
                del running[future]


def run(seed: int, inputs: int, jobs: int, seconds: float, out: Path) -> int:
    """Try inputs, print the sums and the first failures, write all of them; 1 when there are any.

    What was slow is tried again at the end, when no other process takes memory and caches from it.
    """
    total, peak_kb, began = Done(failures=[], tallies={}), 0, time.monotonic()
    for done, size_kb in results(seed, -(-inputs // CHUNK_INPUTS), jobs, seconds):
        for name in ("records", "lines", "rejects", "value_bytes", "cpu_ms"):
            setattr(total, name, getattr(total, name) + getattr(done, name))
        for name, tally in done.tallies.items():
            total.tallies.setdefault(name, Tally()).add(tally)
        total.worst_ms, peak_kb = max(total.worst_ms, done.worst_ms), max(peak_kb, size_kb)
        total.failures += done.failures[: FAILURES_MAX - len(total.failures)]
        if total.records // SAY_EVERY_RECORDS > (total.records - done.records) // SAY_EVERY_RECORDS:
            print(f"{total.records} records; {kinds(total.failures) or 'no failure'}", file=sys.stderr)  # noqa: T201 - as below
    elapsed = time.monotonic() - began
    found, total.failures = total.failures, [one for one in total.failures if one.problem != "slow" or again(one)[0]]
    print(  # noqa: T201 - this command's output
        f"seed {seed}: {total.records} records "
        f"({total.lines} lines, {total.rejects} rejects, {total.value_bytes / 1e6:.0f} MB), "
        f"{total.records / elapsed:.0f} records/s, {total.cpu_ms * 1000 / total.records:.0f} us CPU a record, "
        f"worst {total.worst_ms:.1f} ms, largest process {peak_kb / 1024:.0f} MB, {len(total.failures)} failures, "
        f"{len(found) - len(total.failures)} slow only while others ran"
    )
    for name, tally in total.tallies.items():
        print(f"  {tally.inputs} {name}: {tally.taken} taken, {tally.refused} refused, worst {tally.worst_ms:.1f} ms")  # noqa: T201 - as above
    tried = total.records + sum(tally.inputs for tally in total.tallies.values())
    print(f"{tried} inputs, {len(total.failures)} failures")  # noqa: T201 - as above
    return report(total.failures, out)


def kinds(failures: Sequence[Failure]) -> str:
    """Return how many failures of each kind there are, a line each; of those that are most."""
    found = Counter(failure.problem for failure in failures)
    return "\n".join(f"{times} x {problem}" for problem, times in found.most_common(SHOWN_MAX))


def report(failures: Sequence[Failure], out: Path) -> int:
    """Print how many failures of each kind there are, write them to a file of JSON lines, and return 1 if any."""
    if not failures:
        return 0
    print(kinds(failures))  # noqa: T201 - as above
    out.write_bytes(b"".join(msgspec.json.encode(failure) + b"\n" for failure in failures))
    print(f"again: python -m tests.fuzz --again {out}")  # noqa: T201 - as above
    return 1


def rerun(path: Path) -> int:
    """Try the failures of a file once more, one line each; 1 when one fails again."""
    failed = 0
    for line in path.read_bytes().splitlines():
        failure = msgspec.json.decode(line, type=Failure)
        problem, cpu_ms = again(failure)
        failed += bool(problem)
        print(f"{problem or 'nothing'} ({cpu_ms:.1f} ms): {failure.topic} {(failure.value or b'')[:100]!r}")  # noqa: T201 - as above
    return int(failed > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and try; 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many inputs, three of five of them records")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same records")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new after this time")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "logmend-fuzz.jsonl", help="failures")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try the failures of an earlier run")
    given = parser.parse_args(arguments)
    _ready()
    if given.again:
        return rerun(given.again)
    print(f"a record may take {CPU_MS_MAX:.0f} ms of processor time")  # noqa: T201 - as above
    return run(given.seed, given.inputs, given.jobs, given.seconds, given.out)


if __name__ == "__main__":
    sys.exit(main())
