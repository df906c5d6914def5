"""A provider that is down is left alone for a while, so that no question waits for what won't come.

| state | a question | becomes |
|---|---|---|
| closed | is asked | open by ``FAILURES_MAX`` failures in a row |
| open | is not asked | half open once its time has passed |
| half open | one is asked, the others aren't | closed by an answer, open for twice the time by a failure |

Source: M. Nygard, Release It!, 2nd edition, 2018, "Circuit Breaker".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

from streams.advise.providers.base import NoAnswerError

FAILURES_MAX: Final = 3
OPEN_SECONDS: Final = 30.0
OPEN_SECONDS_MAX: Final = 600.0


class BreakerOpenError(NoAnswerError):
    """The provider was down a moment ago, and is left alone."""

    code: ClassVar[str] = "breaker_open"


class Breaker:
    """The state of one provider. Each ``admit`` is followed by one of ``answered``, ``failed`` and ``let_go``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_s = OPEN_SECONDS
        self._until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether a question would not be asked now."""
        return self._until is not None and (self._trying or self._clock() < self._until)

    def admit(self) -> None:
        """Let a question through. Raises ``BreakerOpenError``."""
        if self.is_open:
            raise BreakerOpenError("the provider failed a moment ago and is left alone")
        self._trying = self._until is not None

    def answered(self) -> None:
        """Take note that the provider works."""
        self._failures, self._open_s, self._until, self._trying = 0, OPEN_SECONDS, None, False

    def failed(self) -> None:
        """Take note that the provider is down."""
        self._failures += 1
        if self._trying:
            self._open_s = min(2 * self._open_s, OPEN_SECONDS_MAX)
        if self._trying or self._failures >= FAILURES_MAX:
            self._until = self._clock() + self._open_s
        self._trying = False

    def let_go(self) -> None:
        """Take no note: the question was given up, or is itself at fault."""
        self._trying = False

    def leave_alone(self, seconds: float) -> None:
        """Open for a time that the provider asks for, at most ``OPEN_SECONDS_MAX``."""
        self._trying = False
        until = self._clock() + min(seconds, OPEN_SECONDS_MAX)
        self._until = max(until, self._until or until)
