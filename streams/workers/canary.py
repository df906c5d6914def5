"""Sends the canary's line, as any producer sends its lines; ``core.canary`` says what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec

from streams import telemetry
from streams.core.canary import SERVICE
from streams.ports import Log, Outgoing
from streams.workers.clock import now_ms

MESSAGE = "this line is sent so that it becomes a decision: Out of memory: Killed process 1 (canary)"
"""Matched as a pattern of the catalogue, so that the rules are a part of what is proved."""


def line(host: str, at_ms: int) -> bytes:
    """Return the canary's line as JSON."""
    stamp = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(
        {"time": stamp, "level": "CRITICAL", "service": SERVICE, "host": host, "message": MESSAGE}
    )


async def sing(log: Log, topic: str, host: str, every_seconds: float, stop: asyncio.Event) -> None:
    """Send a line to the first partition of a source topic now and every so often, until ``stop`` is set.

    Never, with ``every_seconds`` 0. A failed append raises.
    """
    while every_seconds and not stop.is_set():
        at_ms = now_ms()
        await log.append([Outgoing(topic, line(host, at_ms), SERVICE.encode())])
        telemetry.canary_sent(at_ms)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_seconds)
