"""Stuck detection: what fails again and again is a person's, whichever incident it comes up in next (SPEC C9).

Attempts are counted across incidents for each pattern of a service, for each specialist that led the plan behind them,
and for each strategy. One of these is stuck when it failed ``policy.stuck_failures`` times and of all attempts since
the first of these failures less than ``policy.stuck_success_max`` helped. Failures older than
``policy.stuck_window_ms`` no longer count, and neither do successes from before them: a fix that worked for a year and
no longer does is noticed with the tenth failure. Whatever comes up next for it is given to a person at once, until it
helps after all (an attempt that was under way) or a person says that things are different now: ``logmend resume``, or
an applied file.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.config import Policy
from streams.core.num import stored

RECORDS_MAX: Final = 10_000
"""Patterns of services, specialists and strategies; which had no attempt for the longest time is forgotten first."""
MINUTE_MS: Final = 60_000


class Failure(Struct, array_like=True):
    """A failed attempt: when (``now_ms``), and how many succeeded between the one before it and it."""

    now_ms: int
    successes_before: int


class Record(Struct):
    """The last attempts of one thing that can be stuck; times are ``now_ms``."""

    failures: list[Failure] = []
    """The last ``policy.stuck_failures`` at most."""
    successes_since: int = 0
    """After the last failure."""
    consecutive: int = 0
    """Failures in a row."""
    last_success_ms: int = -1
    """-1: none is known."""
    said_in: str = ""
    """The decision that said that it is stuck; ``""`` while it is not."""

    def succeeded(self, now_ms: int) -> None:
        """Count an attempt that helped."""
        self.successes_since += 1
        self.consecutive = 0
        self.last_success_ms = now_ms

    def failed(self, now_ms: int, policy: Policy) -> bool:
        """Count an attempt that did not; True when it is stuck from now on."""
        kept = [one for one in self.failures if now_ms - one.now_ms < policy.stuck_window_ms]
        kept.append(Failure(now_ms, self.successes_since))
        self.failures = kept[-max(policy.stuck_failures, 1) :]
        self.successes_since = 0
        self.consecutive += 1
        enough = 0 < policy.stuck_failures <= len(self.failures)
        return not self.said_in and enough and self._success_rate() < policy.stuck_success_max

    def release(self) -> None:
        """Count anew, from nothing."""
        self.failures, self.successes_since, self.consecutive, self.said_in = [], 0, 0, ""

    def figures(self, now_ms: int) -> dict[str, float]:
        """Return the evidence, by the names of ``kinds.FIGURES``."""
        known = self.last_success_ms >= 0
        return {
            "attempts": float(self._attempts()),
            "failures": float(len(self.failures)),
            "success_rate": self._success_rate(),
            "consecutive_failures": float(self.consecutive),
            "minutes_since_success": (now_ms - self.last_success_ms) / MINUTE_MS if known else -1.0,
        }

    def _attempts(self) -> int:
        """Return how many attempts there were from the first of the failures that count."""
        return len(self.failures) + sum(one.successes_before for one in self.failures[1:]) + self.successes_since

    def _success_rate(self) -> float:
        attempts = self._attempts()
        return stored(1.0 - len(self.failures) / attempts) if attempts else 0.0


class Stuck(Struct):
    """What is known of everything that can be stuck; what had an attempt last comes last."""

    records: dict[str, Record] = {}

    def touch(self, name: str) -> Record:
        """Return the record of a name, made if need be, as the one that had an attempt last."""
        record = self.records.pop(name, None) or Record()
        self.records[name] = record
        return record

    def evict(self) -> Record | None:
        """Take out the record without an attempt for the longest time when there are too many."""
        if len(self.records) <= RECORDS_MAX:
            return None
        return self.records.pop(next(iter(self.records)))

    def stuck(self, name: str) -> Record | None:
        """Return the record of what is stuck; None when it is not."""
        record = self.records.get(name)
        return record if record is not None and record.said_in else None


def of_pattern(service: str, pattern: str) -> str:
    """Return the name of a service's pattern."""
    return f"{pattern} on {service}"


def of_strategy(strategy: str) -> str:
    """Return the name of a strategy."""
    return f"strategy {strategy}"


def of_specialist(specialist: str) -> str:
    """Return the name of a specialist."""
    return f"specialist {specialist}"
