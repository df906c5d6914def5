"""Windows on event time: how fast lines come, by service, severity, category and pattern, and which are too late.

Rates of templates are with the templates (``templates.py``); ``surging.py`` tells what surges. The views' macros
``rates`` and ``sessions`` add up windows of any length from the recorded tallies; what is held here agrees with them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from streams.core.config import SERVICES_MAX
from streams.core.events import Tally
from streams.core.rates import PANE_MS, Rate, Session, extend

PATTERNS_MAX: Final = 1_000
"""Patterns whose rates are held; the longest silent leave first. The shipped ones are 24, users add theirs."""
ERRORS: Final = frozenset({"error", "critical", "fatal"})
"""Severities that count as errors."""


class Pace(Struct, array_like=True):
    """How fast lines of one service come: all of them, those that are errors, and its sessions of errors."""

    lines: Rate = field(default_factory=Rate)
    errors: Rate = field(default_factory=Rate)
    sessions: list[Session] = []


class Surge(Struct, array_like=True):
    """A surge that is not over: the decision that told of it, when it began (event time), and its largest minute."""

    decision_id: str
    since_at_ms: int
    peak: int


class Late(Struct, array_like=True):
    """Lines too late for what is held, since they were last told of, by how much at most, and whose the last were.

    ``said_ms`` is ``now_ms`` of that telling.
    """

    lines: int = 0
    behind_ms: int = 0
    service: str = ""
    said_ms: int = 0


Touched = dict[str, tuple[Rate, int]]
"""Rates of errors that grew in a slice, by key: with the earliest pane that did."""


class Windows(Struct):
    """Rates by service (the longest silent leave first), and by ``severity error``, ``category disk`` and pattern.

    ``pane`` is the newest pane of the fleet. ``surges`` are under way, by the key that ``of`` knows.
    """

    services: dict[str, Pace] = {}
    rates: dict[str, Rate] = {}
    patterns: dict[str, Rate] = {}
    surges: dict[str, Surge] = {}
    late: Late = field(default_factory=Late)
    pane: int = 0

    def errors_a_minute(self, service: str, at_ms: int) -> int:
        """Return how many error lines of a service the minute up to ``at_ms`` (event time) holds."""
        pace = self.services.get(service)
        return pace.errors.lines(at_ms // PANE_MS) if pace else 0

    def error_slope(self, service: str, at_ms: int) -> float:
        """Return by how many a minute a service's error lines a minute change, over five minutes up to ``at_ms``."""
        pace = self.services.get(service)
        return pace.errors.slope(at_ms // PANE_MS) if pace else 0.0

    def of(self, key: str) -> Rate | None:
        """Return the rate of ``severity``, ``category``, ``pattern`` or ``service`` (its errors) and a name."""
        by, _, name = key.partition(" ")
        match by:
            case "service":
                pace = self.services.get(name)
                return pace.errors if pace else None
            case "pattern":
                return self.patterns.get(name)
            case _:
                return self.rates.get(key)

    def count(self, tally: Tally, at_ms: int, category: str, touched: Touched) -> None:
        """Count the lines of a tally at ``at_ms``; those that a window no longer held are late."""
        pane = at_ms // PANE_MS
        held = self._count_service(tally, at_ms, pane, touched)
        severe = touched if tally.severity in ERRORS else None
        held &= _count(self.rates, f"severity {tally.severity}", pane, tally.count, severe)
        if tally.pattern:
            rate = self.patterns.pop(tally.pattern, None) or Rate()
            if len(self.patterns) >= PATTERNS_MAX:
                del self.patterns[next(iter(self.patterns))]
            self.patterns[tally.pattern] = rate
            held &= _grow(f"pattern {tally.pattern}", rate, pane, tally.count, touched)
        if category:
            held &= _count(self.rates, f"category {category}", pane, tally.count, touched)
        if not held:
            late = self.late
            late.lines += tally.count
            late.behind_ms = max(late.behind_ms, self.pane * PANE_MS - at_ms)
            late.service = tally.service

    def _count_service(self, tally: Tally, at_ms: int, pane: int, touched: Touched) -> bool:
        name = tally.service
        pace = self.services.get(name)
        if pace is None or pane > pace.lines.newest:
            pace = self._to_the_end(name)
        held = pace.lines.add(pane, tally.count)
        if tally.severity in ERRORS:
            held &= _grow(f"service {name}", pace.errors, pane, tally.count, touched)
            held &= extend(pace.sessions, at_ms, tally.count)
        return held

    def _to_the_end(self, name: str) -> Pace:
        """Move a service to the end of the order, once a pane; make room when it is a new one."""
        pace = self.services.pop(name, None) or Pace()
        if len(self.services) >= SERVICES_MAX:
            del self.services[next(iter(self.services))]
        self.services[name] = pace
        return pace


def _count(rates: dict[str, Rate], key: str, pane: int, lines: int, touched: Touched | None) -> bool:
    rate = rates.get(key)
    if rate is None:
        rate = rates[key] = Rate()
    return rate.add(pane, lines) if touched is None else _grow(key, rate, pane, lines, touched)


def _grow(key: str, rate: Rate, pane: int, lines: int, touched: Touched) -> bool:
    held = rate.add(pane, lines)
    if held:
        known = touched.get(key)
        touched[key] = (rate, pane if known is None else min(pane, known[1]))
    return held
