"""A fleet in which things can be seen coming: leaks, limits, oddities, and trouble that comes together."""

from __future__ import annotations

from typing import Final

from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied
from streams.core.num import draw
from tests.analytics.history import History

LEAK: Final = (*[40.0] * 8, 60.0, 75.0, 85.0, 95.0)
"""Memory of a service that crashes ten seconds after the last value."""
HOUR_MS: Final = 3_600_000


def apply(history: History, policy: Policy) -> None:
    """Apply a policy."""
    body = canonical(policy)
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))


def leak(history: History, service: str) -> None:
    """Let a service leak and crash, with a sample every ten seconds."""
    for value in LEAK:
        history.measure(service, value, metric="memory")
        history.log.now_ms += 10_000
    history.see(service, "process_crash")


def fill(history: History, service: str, minutes: int = 95) -> None:
    """Let a service's disk fill by 1 % a minute after a quarter of an hour, until it is full."""
    for minute in range(minutes):
        history.measure(service, min(40.0 + max(minute - 15, 0), 100.0), metric="disk")
        history.log.now_ms += 60_000


def jump(history: History, service: str) -> None:
    """Let a service's load jump after two hours of noise."""
    for minute in range(140):
        load = 50.0 + 4.0 * draw(f"load {minute}") + 40.0 * (minute > 120)
        history.measure(service, load, metric="throughput")
        history.log.now_ms += 60_000


def fail_together(history: History, first: str, second: str) -> None:
    """Let two services get into trouble together a dozen times, half a minute apart."""
    apply(history, Policy(quiet_close_ms=10_000))
    for _ in range(12):
        history.see(first, "process_crash")
        history.log.now_ms += 30_000
        history.see(second, "process_crash")
        for _ in range(2):
            history.log.now_ms += HOUR_MS
            history.calm("elsewhere", 5)
    apply(history, Policy())


def see_coming(history: History) -> None:
    """Let all of it happen, to services that are in no inventory."""
    for number in range(8):
        leak(history, f"leaky-{number}")
    fill(history, "store")
    jump(history, "gate")
    fail_together(history, "rack", "node")
