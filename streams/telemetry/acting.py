"""What is done: ends of commands, probes, what runs and what may."""

from __future__ import annotations

import logging

from prometheus_client import Counter, Gauge

from streams.telemetry.registry import REGISTRY
from streams.telemetry.saying import say

_outcomes = Counter("logmend_outcomes", "Ends of commands.", ["status", "ok"], registry=REGISTRY)
_probes = Counter("logmend_probes", "Probes made.", ["kind", "ok"], registry=REGISTRY)
_in_flight = Gauge("logmend_actions_in_flight", "Actions that run now.", registry=REGISTRY)


def outcome_reported(status: str, *, ok: bool) -> None:
    """Count the end of a command."""
    _outcomes.labels(status, str(ok).lower()).inc()


def probe_made(kind: str, *, ok: bool) -> None:
    """Count a probe of a service or of a host, by its kind."""
    _probes.labels(kind, str(ok).lower()).inc()


def actions_running(count: int) -> None:
    """Set how many actions of this pool run now."""
    _in_flight.set(count)


def command_refused(command_id: str, reason: str) -> None:
    """Say that the pool refused a command, with a word for the reason."""
    say(logging.WARNING, "command_refused", command=command_id, reason=reason)


def action_logged(command_id: str, action: str, service: str) -> None:
    """Say what would be done: this process runs dry."""
    say(logging.INFO, "action_logged", command=command_id, action=action, service=service)


def permissions_found(host: str, permits: list[str]) -> None:
    """Say what this process may do to the services of its host, an entry for each thing."""
    say(logging.INFO, "permissions_found", host=host, permits=permits)
