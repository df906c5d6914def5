"""A process that slept past its session must not write: it ends itself before it does.

A task of the event loop touches a stamp every 0.25 s. Whoever is about to write checks it: a stamp older than 0.75 of
the session means that this process was stopped (SIGSTOP, a frozen virtual machine, a suspended laptop) and that
somebody else may own its partitions by now. The stamp is boot time, which goes on while the machine sleeps. This
narrows the window only; the readers' rule (``streams/core/slices.py``) closes it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from streams import telemetry
from streams.ports import Log, Outgoing
from streams.runtime.answering import AnsweringLog

TOUCH_SECONDS: Final = 0.25
SESSION_SHARE: Final = 0.75
EXIT_LEASE_LOST: Final = 71

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Return seconds since boot, time asleep included; never goes back."""
    return time.clock_gettime(_BOOT_CLOCK)


def leave() -> NoReturn:
    """End the process at once: no handler runs, nothing that is queued is sent."""
    os._exit(EXIT_LEASE_LOST)


class Lease:
    """The right to write, for as long as the event loop runs without a gap of 0.75 sessions.

    ``session_timeout_ms`` is the consumer group's; ``clock`` gives seconds; ``end`` ends the process.
    """

    def __init__(
        self,
        stage: str,
        session_timeout_ms: int,
        *,
        clock: Callable[[], float] = boot_seconds,
        end: Callable[[], None] = leave,
    ) -> None:
        self.limit_seconds = session_timeout_ms / 1000 * SESSION_SHARE
        self.touched_at = clock()
        self._stage = stage
        self._clock = clock
        self._end = end

    def check(self) -> None:
        """End the process when the stamp is too old."""
        stale_seconds = self._clock() - self.touched_at
        if stale_seconds > self.limit_seconds:
            telemetry.lease_lost(self._stage, stale_seconds)
            self._end()

    def touch(self) -> None:
        """Renew the stamp; a woken process whose first act is this one is caught as well."""
        self.check()
        self.touched_at = self._clock()


class GuardedLog(AnsweringLog):
    """A ``Log`` that checks the lease before it appends, and again when the records are queued but not yet sent."""

    def __init__(self, log: Log, lease: Lease, answered: Callable[[], None]) -> None:
        super().__init__(log, answered)
        self._lease = lease

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append as ``Log.append`` does; ends the process instead when the lease is lost."""
        self._lease.check()
        sent = asyncio.ensure_future(super().append(records))
        await asyncio.sleep(0)  # one turn: the producer queues the records now, and its sender runs in the next turn
        self._lease.check()
        return await sent
