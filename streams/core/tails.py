"""How rare a number is among those that one series had before: the same scale for every series.

Of every ``BLOCK`` numbers only the largest counts, so an episode counts once however long it takes, and a number's
rank among the largest of blocks is a rate of episodes. Beyond the largest so far the tail of the logarithm is taken as
exponential with the mean excess of the largest (Hill's estimator: B. Hill, Annals of Statistics 3(5), 1975).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Final

from msgspec import Struct

from streams.core.num import exp, log

BLOCK: Final = 12
KEPT: Final = 16
"""The largest numbers of blocks that are remembered."""
HISTORY: Final = 1_000
"""Blocks after twice which every other one is forgotten: old episodes count half."""
EXCESS: Final = 0.3
EXCESS_BLOCKS: Final = 4
"""The mean excess that a series is taken to have before it has shown its own, and how many blocks that is worth."""
EXCESS_LEAST: Final = 0.05
ALIKE: Final = 0.1
"""A number is rarer than another only where it exceeds it by more than this (10 % under the logarithm)."""
BODY_STEP: Final = 0.1
BODY_RATE_LEAST: Final = 0.1
SURPRISE_MAX: Final = 15.0
"""More is not said: it would be one in a million billion."""
LN10: Final = log(10.0)
_NEVER: Final = -math.inf


class Tail(Struct):
    """The largest numbers of blocks, ascending; how many blocks there were; where the middle of the blocks lies."""

    largest: list[float] = []
    blocks: int = 0
    body: float = 0.0
    best: float = _NEVER
    left: int = BLOCK

    def surprise(self, number: float) -> float:
        """Return -log10 of the share of blocks that reach ``number`` (a logarithm), 0..``SURPRISE_MAX``."""
        largest = self.largest
        if len(largest) < 2:
            return 0.0
        number -= ALIKE
        known = self.blocks + 1
        below = bisect_left(largest, number)
        if below == len(largest):
            return min(_decades(known) + (number - largest[-1]) / (self._excess() * LN10), SURPRISE_MAX)
        if below:
            under, over = largest[below - 1], largest[below]
            return _decades(known / (len(largest) - below + (over - number) / (over - under)))
        if number <= self.body or largest[0] <= self.body:
            return 0.0
        return _decades(known / (len(largest) + 1)) * (number - self.body) / (largest[0] - self.body)

    def learn(self, number: float) -> None:
        """Count a number; when it ends a block, keep the largest of it."""
        self.best = max(self.best, number)
        self.left -= 1
        if self.left:
            return
        number, self.best, self.left = self.best, _NEVER, BLOCK
        self.blocks += 1
        step = min(max(number - self.body, -BODY_STEP), BODY_STEP) if self.blocks > 1 else number
        self.body += step * max(1.0 / self.blocks, BODY_RATE_LEAST)
        if len(self.largest) < KEPT:
            insort(self.largest, number)
        elif number > self.largest[0]:
            insort(self.largest, number)
            del self.largest[0]
        if self.blocks >= 2 * HISTORY:
            self.blocks //= 2
            self.largest = self.largest[1::2]

    def _excess(self) -> float:
        """Return by how much the largest exceed the least of them on average, near ``EXCESS`` while blocks are few."""
        largest, prior = self.largest, EXCESS_BLOCKS / (self.blocks + 1)
        own = math.fsum(largest) / len(largest) - largest[0]
        return max((own + EXCESS * prior) / (1.0 + prior), EXCESS_LEAST)


def score(surprise: float) -> float:
    """Return a surprise as a number in 0..1: one minus the share of blocks of the past that reach as far."""
    return 1.0 - exp(-surprise * LN10)


def _decades(ratio: float) -> float:
    return log(ratio) / LN10
