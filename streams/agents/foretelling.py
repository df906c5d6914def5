"""What became of predictions, as the durable decisions of one owner of decide tell it; a view says it of all."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from streams import telemetry
from streams.core.events import SEVERITIES, Decision

SAME_FAILURE_MS: Final = 300_000
"""What follows a failure of the same service within this time is the same failure."""
LATE_MS: Final = 60_000
"""So much later, in event time of the service, a failure within the horizon would have been heard of."""
SILENT_MS: Final = 3_600_000
"""A service of which nothing was decided for this long (append time) did not fail either."""
SWEEP_MS: Final = 60_000
FAILING: Final = frozenset(SEVERITIES[2:])
FAILED: Final = re.compile(r"\w* ?to failed")
"""Of the reason of ``health_changed``."""


class _Said(NamedTuple):
    """A prediction: made at event time ``at_ms``, of a failure up to ``until_ms``."""

    at_ms: int
    until_ms: int
    probability: float
    alarm: bool


class Foretelling:
    """Remembers predictions until their outcome is known. Those that an earlier owner recorded are not counted."""

    def __init__(self) -> None:
        self._said: dict[str, list[_Said]] = {}
        self._failed_ms: dict[str, int] = {}
        self._swept_ms = 0

    def see(self, decision: Decision) -> None:
        """Take in a durable decision; each one once and in their order."""
        if not decision.service:
            return
        if _is_failure(decision):
            self._fail(decision.service, decision.at_ms)
        if decision.kind == "predicted":
            self._said.setdefault(decision.service, []).append(_said(decision))
        self._pass(decision.service, decision.at_ms - LATE_MS)
        if decision.append_ms >= self._swept_ms + SWEEP_MS:
            self._swept_ms = decision.append_ms
            self._sweep(decision.append_ms - SILENT_MS)

    def _fail(self, service: str, at_ms: int) -> None:
        before_ms = self._failed_ms.get(service)
        self._failed_ms[service] = at_ms
        if before_ms is not None and at_ms <= before_ms + SAME_FAILURE_MS:
            return
        said = self._said.get(service, [])
        right = [one for one in said if one.at_ms < at_ms <= one.until_ms]
        self._said[service] = [one for one in said if not one.at_ms < at_ms <= one.until_ms]
        for one in right:
            telemetry.prediction_known(one.probability, alarm=one.alarm, failed=True)
        if right:
            alarms = [one.at_ms for one in right if one.alarm]
            telemetry.failure_foretold((at_ms - min(alarms)) / 1_000 if alarms else None)

    def _pass(self, service: str, at_ms: int) -> None:
        """Let go of what was predicted of a service up to ``at_ms``: it has not come."""
        said = self._said.get(service, [])
        left = [one for one in said if one.until_ms >= at_ms]
        for one in said:
            if one.until_ms < at_ms:
                telemetry.prediction_known(one.probability, alarm=one.alarm, failed=False)
        if left:
            self._said[service] = left
        else:
            self._said.pop(service, None)

    def _sweep(self, at_ms: int) -> None:
        for service in list(self._said):
            self._pass(service, at_ms)
        self._failed_ms = {service: failed for service, failed in self._failed_ms.items() if failed >= at_ms}


def _is_failure(decision: Decision) -> bool:
    match decision.kind:
        case "incident_opened" | "severity_raised":
            return decision.severity in FAILING
        case "health_changed":
            return bool(FAILED.match(decision.reason))
    return False


def _said(decision: Decision) -> _Said:
    figures = {figure.name: figure.value for figure in decision.figures}
    return _Said(
        at_ms=decision.at_ms,
        until_ms=decision.at_ms + int(figures["horizon_ms"]),
        probability=figures["probability"],
        alarm=figures["probability"] >= figures["alarm"],
    )
