"""Epochs: which rules decide. The same facts give other decisions in another epoch, so a fleet is in one at a time.

The fleet's epoch changes by a fact, ``EpochChanged``. A release of another epoch takes no part from there on. The
newer one folds all facts again by its own rules: what the older one had decided on it only *relives* (the state
follows, nothing is appended), and it goes on behind the last decision of the older one, in the same chain. So what was
recorded stays as it is, and what the older one had left undecided when it ended is decided by the newer one.
"""

from __future__ import annotations

from typing import Final

from streams.core.base import Event

FIRST_RELEASES: Final = {1: "0.1.0"}
"""The first release of each epoch; a fact of its change names it too."""


class EpochChanged(Event, frozen=True):
    """From here on ``epoch`` decides, and not ``previous`` (0: this is the beginning). ``release`` is whose it is."""

    epoch: int
    previous: int
    release: str
    author: str
    reason: str


def release_of(epoch: int) -> str:
    """Return which releases decide in an epoch, in words."""
    first, after = FIRST_RELEASES.get(epoch), FIRST_RELEASES.get(epoch + 1)
    if first is None:
        return "a newer release (see CHANGELOG)"
    return f"release {first} or a later one{f' before {after}' if after else ' of that epoch'} (see CHANGELOG)"
