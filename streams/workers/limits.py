"""What an action may use: soft limits of its process, lifted while it starts a service that is to have none of them.

What a specialist holds is a limit of its process on memory that it writes to, and for its looks an order of precedence.
Its actions have none: a process can't be given back what it gave up of it, and a service would inherit that.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
from collections.abc import Iterator
from typing import Final

ADDRESS_SPACE_BYTES: Final = 1 << 30
FILE_BYTES: Final = 256 << 20
OPEN_FILES: Final = 256
CPU_SPARE_SECONDS: Final = 1
NICE_STEP: Final = 0.8
"""Each step of niceness leaves a process that much of its weight (the kernel's table, sched_prio_to_weight)."""
NICE_MAX: Final = 19
MEBIBYTE: Final = 1 << 20

Limits = dict[int, tuple[int, int]]


def limits_for(timeout_ms: int) -> Limits:
    """Return the limits of one action: it can't burn more CPU than its time-out allows on one core."""
    wanted = {
        resource.RLIMIT_CPU: timeout_ms // 1000 + CPU_SPARE_SECONDS,
        resource.RLIMIT_AS: ADDRESS_SPACE_BYTES,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    return {which: _lowered(which, value) for which, value in wanted.items()}


def _lowered(which: int, value: int) -> tuple[int, int]:
    soft, hard = resource.getrlimit(which)
    known = [limit for limit in (soft, hard, value) if limit != resource.RLIM_INFINITY]
    return min(known), hard


def apply(limits: Limits) -> None:
    """Set limits on this process."""
    for which, pair in limits.items():
        resource.setrlimit(which, pair)


_inherited: Limits = {}
_nice = 0


def hold(memory_mb: int, cpu: float) -> None:
    """Let this process, and the actions that it runs, write to so much memory; ``cpu`` is for ``give_way``.

    ``cpu`` is a share: beside another process that wants all of one, a look gets that much against the other's 1.
    """
    global _nice  # noqa: PLW0603 - a property of this process, as its limits are
    wanted = {resource.RLIMIT_DATA: _lowered(resource.RLIMIT_DATA, memory_mb * MEBIBYTE)}
    _inherited.update({which: resource.getrlimit(which) for which in wanted})
    apply(wanted)
    _nice = niceness(cpu)


def niceness(cpu: float) -> int:
    """Return the niceness at which a process has a share of the weight of an ordinary one."""
    return min(max(round(math.log(cpu) / math.log(NICE_STEP)), 0), NICE_MAX) if cpu < 1 else 0


def give_way() -> None:
    """Give this process the precedence that ``hold`` was told of."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), _nice))


def enter(timeout_ms: int) -> None:
    """Put this process under the limits of an action, and remember what it had."""
    limits = limits_for(timeout_ms)
    _inherited.update({which: resource.getrlimit(which) for which in limits})
    apply(limits)


@contextlib.contextmanager
def lifted() -> Iterator[None]:
    """Give what is started inside the limits that this process had before ``enter``."""
    current = {which: resource.getrlimit(which) for which in _inherited}
    apply(_inherited)
    try:
        yield
    finally:
        apply(current)
