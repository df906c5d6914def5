"""What an action may use: soft limits of its process, lifted while it starts a service that is to have none of them."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from typing import Final

ADDRESS_SPACE_BYTES: Final = 1 << 30
FILE_BYTES: Final = 256 << 20
OPEN_FILES: Final = 256
CPU_SPARE_SECONDS: Final = 1

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
