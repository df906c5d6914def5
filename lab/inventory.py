"""What the lab applies to the fleet: its services, in mode auto, and policies that are in a hurry."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from streams.core.config import Config, Policy, canonical, sha256
from streams.core.events import ConfigApplied

AUTHOR: Final = "lab"

POLICY: Final = Policy(
    cooldown_ms=1_000,
    cooldown_max_ms=8_000,
    budget_per_target=200,
    budget_per_service=200,
    budget_total=1_000,
    blast_radius_share=1.0,  # several services are broken at one time on purpose
    breaker_failures=20,
    breaker_open_ms=5_000,
    flapping_ms=0,  # the same service is broken again and again on purpose
    lateness_ms=500,
    source_silent_ms=2_000,
    verify_after_ms=3_000,
    stay_away_ms=5_000,
    unverified_after_ms=20_000,
    command_ttl_ms=15_000,
    action_timeout_ms=8_000,
    quiet_close_ms=20_000,
    grouping_wait_ms=4_000,  # a hung dependency shows after two failed probes of a second each
)
"""Seconds where the defaults are minutes: the demo has two of them. Budgets hold for a day of demos."""

LAB_POLICY: Final = replace(POLICY, stay_away_ms=10_000)
"""The lab's own measurements: verified after three seconds, away for ten more."""

CLEARING: Final = Policy(quiet_close_ms=1_000, verify_after_ms=0, stay_away_ms=0, unverified_after_ms=1_000)
"""Closes what an earlier run left open, as soon as it is quiet."""


def applied(kind: str, value: Config) -> ConfigApplied:
    """Return the inbox event that applies a configuration, said by the lab."""
    body = canonical(value)
    return ConfigApplied(kind=kind, sha256=sha256(body), author=AUTHOR, body=body)
