"""What is counted of a candidate's decisions beside the log's, and which of them are worth keeping.

After each difference the candidate goes on from the log, so it would say the same again with the next fact: "I would
have acted by now". Equal differences of one subject within ``REPEAT_MS`` of each other are one, said again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from streams.core.events import Decision
from streams.core.twin import DIFFERENT, Pair

REPEAT_MS: Final = 600_000
SUBJECTS_MAX: Final = 10_000
"""Subjects whose differences are remembered to know them again; the longest silent leave first."""

Subject = tuple[str, ...]


class Difference(NamedTuple):
    """A pair that differs. ``first``: of its incident; ``now_ms`` is the smoothed append time of its fact."""

    pair: Pair
    first: bool
    now_ms: int


class Divergence:
    """Counts pairs by kind and change. ``parted`` are incidents on which the candidate differed already."""

    def __init__(self, parted: Iterable[str] = ()) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """How many decisions of a kind had a change, by (kind, change), since they were taken out."""
        self.repeats = 0
        self._parted = dict.fromkeys(parted)
        self._seen: dict[Subject, int] = {}

    def take(self, pairs: Iterable[Pair]) -> list[Difference]:
        """Count the pairs of one fact, and return the differences among them that are new."""
        found = []
        for pair in pairs:
            known = pair.known
            if pair.change in DIFFERENT:
                if self._is_repeat(_subject(pair), known.now_ms):
                    self.repeats += 1
                    continue
                found.append(Difference(pair, self._parts(known.incident), known.now_ms))
            self.counts[known.kind, pair.change] += 1
        return found

    def _is_repeat(self, subject: Subject, now_ms: int) -> bool:
        last_ms = self._seen.pop(subject, None)
        self._seen[subject] = now_ms
        if len(self._seen) > SUBJECTS_MAX:
            del self._seen[next(iter(self._seen))]
        return last_ms is not None and now_ms - last_ms < REPEAT_MS

    def _parts(self, incident: str) -> bool:
        """Tell whether this is the first difference of an incident, and remember that it is."""
        if not incident or incident in self._parted:
            return False
        self._parted[incident] = None
        if len(self._parted) > SUBJECTS_MAX:
            del self._parted[next(iter(self._parted))]
        return True


def _subject(pair: Pair) -> Subject:
    return (pair.change, *_about(pair.recorded), *_about(pair.candidate))


def _about(decision: Decision | None) -> Subject:
    if decision is None:
        return ("",)
    action = decision.command.action if decision.command else ""
    return (decision.kind, decision.incident, decision.service, decision.pattern, decision.strategy, action)
