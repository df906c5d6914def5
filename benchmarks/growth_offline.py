"""Growth without a broker: what grows, the lines and rules that it grows by, and what a line costs the slicer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.lines import Line, generate
from benchmarks.shipping import FETCH_RECORDS
from streams.codec import encode
from streams.core.config import RuleSet
from streams.ingest import matcher, rules
from streams.ingest.matcher import Matcher
from streams.ingest.slicer import Slicer
from streams.ports import Fetched
from streams.topics import Topics

LINES: Final = 32_000
SECOND: Final = 1_000
"""Lines of a second."""
ROUNDS: Final = 15
SERVICES: Final = (64, 640, 6_400, 64_000)
PATTERNS: Final = (24, 240, 2_400)
PARTITIONS: Final = 4
RATIO_MAX: Final = 1.3
BOUND: Final = frozenset({"services", "patterns"})
"""What the limit holds for."""
COMPONENTS: Final = (
    "billing",
    "checkout",
    "inventory",
    "ledger",
    "mailer",
    "pricing",
    "router",
    "search",
    "session",
    "vault",
)
THINGS: Final = ("worker", "session", "queue", "shard", "lease", "batch")
ENDS: Final = ("was aborted", "has expired", "could not be locked", "was rejected by its peer", "lost its quorum")
UNLESS_EVERY: Final = 12
"""One rule in so many has an exception. 2 400 rules have 4 950 expressions then; 5 000 may be applied."""
CATEGORIES: Final = ("network", "process", "database", "disk")


class Variant(NamedTuple):
    """One thing that grows, and how far."""

    axis: str
    size: int
    services: int = SERVICES[0]
    patterns: int = PATTERNS[0]
    in_turn: bool = False
    """Each line is of the next service; else 64 of them share a second."""


class Cost(Struct, frozen=True, kw_only=True):
    """What a line costs offline, in microseconds of a processor; ``ratio`` is to the smallest of its axis."""

    axis: str
    size: int
    cut_us: float
    encode_us: float
    ratio: float
    tallies_per_line: float
    fact_bytes_per_line: float
    lines: int
    matched: int

    @property
    def total_us(self) -> float:
        """Cutting and encoding."""
        return self.cut_us + self.encode_us


def variants(patterns: Sequence[int] = PATTERNS) -> tuple[Variant, ...]:
    """Return all that is measured offline, the smallest of each axis first."""
    services = (Variant("services", size, services=size) for size in SERVICES)
    in_turn = (Variant("in turn", size, services=size, in_turn=True) for size in SERVICES)
    return (*services, *in_turn, *(Variant("patterns", size, patterns=size) for size in patterns))


# --------------------------------------------------------------------------------------------------------- what grows


def rule_file(count: int) -> str:
    """Return a rule file with so many rules, each as a team writes them: its component, a code, what happened."""
    return "\n".join(_rule(number) for number in range(count))


def _rule(number: int) -> str:
    component, thing = COMPONENTS[number % len(COMPONENTS)], THINGS[number // 7 % len(THINGS)]
    end, category = ENDS[number // 3 % len(ENDS)], CATEGORIES[number % len(CATEGORIES)]
    code = f"{component[:3].upper()}-{4000 + number}"
    unless = f"'\\b{component}{number}: {thing} recovered\\b'" if number % UNLESS_EVERY == 0 else ""
    return f"""[[rules]]
id = "own_{number:05}"
category = "{category}"
severity = "error"
hint = "See the runbook of {component}, {code}."
expressions = ['\\b{code}\\b', '\\b{component}{number}: {thing} \\S{{1,40}} {end}\\b']
unless = [{unless}]
"""


def matcher_of(patterns: int, directory: Path) -> Matcher:
    """Return the shipped rules with as many generated ones as make ``patterns`` of them."""
    return matcher.merged(rules_of(patterns, directory))


def rules_of(patterns: int, directory: Path) -> RuleSet:
    """Return the generated rules, from a file."""
    own = patterns - len(matcher.shipped().rules)
    if own <= 0:
        return RuleSet()
    file = directory / f"rules-{patterns}.toml"
    file.write_text(rule_file(own))
    return rules.load(file)


def lines_of(count: int, one: Variant, first: int = 0, partitions: int = PARTITIONS) -> Iterator[Line]:
    """Yield W1's lines, told by a variant's services from ``first`` on; each service has its partition."""
    for index, line in enumerate(_lines(count)):
        second = index // SECOND * SERVICES[0]
        number = (first + (index if one.in_turn else second + index % SERVICES[0])) % one.services
        yield line._replace(service=f"service-{number:06}", partition=number % partitions)


@cache
def _lines(count: int) -> tuple[Line, ...]:
    return tuple(generate(count, matcher.shipped()))


def batches_of(lines: Iterator[Line]) -> list[list[Fetched]]:
    """Return lines as fetches of detect, each of one partition."""
    full: list[list[Fetched]] = []
    filling: dict[int, list[Fetched]] = {number: [] for number in range(PARTITIONS)}
    offsets = Counter[int]()
    for line in lines:
        batch = filling[line.partition]
        batch.append(Fetched("logs", line.partition, offsets[line.partition], line.at_ms, None, line.encode()))
        offsets[line.partition] += 1
        if len(batch) == FETCH_RECORDS // PARTITIONS:
            full.append(batch)
            filling[line.partition] = []
    return [*full, *(batch for batch in filling.values() if batch)]


# ------------------------------------------------------------------------------------------------------------ offline


def once(slicer: Slicer, batches: Sequence[Sequence[Fetched]]) -> Cost:
    """Cut and encode all batches."""
    cut_s = encode_s = 0.0
    lines = matched = tallies = size = 0
    for batch in batches:
        began = time.thread_time()
        cut = slicer.cut("logs", batch[0].partition, 1, batch, batch[0].offset)
        between = time.thread_time()
        facts = [encode(piece) for piece in cut.slices]
        for one in cut.evidence:
            encode(one)
        encode_s += time.thread_time() - between
        cut_s += between - began
        lines += cut.lines
        size += sum(map(len, facts))
        for piece in cut.slices:
            tallies += len(piece.tallies)
            matched += sum(tally.count for tally in piece.tallies if tally.pattern)
    return Cost(
        axis="",
        size=0,
        cut_us=cut_s / lines * 1e6,
        encode_us=encode_s / lines * 1e6,
        ratio=1.0,
        tallies_per_line=tallies / lines,
        fact_bytes_per_line=size / lines,
        lines=lines,
        matched=matched,
    )


def offline(count: int, rounds: int, directory: Path, patterns: Sequence[int] = PATTERNS) -> list[Cost]:
    """Measure every variant, rounds interleaved; the best of each."""
    matchers = {size: matcher_of(size, directory) for size in patterns}
    slicers = {one: Slicer(matchers[one.patterns], Topics()) for one in variants(patterns)}
    best: dict[Variant, Cost] = {}
    for number in range(rounds):
        for one, slicer in slicers.items():
            found = once(slicer, batches_of(lines_of(count, one, first=number * count)))
            if one not in best or found.total_us < best[one].total_us:
                best[one] = found
    return ratios({one: replace(found, axis=one.axis, size=one.size) for one, found in best.items()})


def ratios(found: Mapping[Variant, Cost]) -> list[Cost]:
    """Return costs with their ratio to the smallest of their axis."""
    first: dict[str, Cost] = {}
    for one in found.values():
        first.setdefault(one.axis, one)
    return [replace(one, ratio=round(one.total_us / first[one.axis].total_us, 3)) for one in found.values()]


def kept(costs: Sequence[Cost]) -> bool:
    """Whether a line costs hardly more with the most services and patterns, and all lines were counted alike."""
    alike = {(one.lines, one.matched) for one in costs}
    return len(alike) == 1 and all(one.ratio <= RATIO_MAX for one in costs if one.axis in BOUND)
