"""Records services that wear out: ``python -m lab.recording FILE --runs 72 --beside 18`` (about three minutes a batch).

The file is gzip, one JSON object a line: a ``Recorded`` run. ``logmend score wear FILE`` predicts failures on it, each
run by runs that it was not learnt from. Runs are real (``wearing.py``); the seed draws their courses only.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from lab import control, furnish
from lab.wearing import WEARS, Recorded, Wear, drawn, record


def run(root: Path, kind: type[Wear], name: str, seed: int) -> Recorded:
    """Start a fresh service, record one run of it, and take everything away."""
    chance = random.Random(seed)
    site = furnish.create(root / name, "recorder", (kind.service,))
    try:
        control.start_all(site)
        time.sleep(chance.random())
        return record(site, kind, drawn(chance), name, chance)
    finally:
        control.stop_all(site)
        furnish.release(site)


def runs(count: int, beside: int, seed: int) -> Iterator[Recorded]:
    """Record so many runs, ``beside`` of them at a time, and yield each as it ends."""
    with tempfile.TemporaryDirectory(prefix="recording-") as root, ThreadPoolExecutor(beside) as pool:
        kinds = [WEARS[number % len(WEARS)] for number in range(count)]
        names = [f"{kind.name}-{number:03d}" for number, kind in enumerate(kinds)]
        yield from pool.map(run, [Path(root)] * count, kinds, names, range(seed, seed + count))


def load(path: Path) -> tuple[Recorded, ...]:
    """Return the runs of a file; ``OSError`` or ``msgspec.MsgspecError`` when it can't be read."""
    return tuple(msgspec.json.decode(line, type=Recorded) for line in gzip.decompress(path.read_bytes()).splitlines())


def main() -> int:
    """Record into a file and print a line for each run."""
    parser = argparse.ArgumentParser(description="Record real services that wear out.")
    parser.add_argument("file", type=Path, help="gzip file to write")
    parser.add_argument("--runs", type=int, default=72, help="how many")
    parser.add_argument("--beside", type=int, default=18, help="how many at a time")
    parser.add_argument("--seed", type=int, default=1, help="draws the courses")
    given = parser.parse_args()
    lines = []
    for one in runs(given.runs, given.beside, given.seed):
        sys.stdout.write(f"{one.name} {one.course}: {len(one.records)} s, {'failed' if one.failed_ms else 'works'}\n")
        sys.stdout.flush()
        lines.append(msgspec.json.encode(one))
    given.file.write_bytes(gzip.compress(b"\n".join(lines), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
