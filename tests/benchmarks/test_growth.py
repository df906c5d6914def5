"""The benchmark of growth grows what it says, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.growth_offline import PATTERNS, Cost, Variant, kept, lines_of, offline, rules_of
from benchmarks.growth_online import Run, measure
from streams.ingest import compiling, matcher
from streams.settings import Settings

SHIPPED = len(matcher.shipped().rules)


def test_every_variant_has_the_same_lines(tmp_path: Path) -> None:
    """As many lines, as many of them matched, whatever grows; rows only grow where each service speaks in turn."""
    costs = offline(2_000, 1, tmp_path, patterns=(SHIPPED,))
    assert {(one.lines, one.matched) for one in costs} == {(2_000, 120)}
    rows = {axis: [one.tallies_per_line for one in costs if one.axis == axis] for axis in ("services", "in turn")}
    assert len(set(rows["services"])) == 1
    assert rows["in turn"][-1] == 1.0


def test_services_share_seconds_or_speak_in_turn() -> None:
    """64 services share a second, and the next 64 the next; in turn each line is of the next. The text is the same."""
    bursts = list(lines_of(2_000, Variant("services", 640, services=640)))
    in_turn = list(lines_of(2_000, Variant("in turn", 640, services=640, in_turn=True)))
    assert set(Counter(line.service for line in bursts).values()) == {15, 16}
    assert len({line.service for line in bursts[:1_000]}) == 64
    assert len({line.service for line in bursts}) == 128
    assert len({line.service for line in in_turn}) == 640
    assert [line.message for line in bursts] == [line.message for line in in_turn]


def test_generated_rules_are_as_many_as_asked_for(tmp_path: Path) -> None:
    """With the shipped ones they make the number; they compile, and are within what may be applied."""
    own = rules_of(PATTERNS[-1], tmp_path).rules
    assert len({rule.id for rule in own}) == len(own) == PATTERNS[-1] - SHIPPED
    assert sum(len(matcher.expressions_of(rule)) for rule in own) <= compiling.EXPRESSIONS_MAX
    compiling.check_compiles([expression for rule in own[:24] for expression in matcher.expressions_of(rule)])


def test_the_limit_is_for_services_and_patterns_with_the_same_rows() -> None:
    """What grows because more is said has a figure and no limit; figures of other lines are never compared."""
    one = Cost(
        axis="services", size=64, cut_us=1, encode_us=1, ratio=1.3, tallies_per_line=1, fact_bytes_per_line=1, lines=9,
        matched=1,
    )  # fmt: skip
    assert kept([one, _with(one, axis="in turn", ratio=2.0)])
    assert not kept([one, _with(one, ratio=1.31)])
    assert not kept([one, _with(one, lines=8)])


def _with(one: Cost, **changes: object) -> Cost:
    return Cost(**{**{name: getattr(one, name) for name in one.__struct_fields__}, **changes})


@pytest.mark.broker
def test_detect_accounts_for_every_line_that_was_shipped_while_it_stood_still(broker: Settings) -> None:
    """All lines are in slices, and none twice."""
    run = Run(axis="partitions", size=2, services=640, partitions=2)
    measured = asyncio.run(measure(broker, 3_000, run, f"{broker.fleet}g"))
    assert (measured.lines, measured.lines_in_slices) == (3_000, 3_000)
    assert measured.line_us >= 0
