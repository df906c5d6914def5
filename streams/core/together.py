"""What gets into trouble together, and what leads: services by the times at which their trouble began.

Two services whose trouble begins at independent times meet by chance as often as their rates and the window say: the
number of meetings is then Poisson's. A tie is a number of meetings that chance would not give, for all pairs together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

from msgspec import Struct

from streams.core.num import exp, log
from streams.core.tails import LN10

KEPT: Final = 32
"""Onsets that are remembered of one service: the newest."""
WINDOW_MS: Final = 300_000
"""Trouble that begins within this time of another's is met with it."""
SERVICES_MAX: Final = 2_000
"""Services whose onsets are remembered; the one that was well for the longest is forgotten first."""
NEAR_MAX: Final = 16
"""The newest onsets among which those are looked for that a new one meets: in a storm everything meets everything."""
MEETINGS_LEAST: Final = 3
LEADS_SHARE: Final = 0.75
"""One leads the other when at least this part of their meetings begins with it."""


class Tie(Struct, frozen=True):
    """Two services whose trouble begins together more often than chance would have it.

    ``meetings`` is how often, ``expected`` how often by chance, ``surprise`` -log10 of the probability that any pair of
    independent services meets as often. ``lag_ms`` is the median time from the first's onset to the second's;
    ``leads`` says that the first was in trouble before the second nearly every time.
    """

    first: str
    second: str
    meetings: int
    expected: float
    surprise: float
    lag_ms: int
    leads: bool


class Onsets(Struct):
    """When trouble began, by service, ascending; and since when services are watched."""

    since_ms: int
    times: dict[str, list[int]] = {}
    """The service whose trouble was remembered last comes last."""
    newest: list[tuple[int, str]] = []
    """The onsets that were added last, of all services."""

    def add(self, service: str, at_ms: int) -> list[str]:
        """Remember that trouble of a service began, and return the others whose latest onsets it meets.

        Late ones are put where they belong.
        """
        held = self.times.pop(service, [])
        insort(held, at_ms)
        del held[:-KEPT]
        self.times[service] = held
        if len(self.times) > SERVICES_MAX:
            del self.times[next(iter(self.times))]
        near = [name for at, name in self.newest if abs(at - at_ms) <= WINDOW_MS and name != service]
        self.newest = [*self.newest[1 - NEAR_MAX :], (at_ms, service)]
        return list(dict.fromkeys(near))

    def ties(self, now_ms: int, surprise_least: float, pairs: Iterable[tuple[str, str]] | None = None) -> list[Tie]:
        """Return the ties of at least that surprise, the most surprising first: of some pairs, or else of all.

        Each is judged as one of all pairs that there are, whichever are asked for.
        """
        known = self.times
        count = len(known) * (len(known) - 1) // 2
        asked = combinations(sorted(known), 2) if pairs is None else pairs
        found = [self._tie(*pair, now_ms, count) for pair in asked if all(self._often(name) for name in pair)]
        told = [tie for tie in found if tie.meetings >= MEETINGS_LEAST and tie.surprise >= surprise_least]
        return sorted(told, key=lambda tie: (-tie.surprise, tie.first, tie.second))

    def _often(self, service: str) -> bool:
        """Tell whether a service was in trouble often enough for a tie at all."""
        return len(self.times.get(service, ())) >= MEETINGS_LEAST

    def _tie(self, first: str, second: str, now_ms: int, pairs: int) -> Tie:
        mine, theirs = self.times[first], self.times[second]
        begin_ms = max(self._begin_ms(mine), self._begin_ms(theirs))
        mine, theirs = mine[bisect_left(mine, begin_ms) :], theirs[bisect_left(theirs, begin_ms) :]
        lags = sorted(_lags(mine, theirs))
        span_ms = max(now_ms - begin_ms, 2 * WINDOW_MS)
        expected = len(mine) * len(theirs) * 2 * WINDOW_MS / span_ms
        surprise = 0.0  # no more than chance gives, which may be hundreds, is none
        if len(lags) > expected:
            surprise = max(0.0, -log(max(_at_least(len(lags), expected) * pairs, 1e-300)) / LN10)
        lag_ms = lags[len(lags) // 2] if lags else 0
        if lag_ms < 0:
            first, second, lag_ms, lags = second, first, -lag_ms, [-lag for lag in lags]
        leads = bool(lags) and sum(lag > 0 for lag in lags) >= LEADS_SHARE * len(lags)
        return Tie(first, second, len(lags), expected, surprise, lag_ms, leads)

    def _begin_ms(self, times: Sequence[int]) -> int:
        """Return since when all onsets of a service are remembered."""
        return times[0] if len(times) == KEPT else self.since_ms


def _lags(mine: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """Return for each meeting how much later the other's onset was; an onset meets one other at most."""
    lags, at = [], 0
    for one in mine:
        while at < len(theirs) and theirs[at] < one - WINDOW_MS:
            at += 1
        if at < len(theirs) and theirs[at] <= one + WINDOW_MS:
            lags.append(theirs[at] - one)
            at += 1
    return lags


def _at_least(count: int, expected: float) -> float:
    """Return the probability of ``count`` or more when ``expected`` are expected: the tail of Poisson's series."""
    if count == 0:
        return 1.0
    term = exp(-expected)
    for at in range(1, count + 1):
        term *= expected / at
    terms = [term]
    while term > terms[0] * 1e-17 and term > 0.0:
        count += 1
        term *= expected / count
        terms.append(term)
    return min(math.fsum(terms), 1.0)
