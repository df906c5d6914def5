"""What redaction misses, what it alters without need, and what it costs: ``python -m benchmarks.redaction [FILE…]``.

FILEs are logs without secrets (``.gz`` too; of ``.jsonl`` the field ``line`` of rows whose ``kind`` is benign): a line
that is altered there is a false one, or a secret that nobody knew of, so every kind of alteration is shown once.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from streams.ingest import matcher
from streams.ingest.redact import Redactor
from tests.ingest.redaction import corpus
from tests.ingest.redaction.embedding import WAYS, shown_of
from tests.ingest.test_redact import FRAGMENTS

LINE_CHARACTERS_MAX: Final = 2000
HOSTILE_CHARACTERS: Final = 4096
REPEATS: Final = 5
SHOWN_MAX: Final = 3
TIMED_MAX: Final = 20_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files: list[Path] = parser.parse_args(arguments).files
    redactor = Redactor()
    tell_recall(redactor)
    tell_benign(redactor, files)
    tell_cost(redactor, files)
    tell_worst(redactor)


def tell_recall(redactor: Redactor) -> None:
    """Print how many secrets of each half are gone, in every way and counted by way."""
    for name in ("held_out", "second"):
        cases = corpus.half(name)
        gone = [[not case.left_in(redactor.text(shown_of(way, case.line))) for way in WAYS] for case in cases]
        pairs = sum(map(sum, gone))
        print(
            f"{name}: {len(cases)} secrets, {len({case.shape for case in cases})} shapes; gone in all {len(WAYS)} ways "
            f"{sum(map(all, gone)) / len(cases):.2%}; gone by secret and way {pairs / len(cases) / len(WAYS):.2%}"
        )


def tell_benign(redactor: Redactor, files: Sequence[Path]) -> None:
    """Print the share of altered lines for each file, with a few of them."""
    lines_total = altered_total = 0
    for path in files:
        lines = list(lines_of(path))
        altered = [(line, shown) for line in lines if (shown := redactor.text(line)) != line]
        lines_total, altered_total = lines_total + len(lines), altered_total + len(altered)
        print(f"{path.name}: {len(lines)} lines, {len(altered)} altered ({len(altered) / max(len(lines), 1):.2%})")
        for line, shown in altered[:: max(1, len(altered) // SHOWN_MAX)][:SHOWN_MAX]:
            print(f"    {around(line, shown)}")
    if files:
        print(f"all: {lines_total} lines, {altered_total} altered ({altered_total / max(lines_total, 1):.3%})")


def tell_cost(redactor: Redactor, files: Sequence[Path]) -> None:
    """Print the processor time for a line that would become evidence."""
    rules = matcher.shipped()
    wrong = [
        line
        for path in files
        for line in lines_of(path)
        if (verdict := rules.scan(line.encode())).pattern or verdict.error_like
    ][:TIMED_MAX]
    if not wrong:
        return
    best = min(_seconds(redactor, wrong) for _ in range(REPEATS))
    mean = sum(map(len, wrong)) / len(wrong)
    print(f"cost: {best / len(wrong) * 1e6:.1f} µs a line, {len(wrong)} lines of {mean:.0f} characters")


def tell_worst(redactor: Redactor) -> None:
    """Print the longest time for 4 KB of any two fragments of what secrets stand in, repeated."""
    worst = []
    for pair in itertools.product(FRAGMENTS, repeat=2):
        text = ("".join(pair) * HOSTILE_CHARACTERS)[:HOSTILE_CHARACTERS]
        worst.append((min(_seconds(redactor, [text]) for _ in range(3)), "".join(pair)))
    seconds, unit = max(worst)
    print(
        f"worst of {len(worst)} hostile texts of {HOSTILE_CHARACTERS} characters: {seconds * 1000:.1f} ms, of {unit!r}"
    )


def _seconds(redactor: Redactor, lines: Sequence[str]) -> float:
    begin = time.process_time()
    for line in lines:
        redactor.text(line)
    return time.process_time() - begin


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a log; of labelled rows those that are benign."""
    packed = path.suffix == ".gz"
    with gzip.open(path, "rt", errors="replace") if packed else path.open(errors="replace") as file:
        for row in file:
            if path.suffix != ".jsonl":
                yield row.rstrip("\n")[:LINE_CHARACTERS_MAX]
            elif (labelled := json.loads(row))["kind"] == "benign":
                yield labelled["line"][:LINE_CHARACTERS_MAX]


def around(line: str, shown: str) -> str:
    """Return the first place at which two texts differ, with a little before and after it."""
    at = next((at for at, (a, b) in enumerate(zip(line, shown, strict=False)) if a != b), 0)
    return f"…{line[max(0, at - 40) : at + 40]}… → …{shown[max(0, at - 10) : at + 30]}…"


if __name__ == "__main__":
    main()
