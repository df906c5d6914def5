"""What is measured of a service: its metrics as tracks, its counters as rates, its lines and probes of this minute.

Samples come in three kinds (``catalogue/metrics.toml``). A gauge goes into its metric's track as it is. Totals and
deltas are differenced by series and host; a metric of them is the sum of its series' rates (of processors: the mean),
per second or in relation to the throughput of the same rule. A counter that starts anew is a new beginning, never a
loss.

A metric is measured by one rule at a time: two rules may speak of the same thing in other ways. Where no producer
reports ``error_rate``, ``availability`` or ``response_time``, lines and probes stand in (rules ``LINES``, ``PROBES``).
"""

from __future__ import annotations

from math import fsum
from typing import Final

from msgspec import Struct

from streams.core.events import Sample
from streams.core.features import SPANS
from streams.core.health import MetricRow
from streams.core.tracks import VALUE_MAX, Track

VITALS_MAX: Final = 2_000
"""Services that are followed; each more is one of them silent for ``SILENT_MS`` less, or is not followed. For one of
the inventory a stranger goes, as long as the inventory has no more services than these."""
SILENT_MS: Final = 900_000
GONE_MS: Final = 90_000_000
"""A service that was silent for 25 hours is not followed any more: one that is heard of once a day is."""
MINUTE_MS: Final = 60_000
STALE_MS: Final = 300_000
"""A series without a value for this long (of event) begins anew; a rule that long silent gives its metric away."""
FRESH_MINUTES: Final = 3
"""A metric is known while its newest minute is at most this many back: producers report each minute, and late."""
SERIES_MAX: Final = 512
"""Counters of one service; a metric with one more is not known, rather than wrong."""
SERIES_TOTAL_MAX: Final = 50_000
"""Counters of all services."""
LINES: Final = "lines"
PROBES: Final = "probes"
STAND_INS: Final = frozenset({LINES, PROBES})
LINES_LEAST: Final = 10
"""Lines of a minute below which their share of errors says nothing."""


class Counter(Struct, array_like=True):
    """One series of a counter: ``grown`` from ``before_ms`` to ``at_ms``, when a total stood at ``last``.

    ``rate`` is its growth per second; negative before two values of it are known.
    """

    at_ms: int
    before_ms: int
    last: float
    grown: float = 0.0
    rate: float = -1.0

    def hear(self, sample: Sample) -> None:
        """Take a later sample of the same series into account; earlier ones are too late to change anything."""
        if sample.at_ms < self.at_ms:
            return
        growth = sample.last - self.last if sample.kind == "total" else sample.sum
        silent = sample.at_ms - self.at_ms > STALE_MS
        if silent or growth < 0.0:
            self.before_ms = self.at_ms = sample.at_ms
            self.grown, self.rate = 0.0, -1.0 if silent else self.rate
        elif sample.at_ms > self.at_ms:
            self.before_ms, self.at_ms, self.grown = self.at_ms, sample.at_ms, growth
        else:
            self.grown += growth
        self.last = sample.last
        if self.at_ms > self.before_ms:
            self.rate = min(self.grown * 1000.0 / (self.at_ms - self.before_ms), VALUE_MAX)


class Flow(Struct, array_like=True):
    """The counters of one metric and rule, by series and host; ``at_ms`` is when the latest was heard.

    ``left_out``: there are more than there is room for.
    """

    counters: dict[str, Counter] = {}
    at_ms: int = 0
    left_out: bool = False

    def per_second(self, *, adds: bool = True) -> float | None:
        """Return the sum of all rates, or their mean; None when it is not known."""
        rates = [counter.rate for counter in self.counters.values() if counter.rate >= 0.0]
        if self.left_out or not rates:
            return None
        return fsum(rates) if adds else fsum(rates) / len(rates)

    def forget(self, before_ms: int) -> int:
        """Let go of counters that were silent since ``before_ms``; return how many."""
        silent = [name for name, counter in self.counters.items() if counter.at_ms < before_ms]
        for name in silent:
            del self.counters[name]
        self.left_out = False
        return len(silent)


class Alert(Struct, array_like=True):
    """What a person was told of a metric: ``id`` is the decision's that told it first, ``since_ms`` when that was.

    ``level`` indexes ``SEVERITIES``, ``raised_ms`` is when it last rose, ``wrong_ms`` when it was last found wrong. All
    times are ``now_ms``.
    """

    id: str
    level: int
    since_ms: int
    raised_ms: int
    wrong_ms: int


class Vital(Struct):
    """One followed service. ``minute`` is the event minute under way (``at_ms // MINUTE_MS``), -1 before the first.

    ``heard_ms`` is ``now_ms`` when its minute last turned. ``score`` is 0..100, -1 while nothing is known; ``status``
    is one of ``health.STATUSES`` or ``""``. Both are of the last assessment.
    """

    minute: int = -1
    heard_ms: int = 0
    tracks: dict[str, Track] = {}
    rules: dict[str, str] = {}
    """The rule that each metric is measured by."""
    flows: dict[str, Flow] = {}
    """Counters, by ``metric rule``."""
    lines: int = 0
    """Lines of this minute, and those of severity error and above."""
    errors: int = 0
    down: bool = False
    """A liveness probe fails as often as counts as a symptom."""
    score: float = -1.0
    status: str = ""
    alerts: dict[str, Alert] = {}

    def measure(self, metric: str, rule: str, at_ms: int, value: float) -> None:
        """Take a value of a metric into account, unless another rule speaks for the metric."""
        if self.rules.get(metric) != rule:
            if not self._takes_over(metric, rule, at_ms):
                return
            self.rules[metric] = rule
            self.tracks[metric] = Track()
        self.tracks[metric].add(at_ms, value, SPANS[metric])

    def _takes_over(self, metric: str, rule: str, at_ms: int) -> bool:
        """Tell whether a rule speaks for a metric from now on: a producer's before a stand-in, else the first."""
        held = self.rules.get(metric)
        if held is None or self.tracks[metric].at_ms < at_ms - STALE_MS:
            return True
        return held in STAND_INS and rule not in STAND_INS

    def value(self, metric: str, of: str = "mean") -> float | None:
        """Return the mean (or the ``max``) of a metric's newest minute up to this one; None when it is not known."""
        track = self.tracks.get(metric)
        minutes = track.minutes if track is not None else ()
        held = [one for one in minutes if 0 <= self.minute - one.number <= FRESH_MINUTES]
        if not held:
            return None
        return held[-1].most if of == "max" else held[-1].sum / held[-1].count

    def count(self, sample: Sample, rule: str, room: int) -> int:
        """Take a sample of a counter into account, when there is ``room`` for one more; return how many are new."""
        flow = self.flows.setdefault(f"{sample.metric} {rule}", Flow())
        flow.at_ms = max(flow.at_ms, sample.at_ms)
        name = f"{sample.series} {sample.host}"
        counter = flow.counters.get(name)
        if counter is not None:
            counter.hear(sample)
            return 0
        if room <= 0 or sum(len(one.counters) for one in self.flows.values()) >= SERIES_MAX:
            flow.left_out = True
            return 0
        flow.counters[name] = Counter(sample.at_ms, sample.at_ms, sample.last)
        return 1

    def flow(self, metric: str, rule: str, row: MetricRow) -> None:
        """Measure what the counters of a metric and rule make: a rate per second, or for each of its throughput."""
        flow = self.flows.get(f"{metric} {rule}", Flow())
        value, base = flow.per_second(adds=row.adds), 1.0 if row.per == "second" else None
        if row.per == "throughput":
            base = self.flows.get(f"throughput {rule}", Flow()).per_second()
        if value is not None and base:
            self.measure(metric, rule, flow.at_ms, min(value / base, row.most))


class Vitals(Struct):
    """Followed services by name, those whose minute turned longest ago first. ``counters`` are those of all."""

    followed: dict[str, Vital] = {}
    counters: int = 0
    full_said_ms: int = 0
    full_looked_ms: int = 0

    def get(self, service: str) -> Vital | None:
        """Return what is measured of a service; None when it is not followed."""
        return self.followed.get(service)
