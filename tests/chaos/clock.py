"""A clock that can be set, for a broker and the processes of a fleet alone: libfaketime, as the package brings it.

Only the wall clock is set. A machine's own monotonic clock and the times of its files don't move when it is set either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from streams.runtime import broker_config

LIBRARY: Final = Path(
    str(distribution("libfaketime").locate_file("libfaketime/vendor/libfaketime/src/libfaketime.so.1"))
)
NOTICED_SECONDS: Final = 1
"""How often a process looks how its clock is set."""


class Clock:
    """What clock the processes see that have ``environment``."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.ahead_seconds = 0
        self.set(0)
        self.environment: Final = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(NOTICED_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # deadlines of waits stay as they are
            "NO_FAKE_STAT": "1",
        }

    def set(self, ahead_seconds: int) -> None:
        """Set it so many seconds ahead of the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_seconds:+d}\n", encoding="ascii")
        new.replace(self._file)
        self.ahead_seconds = ahead_seconds

    def now_ms(self) -> int:
        """Return what it shows."""
        return time.time_ns() // 1_000_000 + self.ahead_seconds * 1_000

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Have it in every process, and in every broker, that is set up meanwhile."""
        before = {name: os.environ.get(name) for name in self.environment}
        java = dict(broker_config.JAVA_ENVIRONMENT)
        os.environ.update(self.environment)
        broker_config.JAVA_ENVIRONMENT.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value
            broker_config.JAVA_ENVIRONMENT.clear()
            broker_config.JAVA_ENVIRONMENT.update(java)
