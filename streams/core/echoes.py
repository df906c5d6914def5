"""Echoes: what a service reports because another, which it depends on, is broken. One outage is one incident.

A symptom of rank 0 (nobody answers) is an echo whenever a dependency has an open incident. Other patterns may be one
(``echo`` in the catalogue: a database that can't be had, a failed health check), but have causes of their own as well:
they are the dependency's only while that one is being healed, or has shown no sign of life since it broke.
"""

from __future__ import annotations

from streams.core.incidents import ACTING, OPEN, PLANNING, VERIFYING, Incident, add_symptom
from streams.core.inventory import ServiceSpec
from streams.core.planning import end
from streams.core.state import Turn
from streams.core.strategy import PatternRow


def may_echo(turn: Turn, service: str, pattern: str) -> bool:
    """Tell whether a pattern on a service may come from a dependency that the service declares."""
    return turn.catalogue.pattern(pattern).may_echo and bool(turn.fleet.dependencies(service))


def of_dependency(turn: Turn, service: str, row: PatternRow) -> Incident | None:
    """Return the open incident of a dependency that a pattern on a service is taken for the echo of."""
    if not may_echo(turn, service, row.id):
        return None
    own = turn.state.incidents.find(service, row.group)
    if own is not None and row.rank > 0 and not may_echo(turn, service, own.pattern):
        return None
    depends_on = turn.fleet.dependencies(service)
    return next(
        (
            one
            for one in turn.state.incidents.by_id.values()
            if one.service in depends_on and one.group == row.group and (row.rank == 0 or _is_broken(turn, one))
        ),
        None,
    )


def _is_broken(turn: Turn, incident: Incident) -> bool:
    """Tell whether an incident's service is being healed, or has not been seen well since it broke."""
    if incident.status in {PLANNING, ACTING, VERIFYING}:
        return True
    service = turn.state.services.live.get(incident.service)
    return service is None or not service.alive_since(incident.own_at_ms)


def absorb(turn: Turn, incident: Incident) -> None:
    """Merge what dependents reported before their dependency spoke, unless it is acted on already.

    What only echoed while a dependent's own action was being verified does not count against that action.
    """
    if not turn.fleet.is_depended_on(incident.service):
        return
    for other in list(turn.state.incidents.by_id.values()):
        if other.group != incident.group or incident.service not in turn.fleet.dependencies(other.service):
            continue
        if other.attempt is not None and other.attempt.failed_by_echo:
            other.attempt.failed_at_ms, other.attempt.failed_by_echo = 0, False
        if other.status not in {OPEN, PLANNING} or other.attempts or not may_echo(turn, other.service, other.pattern):
            continue
        end(turn, other)
        draft = turn.about(other, "incident_merged", "echo of a dependency")
        draft.refers_to = incident.id
        turn.write(draft)
        for name, count in other.symptoms.items():
            service, pattern = name.rsplit(" ", 1)
            add_symptom(incident, service, pattern, count)
        turn.state.incidents.close(other)


def wait_ms(turn: Turn, service: str) -> int:
    """Return how long a possible echo waits: until each dependency has been probed once, and the policy's wait."""
    return max(turn.policy.grouping_wait_ms, _probed_ms(turn, service, rounds=1))


def speaks_until_ms(turn: Turn, incident: Incident) -> int:
    """Return until when (``now_ms``) a dependency in doubt may still speak for an incident that may be its echo.

    In doubt is one whose last probe failed, but not often enough in a row to count; 0 when there is none.
    """
    if incident.attempts or not may_echo(turn, incident.service, incident.pattern):
        return 0
    live = turn.state.services.live
    in_doubt = [name for name in turn.fleet.dependencies(incident.service) if name in live and not live[name].probe_ok]
    if not in_doubt:
        return 0
    return incident.opened_ms + _probed_ms(turn, incident.service, rounds=turn.policy.probe_failures)


def _probed_ms(turn: Turn, service: str, rounds: int) -> int:
    """Return how long so many rounds of probes of all dependencies take."""
    specs = map(turn.fleet.spec, turn.fleet.dependencies(service))
    return max((_round_ms(spec, rounds) for spec in specs if spec is not None), default=0)


def _round_ms(spec: ServiceSpec, rounds: int) -> int:
    return max((probe.every_ms * rounds + probe.timeout_ms for probe in spec.probes), default=0)
