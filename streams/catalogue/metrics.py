"""How producers' data points become the twelve health metrics (``metrics.toml``): units, names, pairs."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct


class MetricSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the twelve: its unit, what its values lie between, and what a difference of totals is divided by.

    ``per`` is ``second``, ``throughput`` (of the same rule) or ``""``: there are no totals of it. ``relief`` is the
    strategy for a failure that this metric announces.
    """

    unit: str
    relief: str
    means: str
    least: float
    most: float = float("inf")
    per: str = ""


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """Holds when the first of ``labels`` that a point has is one of ``values`` or begins with one of ``begins``."""

    labels: tuple[str, ...]
    values: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()

    def holds(self, labels: dict[str, str]) -> bool:
        """Say whether a point with ``labels`` meets it."""
        value = next((labels[label] for label in self.labels if label in labels), None)
        return value is not None and (value in self.values or (bool(self.begins) and value.startswith(self.begins)))


class MetricRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Which points are a metric; the head of ``metrics.toml`` says what each field means."""

    id: str
    metric: str
    kind: str = "gauge"
    unit: str = "1"
    part: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    complement: bool = False
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    part_when: tuple[Condition, ...] = ()
    part_unless: tuple[Condition, ...] = ()


class MetricCatalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """All of ``metrics.toml``. ``scales`` are by unit of a metric: what one of a producer's unit is in it."""

    metrics: dict[str, MetricSpec]
    scales: dict[str, dict[str, float]]
    rules: tuple[MetricRule, ...]


def reliefs() -> dict[str, str]:
    """Return the strategy by metric that ``FailurePredictor.predict`` recommends from."""
    return {name: spec.relief for name, spec in metrics().metrics.items()}


@cache
def metrics() -> MetricCatalogue:
    """Return the shipped catalogue. A mistake in it raises ``msgspec`` errors as is."""
    raw = tomllib.loads(Path(__file__).with_name("metrics.toml").read_text("utf-8"))
    return msgspec.convert(raw, MetricCatalogue)
