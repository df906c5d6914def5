"""What is remembered of one series of values: levels, scales and a daily profile, in few numbers.

Everything is a running mean whose memory is limited, so a series that changes for good is the new normal after a while.
One value further from what was expected than ``LEARNED`` scales moves what is expected as if it were that far.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from msgspec import Struct, field

FAST: Final = 3
"""Values over which the level is held that the next value is compared with."""
SHORT: Final = 12
"""Values of the short window: its level and its volatility."""
LONG: Final = 20_000
"""Values of the longest memory, of levels and scales: two weeks of minutes."""
LEARNED: Final = 3.0
WARM: Final = 5
"""Values before which nothing is said."""
LIMIT: Final = 5.0
"""A standard score further from zero than this says no more: one broken metric must not hide the others."""
FLOOR: Final = 0.02
"""Least scale, as a part of the range of the series and of its level: a metric that hardly ever moves is not exact."""

DAY_MS: Final = 86_400_000
SLOTS: Final = 96
"""Parts of a day that have an expected value of their own."""
PROFILE_RATE: Final = 0.3
"""How much of yesterday's difference today's profile takes on."""
SEASON_ROWS: Final = 500
SEASON_SHARE: Final = 0.6
"""A series is seasonal while its profile leaves less than this part of the distance to the long level."""


class Departure(NamedTuple):
    """How far one value was from what was expected.

    ``error``, ``offset`` and ``volatility`` are in the unit of the series, ``noise`` is the difference in that unit
    below which nothing matters; ``level_score`` and ``volatility_score`` are standard scores within ±``LIMIT``.
    """

    error: float = 0.0
    offset: float = 0.0
    volatility: float = 0.0
    noise: float = 0.0
    level_score: float = 0.0
    volatility_score: float = 0.0


class Scale(Struct):
    """Running mean and variance of a number; an outlier counts as if it was ``LEARNED`` scales away."""

    mean: float = 0.0
    variance: float = 0.0

    def see(self, value: float, floor: float, count: int) -> float:
        """Return the standard score of a value (scale plus ``floor``, limited), then learn it as number ``count``."""
        scale = math.sqrt(self.variance) + floor
        distance = value - self.mean
        score = 0.0
        if distance:
            score = min(max(distance / scale, -LIMIT), LIMIT) if scale else math.copysign(LIMIT, distance)
        if count > WARM:
            bound = LEARNED * scale
            distance = min(max(distance, -bound), bound)
        rate = 1.0 / min(count, LONG)
        self.mean += distance * rate
        self.variance = (1.0 - rate) * (self.variance + rate * distance * distance)
        return score if count > WARM else 0.0


class Track(Struct):
    """One series: a fast level to expect the next value from, a short window, and the long run."""

    values: int = 0
    fast: float = 0.0
    short: float = 0.0
    volatility: float = 0.0
    low: float = 0.0
    high: float = 0.0
    level: Scale = field(default_factory=Scale)
    restlessness: Scale = field(default_factory=Scale)

    def see(self, value: float) -> Departure:
        """Return how far a finite value departs from what was seen before it, then learn it."""
        self.values = count = self.values + 1
        if count == 1:
            self.fast = self.short = self.low = self.high = self.level.mean = value
            return Departure()
        error = abs(value - self.fast)
        self.fast += (value - self.fast) / min(count, FAST)
        self.short += (value - self.short) / min(count, SHORT)
        self.volatility += (error - self.volatility) / min(count, SHORT)
        offset = abs(self.short - self.level.mean)
        noise = FLOOR * math.sqrt(self.level.variance) + FLOOR**3 * abs(self.level.mean)
        floor = FLOOR * (self.high - self.low) + FLOOR * abs(self.level.mean)
        level_score = self.level.see(value, floor, count)
        volatility_score = self.restlessness.see(self.volatility, floor / LEARNED, count)
        reach = LEARNED * (math.sqrt(self.level.variance) + floor)
        self.low = min(self.low, max(value, self.level.mean - reach))
        self.high = max(self.high, min(value, self.level.mean + reach))
        return Departure(error, offset, self.volatility, noise, level_score, volatility_score)


class Season(Struct):
    """What a series is at each part of a day (UTC), and whether knowing it helps."""

    profile: list[float | None] = []
    slot: int = -1
    total: float = 0.0
    count: int = 0
    explained: float = 0.0
    unexplained: float = 0.0

    def see(self, at_ms: int, value: float, level: float) -> float | None:
        """Return how far a value is outside of what this part of the day and its neighbours expect; then learn it.

        ``level`` is the series' long level. ``None`` where nothing is expected yet, or the series is not seasonal.
        """
        if not self.profile:
            self.profile = [None] * SLOTS
        slot = at_ms % DAY_MS * SLOTS // DAY_MS
        if slot != self.slot:
            self._next(slot)
        self.total += value
        self.count += 1
        expected = self.profile[slot]
        if expected is None:
            return None
        self.explained += (abs(value - expected) - self.explained) / SEASON_ROWS
        self.unexplained += (abs(value - level) - self.unexplained) / SEASON_ROWS
        if self.explained >= SEASON_SHARE * self.unexplained:
            return None
        near = [one for one in (self.profile[slot - 1], expected, self.profile[(slot + 1) % SLOTS]) if one is not None]
        return max(min(near) - value, value - max(near), 0.0)

    def _next(self, slot: int) -> None:
        """Take the part of the day that has ended into the profile."""
        if self.count:
            mean, held = self.total / self.count, self.profile[self.slot]
            self.profile[self.slot] = mean if held is None else held + PROFILE_RATE * (mean - held)
        self.slot, self.total, self.count = slot, 0.0, 0
