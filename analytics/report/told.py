"""What a report says: plain values, the same for a terminal, a page and JSON. Shares are of 1, times are UTC."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Rate(Struct, frozen=True, kw_only=True):
    """How many of how many; ``low`` to ``high`` is the interval that holds the true share with 95 % confidence.

    All three are None when there is nothing to take a share of. ``target`` is what is asked for, if anything is.
    """

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None
    target: float | None = None


class Named(Struct, frozen=True, kw_only=True):
    """Something with a name, how often it was counted, and its share of all that were; None: there were none."""

    name: str
    count: int
    share: float | None


class Bucket(Struct, frozen=True, kw_only=True):
    """A part of the time, from ``begin_at`` on: incidents as they stand now, outcomes, fixes that helped by its end."""

    begin_at: datetime
    fixed: int
    not_fixed: int
    open: int
    successes: int
    failures: int
    fixes_known: int


class Growth(Struct, frozen=True, kw_only=True):
    """The fixes that are known, and how those did that were tried: means a fix, the success rate in percent."""

    total_patterns: int
    avg_successes: float | None
    avg_attempts: float | None
    avg_success_rate: float | None


class Repair(Struct, frozen=True, kw_only=True):
    """How long repairs took, from opening to the verified end, in seconds; None when nothing was healed."""

    healed: int
    mean_seconds: float | None
    median_seconds: float | None
    p95_seconds: float | None
    longest_seconds: float | None


class Strategy(Struct, frozen=True, kw_only=True):
    """What became of a strategy's actions: ``success`` is of those that are verified or failed."""

    strategy: str
    attempts: int
    unverified: int
    success: Rate


class Precursor(Struct, frozen=True, kw_only=True):
    """What preceded openings of a cause more often than chance would have it.

    ``seen`` of the cause's openings had it in the minutes before them, ``expected`` would have by chance alone, and
    ``chance`` is the probability of as many or more then.
    """

    what: str
    seen: int
    expected: float
    chance: float


class Cause(Struct, frozen=True, kw_only=True):
    """A pattern of a service that came more than once; ``recurred`` times within a day after it was over.

    ``openings`` are those that had no other one in the minutes before them: what preceded is looked for there.
    """

    service: str
    pattern: str
    incidents: int
    recurred: int
    openings: int
    before: tuple[Precursor, ...]


class Report(Struct, frozen=True, kw_only=True):
    """What was learnt in a span of time; the incidents are those that were detected in it."""

    since_at: datetime
    until_at: datetime
    newest_at: datetime | None
    """When anything was decided last, whether in that span or before it; None when the log is empty."""
    incidents: int
    open: int
    auto_fix: Rate
    escalation: Rate
    escalations: tuple[Named, ...]
    """By status; their shares are of the incidents, and add up to the rate."""
    phases: tuple[Named, ...]
    growth: Growth
    repair: Repair
    repair_times: tuple[Named, ...]
    """Repairs by how long they took."""
    recurrence: Rate
    false_fire: Rate
    categories: tuple[Named, ...]
    """Incidents by category, the most frequent first."""
    category_lines: tuple[Named, ...]
    """Lines that a pattern was found in, by category, the most frequent first."""
    services: tuple[Named, ...]
    """Lines of severity error or worse, by service, the most first."""
    strategies: tuple[Strategy, ...]
    causes: tuple[Cause, ...]
    over_time: tuple[Bucket, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing at all happened in that span that could be told of."""
        lines = self.category_lines or self.services
        return not (self.incidents or lines or self.strategies or self.escalations)
