"""What a candidate policy would decide, beside what is decided."""

from __future__ import annotations

from prometheus_client import Counter

from streams.telemetry.registry import REGISTRY

_compared = Counter(
    "logmend_shadow_decisions",
    "Decisions under two policies, by what becomes of them.",
    ["kind", "change"],
    registry=REGISTRY,
)
_parted = Counter(
    "logmend_shadow_incidents_parted", "Incidents on which a candidate policy decides otherwise.", registry=REGISTRY
)


def shadow_compared(kind: str, change: str) -> None:
    """Count a decision of the log, or one that only the candidate makes; ``change`` is one of ``twin.CHANGES``."""
    _compared.labels(kind, change).inc()


def shadow_parted(incidents: int) -> None:
    """Count incidents on which the candidate differs for the first time."""
    _parted.inc(incidents)
