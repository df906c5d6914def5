"""From data points of one record to values of the twelve health metrics, by ``catalogue/metrics.toml``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from streams.catalogue.metrics import MetricRule, metrics
from streams.ingest.metrics.points import Point, normal

SERIES_HASH_BYTES: Final = 6
"""Among a million series of one rule, two have the same hash with a chance of 1 in 500."""
ANY: Final = "*"
"""Before a name: whatever stands before it. As a unit: every one that is not listed."""
SHARE: Final = 100.0
NUMBER_MAX: Final = 1e30
"""Larger than anything that is measured; so the sum of all values of a slice is finite."""

Owner = tuple[str, str]
"""(service, host)."""


class Value(NamedTuple):
    """A number of one of the twelve, in its unit; ``point`` is the index of its point, of several the last."""

    point: int
    metric: str
    kind: str
    series: str
    number: float


class Use(NamedTuple):
    """What a name is to a rule: its ``part``, ``rest`` or ``whole``."""

    rule: MetricRule
    role: str

    def holds(self, point: Point) -> bool:
        """Say whether the rule takes a point in this role."""
        rule, labels = self.rule, point.labels
        if point.delta and rule.kind != "total":
            return False  # how much a gauge changed says nothing without the value before it
        part = self.role == "part"
        when = (*rule.when, *rule.part_when) if part else rule.when
        unless = (*rule.unless, *rule.part_unless) if part else rule.unless
        return all(one.holds(labels) for one in when) and not any(one.holds(labels) for one in unless)


class _Group:
    """Points that make one value: of equal rule, owner and time, and equal labels but for those added up."""

    __slots__ = ("indices", "kind", "rule", "series", "sums")

    def __init__(self, rule: MetricRule, kind: str, series: str) -> None:
        self.rule: Final = rule
        self.kind: Final = kind
        self.series: Final = series
        self.sums: Final[dict[str, float]] = {}
        self.indices: Final[list[int]] = []

    def number(self) -> float | None:
        """Return what the points make together; None when one is missing, or all of it is 0."""
        part, rest, whole = (self.sums.get(role) for role in ("part", "rest", "whole"))
        if not self.rule.rest and not self.rule.whole:
            return part
        if part is not None and rest is not None:
            whole = part + rest
        if not whole or (part is None and rest is None):
            return None
        share = part / whole if part is not None else 1.0 - (rest or 0.0) / whole
        return SHARE * min(max(share, 0.0), 1.0)


class _Mapping:
    """The values of one record under way."""

    def __init__(self, points: int) -> None:
        self.values: Final[list[Value]] = []
        self._used: Final = bytearray(points)
        self._groups: Final[dict[tuple[object, ...], _Group]] = {}

    @property
    def unmapped(self) -> int:
        """How many points are in no value."""
        return self._used.count(0)

    def take(self, use: Use, index: int, point: Point, owner: Owner, name: str, number: float) -> None:
        """Take a number in the role that its name has for a rule."""
        rule = use.rule
        kind = "delta" if point.delta else rule.kind
        paired = bool(rule.rest or rule.whole)
        in_unit = number if paired else _in_unit(rule, name, point.unit, number)
        if in_unit is None or (paired and number < 0):  # a limit of -1 is none
            return
        labels = tuple(sorted(pair for pair in point.labels.items() if pair[0] not in rule.over))
        if not paired and not rule.over:
            self._add(rule, kind, _series(rule, kind, name, labels), in_unit, (index,))
            return
        key = (id(rule), owner, point.at_ms, point.delta, "" if paired else name, labels)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(rule, kind, _series(rule, kind, "" if paired else name, labels))
        group.sums[use.role] = group.sums.get(use.role, 0.0) + in_unit
        group.indices.append(index)

    def put_together(self) -> None:
        """Add what several points make together."""
        for group in self._groups.values():
            number = group.number()
            if number is not None:
                self._add(group.rule, group.kind, group.series, number, group.indices)

    def _add(self, rule: MetricRule, kind: str, series: str, number: float, indices: Sequence[int]) -> None:
        """Add a value, if it can be one of its metric: memory of 5000 % is no share."""
        spec = metrics().metrics[rule.metric]
        number = round(SHARE - number if rule.complement else number, 9)
        most = spec.most if kind == "gauge" else math.inf
        if abs(number) <= NUMBER_MAX and spec.least <= number <= most:
            self.values.append(Value(indices[-1], rule.metric, kind, series, number))
            for index in indices:
                self._used[index] = 1


def values_of(points: Sequence[Point], owners: Sequence[Owner]) -> tuple[list[Value], int]:
    """Return the values of a record's points, and how many of these are in none.

    ``owners`` are (service, host) of each point; what belongs to two of them is never put together.
    """
    mapping = _Mapping(len(points))
    for index, point in enumerate(points):
        for name, number in point.values:
            if math.isfinite(number):
                for use in uses_of(name):
                    if use.holds(point):
                        mapping.take(use, index, point, owners[index], name, number)
    mapping.put_together()
    return mapping.values, mapping.unmapped


@lru_cache(maxsize=20_000)
def uses_of(name: str) -> tuple[Use, ...]:
    """Return what a normalised name is to the rules: by its whole, else by the longest end of it that a rule knows."""
    exact, ends = _tables()
    if name in exact:
        return exact[name]
    at = 0
    while at >= 0:
        if name[at:] in ends:
            return ends[name[at:]]
        at = name.find("_", at) + 1 or -1
    return ()


@cache
def _tables() -> tuple[dict[str, tuple[Use, ...]], dict[str, tuple[Use, ...]]]:
    """Return the uses of whole names and of ends of names."""
    exact: dict[str, tuple[Use, ...]] = {}
    ends: dict[str, tuple[Use, ...]] = {}
    for rule in metrics().rules:
        for role in ("part", "rest", "whole"):
            for name in getattr(rule, role):
                table = ends if name.startswith(ANY) else exact
                plain, use = normal(name.removeprefix(ANY)), Use(rule, role)
                table[plain] = (*(other for other in table.get(plain, ()) if other != use), use)
    return exact, ends


def _in_unit(rule: MetricRule, name: str, unit: str, number: float) -> float | None:
    """Return a number in its metric's unit; None when the producer's unit is of something else.

    UCUM's annotations (``{request}``) are no units. The count of a distribution has none, whatever it is of.
    """
    scales = metrics().scales[metrics().metrics[rule.metric].unit]
    if unit.startswith("{") or name.endswith("_count"):
        unit = ""
    scale = scales.get(unit or rule.unit, scales.get(ANY))
    return None if scale is None else number * scale


def _series(rule: MetricRule, kind: str, name: str, labels: tuple[tuple[str, str], ...]) -> str:
    """Return the name of a series: only totals are kept apart, so that each can be differenced by itself."""
    return f"{rule.id}#{_digest(name, labels)}" if kind == "total" else rule.id


@lru_cache(maxsize=20_000)
def _digest(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    parts = (name, *(part for pair in labels for part in pair))
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=SERIES_HASH_BYTES).hexdigest()
