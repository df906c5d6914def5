"""The canary: when its line was sent last, and when the last one that came through was."""

from __future__ import annotations

import time

from prometheus_client import Gauge

from streams.telemetry.registry import REGISTRY

_sent = Gauge("logmend_canary_sent_timestamp_seconds", "When the canary's last line was sent.", registry=REGISTRY)
_heard = Gauge(
    "logmend_canary_heard_timestamp_seconds",
    "When the last of the canary's lines that became a decision was sent.",
    registry=REGISTRY,
)
_took = Gauge("logmend_canary_seconds", "How long that line took to a durable decision.", registry=REGISTRY)


def canary_sent(at_ms: int) -> None:
    """Note that a line of ``at_ms`` (this host's clock) was acknowledged."""
    _sent.set(at_ms / 1_000)


def canary_heard(at_ms: int) -> None:
    """Note the time (its sender's clock) of the last line that became a decision; 0 before the first."""
    _heard.set(at_ms / 1_000)


def canary_decided(at_ms: int) -> None:
    """Note that a line of ``at_ms`` became a durable decision just now."""
    _took.set(max(0.0, time.time() - at_ms / 1_000))
