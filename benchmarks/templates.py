"""How well templates are found: ``python -m benchmarks.templates FILE... [--labelled DIR]``.

Of files of log lines: how many lines look like errors and match no pattern, how many templates masking makes of them,
and how many are left when the fold has found parents.

``--labelled``: a directory in Loghub's layout (github.com/logpai/loghub): ``NAME/NAME_2k.log_structured.csv`` with the
columns Content and EventId. Every line counts there, without its head. Printed for masking alone and with parents:
grouping accuracy, the share of lines whose group holds exactly the lines of their event (Zhu et al., ICSE-SEIP 2019);
F1 over pairs of lines; groups that hold more than one event. Anchors of that paper, mean grouping accuracy over the
sixteen systems, on lines without their heads: Drain 0.865, IPLoM 0.777, AEL 0.754, Spell 0.751, each with its own
settings and masks for every system. Ours has one setting for all.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from streams.core import templates
from streams.core.templates import Mined
from streams.ingest import matcher, text_lines
from streams.ingest.counting import severity_of
from streams.ingest.masking import template_id


class Quality(NamedTuple):
    """How well groups are those of the labels; ``mixed`` groups hold lines of more than one event."""

    accuracy: float
    f1: float
    groups: int
    mixed: int


def units_of(ids: Iterable[str]) -> dict[str, str]:
    """Return under which id each template counts when all lines were heard, as the fold of one service has it."""
    mined, above = Mined(), dict[str, str]()
    for template in dict.fromkeys(ids):
        unit, joined = mined.place(template, 0)
        above.update(dict.fromkeys(joined, unit))
        above.setdefault(template, unit)
    return {template: _root(template, above) for template in above}


def _root(template: str, above: dict[str, str]) -> str:
    while above.get(template, template) != template:
        template = above[template]
    return template


def quality(truth: Sequence[Hashable], found: Sequence[Hashable]) -> Quality:
    """Return how well ``found`` groups the lines that ``truth`` does."""
    both = Counter(zip(truth, found, strict=True))
    true, ours = Counter(truth), Counter(found)
    exact = sum(count for (event, group), count in both.items() if true[event] == ours[group] == count)
    pairs = 2 * _pairs(both) / max(_pairs(true) + _pairs(ours), 1)
    mixed = Counter(group for _, group in both)
    return Quality(exact / len(truth), pairs, len(ours), sum(count > 1 for count in mixed.values()))


def _pairs(counts: Counter[Hashable] | Counter[tuple[Hashable, Hashable]]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())


def error_like(path: Path) -> list[bytes]:
    """Return the lines of a text or gzip file that look like errors and match no pattern."""
    rules, found = matcher.shipped(), []
    content = path.read_bytes()
    for line in (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines():
        verdict = rules.scan(line)
        level = text_lines.read_head(line, 0)[2] or verdict.level
        if not verdict.pattern and severity_of(verdict, level, line)[1]:
            found.append(line)
    return found


def tell_files(paths: Sequence[Path]) -> None:
    """Print the table of files."""
    print(f"{'lines like errors':>18}{'templates':>11}{'with parents':>14}  file")
    for path in paths:
        ids = [template_id(line) for line in error_like(path)]
        print(f"{len(ids):>18}{len(set(ids)):>11}{len(set(units_of(ids).values())):>14}  {path.name}")


def tell_labelled(directory: Path) -> None:
    """Print the table of labelled systems and the means."""
    templates.TEMPLATES_MAX = templates.CHILDREN_MAX = 1 << 30  # type: ignore[misc]  # all lines of a system at once
    rows: list[tuple[Quality, Quality]] = []
    head = f"{'accuracy':>10}{'F1':>7}{'mixed':>7}"
    print(f"{'system':14}{'events':>7}  masked{head}  with parents{head}")
    for path in sorted(directory.glob("*/*_2k.log_structured.csv")):
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            lines = list(csv.DictReader(file))
        truth, ids = [line["EventId"] for line in lines], [template_id(line["Content"].encode()) for line in lines]
        units = units_of(ids)
        masked, joined = quality(truth, ids), quality(truth, [units[one] for one in ids])
        rows.append((masked, joined))
        print(f"{path.parent.name:14}{len(set(truth)):>7}{_shown(masked, 18)}{_shown(joined, 24)}")
    means = [[sum(column) / len(rows) for column in zip(*ones, strict=True)] for ones in zip(*rows, strict=True)]
    print(f"{'mean':21}{_shown(Quality(*means[0]), 18)}{_shown(Quality(*means[1]), 24)}")


def _shown(one: Quality, width: int) -> str:
    return f"{one.accuracy:>{width}.3f}{one.f1:>7.3f}{one.mixed:>7.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.templates", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--labelled", type=Path)
    given = parser.parse_args(arguments)
    if given.files:
        tell_files(given.files)
    if given.labelled:
        tell_labelled(given.labelled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
