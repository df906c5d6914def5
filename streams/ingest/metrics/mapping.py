"""From data points of one record to values of the twelve health metrics, by ``catalogue/metrics.toml``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from streams.catalogue.metrics import Condition, MetricRule, metrics
from streams.ingest.metrics.points import Point, normal

SERIES_HASH_BYTES: Final = 6
"""Among a million series of one rule, two have the same hash with a chance of 1 in 500."""
REMEMBERED_LABELS_MAX: Final = 32
"""A series of more labels is worked out each time: thousands of them, remembered, would take gigabytes."""
ANY: Final = "*"
"""Before a name: whatever stands before it. As a unit: every one that is not listed."""
SHARE: Final = 100.0
NUMBER_MAX: Final = 1e30
"""Larger than anything that is measured; so the sum of all values of a slice is finite."""

Owner = tuple[str, str]
"""(service, host)."""


class Value(NamedTuple):
    """A number of one of the twelve, in its unit, at the producer's time (0: none)."""

    owner: Owner
    at_ms: int
    metric: str
    kind: str
    series: str
    number: float


class Use(NamedTuple):
    """What a name is to a rule: its ``part``, ``rest`` or ``whole``, and the conditions on a point in that role."""

    rule: MetricRule
    role: str
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...]

    def holds(self, point: Point) -> bool:
        """Say whether the rule takes a point; how much a gauge changed says nothing without the value before it."""
        labels = point.labels
        if point.delta and self.rule.kind != "total":
            return False
        return all(one.holds(labels) for one in self.when) and not any(one.holds(labels) for one in self.unless)


class Found(NamedTuple):
    """A number of a point whose name a rule knows."""

    place: int
    point: Point
    owner: Owner
    name: str
    number: float


class _Group:
    """Points that make one value: of equal rule, owner and time, and equal labels but for those added up."""

    __slots__ = ("indices", "rule", "sums", "value")

    def __init__(self, rule: MetricRule, value: Value) -> None:
        """Begin a group whose ``value`` still lacks its number."""
        self.rule: Final = rule
        self.value: Final = value
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

    def take(self, use: Use, found: Found) -> None:
        """Take a number in the role that its name has for a rule."""
        rule, point = use.rule, found.point
        paired = bool(rule.rest or rule.whole)
        number = found.number if paired else _in_unit(rule, found.name, point.unit, found.number)
        if number is None or (paired and number < 0):  # a limit of -1 is none
            return
        kind = "delta" if point.delta else rule.kind
        alone = not paired and not rule.over
        if alone and kind != "total":
            self._add(rule, Value(found.owner, point.at_ms, rule.metric, kind, rule.id, number), (found.place,))
            return
        labels = tuple(sorted(pair for pair in point.labels.items() if pair[0] not in rule.over))
        name = "" if paired else found.name
        value = Value(found.owner, point.at_ms, rule.metric, kind, _series(rule, kind, name, labels), number)
        if alone:
            self._add(rule, value, (found.place,))
            return
        key = (id(rule), found.owner, point.at_ms, kind, name, labels)
        group = self._groups.setdefault(key, _Group(rule, value))
        group.sums[use.role] = group.sums.get(use.role, 0.0) + number
        group.indices.append(found.place)

    def put_together(self) -> None:
        """Add what several points make together."""
        for group in self._groups.values():
            number = group.number()
            if number is not None:
                self._add(group.rule, group.value._replace(number=number), group.indices)

    def _add(self, rule: MetricRule, value: Value, indices: Sequence[int]) -> None:
        """Add a value, if it can be one of its metric: memory of 5000 % is no share."""
        spec = metrics().metrics[rule.metric]
        number = round(SHARE - value.number if rule.complement else value.number, 9)
        most = spec.most if value.kind == "gauge" else math.inf
        if abs(number) <= NUMBER_MAX and spec.least <= number <= most:
            self.values.append(value._replace(number=number))
            for index in indices:
                self._used[index] = 1


def values_of(points: Sequence[Point], owner_of: Callable[[Point], Owner]) -> tuple[list[Value], int]:
    """Return the values of a record's points, and how many of these are in none.

    ``owner_of`` gives (service, host) of a point; what belongs to two of them is never put together.
    """
    mapping = _Mapping(len(points))
    for index, point in enumerate(points):
        for name, number in point.values:
            uses = uses_of(name)
            if uses and math.isfinite(number):
                found = Found(index, point, owner_of(point), name, number)
                for use in uses:
                    if use.holds(point):
                        mapping.take(use, found)
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
                plain, use = normal(name.removeprefix(ANY)), _use(rule, role)
                table[plain] = (*(other for other in table.get(plain, ()) if other != use), use)
    return exact, ends


def _use(rule: MetricRule, role: str) -> Use:
    part = role == "part"
    when, unless = (rule.part_when, rule.part_unless) if part else ((), ())
    return Use(rule, role, (*rule.when, *when), (*rule.unless, *unless))


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
    if kind != "total":
        return rule.id
    digest = _remembered if len(labels) <= REMEMBERED_LABELS_MAX else _digest
    return f"{rule.id}#{digest(name, labels)}"


def _digest(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    parts = (name, *(part for pair in labels for part in pair))
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=SERIES_HASH_BYTES).hexdigest()


_remembered: Final = lru_cache(maxsize=8_192)(_digest)
