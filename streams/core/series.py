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

LARGEST: Final = 1e100
"""A value larger than this is taken to be this: its square must be a number."""

DAY_MS: Final = 86_400_000
SLOTS: Final = 48
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


NONE: Final = Departure()


class Scale(Struct):
    """Running mean and variance of a number; an outlier counts as if it was ``LEARNED`` scales away."""

    mean: float = 0.0
    variance: float = 0.0

    def score(self, value: float, floor: float) -> float:
        """Return the standard score of a value, within ±``LIMIT``; ``floor`` is added to the scale."""
        distance, scale = value - self.mean, math.sqrt(self.variance) + floor
        if not distance:
            return 0.0
        return min(max(distance / scale, -LIMIT), LIMIT) if scale else math.copysign(LIMIT, distance)

    def learn(self, value: float, bound: float, rate: float) -> None:
        """Move a part ``rate`` of the way to a value, taken to be no further than ``bound`` away."""
        distance = min(max(value - self.mean, -bound), bound)
        self.mean += distance * rate
        self.variance = (1.0 - rate) * (self.variance + rate * distance * distance)


class Track(Struct):
    """One series: a fast level to expect the next value from, a short window, and the long run.

    ``known`` is how many values the long run is made of; one learnt with less weight counts less.
    """

    values: int = 0
    known: float = 0.0
    fast: float = 0.0
    short: float = 0.0
    volatility: float = 0.0
    low: float = 0.0
    high: float = 0.0
    level: Scale = field(default_factory=Scale)
    restlessness: Scale = field(default_factory=Scale)

    def see(self, value: float) -> Departure:
        """Return how far a finite value departs from what was seen before it, then learn it."""
        departure = self.look(value)
        self.learn(value, 1.0)
        return departure

    def look(self, value: float) -> Departure:
        """Return how far a finite value departs from what was seen before it; only the short window moves."""
        value = min(max(value, -LARGEST), LARGEST)
        self.values += 1
        count = self.values
        if count == 1:
            self.fast = self.short = self.low = self.high = self.level.mean = value
            return NONE
        error = abs(value - self.fast)
        self.fast += (value - self.fast) / min(count, FAST)
        self.short += (value - self.short) / min(count, SHORT)
        self.volatility += (error - self.volatility) / min(count, SHORT)
        offset = abs(self.short - self.level.mean)
        noise = FLOOR * math.sqrt(self.level.variance) + FLOOR**3 * abs(self.level.mean)
        if count <= WARM:
            return Departure(error, offset, self.volatility, noise)
        floor = self._floor()
        scores = self.level.score(value, floor), self.restlessness.score(self.volatility, floor / LEARNED)
        return Departure(error, offset, self.volatility, noise, *scores)

    def learn(self, value: float, weight: float) -> None:
        """Take the value last looked at into the long run, as a part ``weight`` (0..1) of a value."""
        value = min(max(value, -LARGEST), LARGEST)
        self.known += weight
        rate = weight / min(self.known, LONG)
        floor = self._floor()
        reach = rough = math.inf
        if self.values > WARM:
            reach = LEARNED * (math.sqrt(self.level.variance) + floor)
            rough = LEARNED * math.sqrt(self.restlessness.variance) + floor
        self.low = min(self.low, max(value, self.level.mean - reach))
        self.high = max(self.high, min(value, self.level.mean + reach))
        self.level.learn(value, reach, rate)
        self.restlessness.learn(self.volatility, rough, rate)

    def _floor(self) -> float:
        return FLOOR * (self.high - self.low + abs(self.level.mean))


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
