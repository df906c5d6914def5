"""How many questions an hour may cost how much. What a question can cost at most is set aside before it is asked.

So the money of any 3 600 seconds never exceeds its limit, whatever the answers cost and however many are asked at once.
What was spent is kept in a file: a process that starts again and again doesn't begin with a full purse each time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from streams.advise.providers.base import NoAnswerError
from streams.runtime.address import write_whole

HOUR_SECONDS: Final = 3_600.0
MICRO: Final = 1_000_000


class OverBudgetError(NoAnswerError):
    """The hour's money or calls are spent, or what is spent can't be written down."""

    code: ClassVar[str] = "budget"


class Spent(Struct, kw_only=True):
    """One question: when it was asked (seconds since 1970), and what it costs (millionths of a dollar) as is known."""

    at_s: float
    microusd: int


class Budget:
    """The purse of one process. ``path`` is where it is kept, ``clock`` gives seconds since 1970."""

    def __init__(self, calls_max: int, microusd_max: int, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._calls_max = calls_max
        self._microusd_max = microusd_max
        self._path = path
        self._clock = clock
        self._spent = _read(path)

    @property
    def calls(self) -> int:
        """Questions of the last hour."""
        return len(self._current())

    @property
    def microusd(self) -> int:
        """What they cost, or may cost where that isn't known yet."""
        return sum(spent.microusd for spent in self._current())

    def reserve(self, microusd: int) -> Spent:
        """Set aside what a question can cost at most. Raises ``OverBudgetError``."""
        if self.calls + 1 > self._calls_max:
            raise OverBudgetError(f"{self._calls_max} questions were asked within an hour")
        if self.microusd + microusd > self._microusd_max:
            raise OverBudgetError(
                f"the question could cost more than is left of {self._microusd_max / MICRO} USD an hour"
            )
        spent = Spent(at_s=self._clock(), microusd=microusd)
        self._spent.append(spent)
        try:
            self._write()
        except OverBudgetError:
            self._spent.remove(spent)
            raise
        return spent

    def settle(self, spent: Spent, microusd: int) -> None:
        """Put in place what the question did cost. If that can't be written, the file keeps what was set aside."""
        spent.microusd = microusd
        with contextlib.suppress(OverBudgetError):
            self._write()

    def _current(self) -> list[Spent]:
        """Return what is of the last hour; what lies in the future (the clock was set back) is of it too."""
        now = self._clock()
        self._spent = [spent for spent in self._spent if now - HOUR_SECONDS < spent.at_s < now + HOUR_SECONDS]
        return self._spent

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, msgspec.json.encode(self._spent))
        except OSError as error:
            raise OverBudgetError(f"{self._path} can't be written: {error.strerror}") from error


def _read(path: Path) -> list[Spent]:
    """Return what the file says; a damaged one (it is replaced as a whole) is as good as none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Spent])
    except (OSError, msgspec.MsgspecError):
        return []
