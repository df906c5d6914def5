"""Echoes: what a service reports because another, which it depends on, is broken. One outage is one incident.

Only a dependency that may be acted on has echoes: healing it heals them. While it is being healed, every pattern that
may be one (rank 0: nobody answers; ``echo`` in the catalogue: a database that can't be had, a failed health check) is
its echo. Otherwise for a bounded time after it broke, and those that have causes of their own as well only until the
dependency shows a sign of life.
"""

from __future__ import annotations

from typing import Final

from streams.core.incidents import ACTING, OPEN, PLANNING, VERIFYING, Incident, add_symptom
from streams.core.inventory import LIVENESS_KINDS, ProbeSpec
from streams.core.planning import end
from streams.core.state import Turn
from streams.core.strategy import PatternRow

POOL_LOOKS_EVERY_MS: Final = 1_000
"""A pool looks at a service this often (or every ``every_ms``, if that is less) and reports a change at once."""
SPEAKS_WITHIN_MAX_MS: Final = 10_000
"""No dependency is waited for longer: two looks that hang take 5 s with the defaults, and this is twice as long.

A longer time-out of its dependency is no reason to leave a service down that is broken for a reason of its own.
"""


ECHOES_FOR_MS: Final = 900_000
"""How long after its incident was opened a dependency has echoes although nothing is done about it: as long as a person
who is asked has to answer by default. Acting on its dependents meanwhile would use up the budget of its own action;
after that, one that is still broken is likelier to have a cause of its own."""


def may_echo(turn: Turn, service: str, pattern: str) -> bool:
    """Tell whether a pattern on a service may come from a dependency that it declares, and that may be acted on."""
    return turn.catalogue.pattern(pattern).may_echo and turn.fleet.has_curable_dependency(service)


def is_echo(turn: Turn, incident: Incident) -> bool:
    """Tell whether all that an incident's own service showed may come from a dependency."""
    service = incident.service
    own = [pattern for name, _, pattern in (key.rpartition(" ") for key in incident.symptoms) if name == service]
    return all(may_echo(turn, service, pattern) for pattern in (incident.pattern, *own))


def of_dependency(turn: Turn, service: str, row: PatternRow) -> Incident | None:
    """Return the open incident of a dependency that a pattern on a service is taken for the echo of."""
    if not may_echo(turn, service, row.id):
        return None
    own = turn.state.incidents.find(service, row.group)
    if own is not None and row.rank > 0 and not is_echo(turn, own):
        return None
    depends_on = turn.fleet.dependencies(service)
    return next(
        (
            one
            for one in turn.state.incidents.by_id.values()
            if one.service in depends_on and one.group == row.group and _has_echo(turn, one, row)
        ),
        None,
    )


def _has_echo(turn: Turn, incident: Incident, row: PatternRow) -> bool:
    """Tell whether an incident explains a pattern on a dependent of its service."""
    if incident.status in {PLANNING, ACTING, VERIFYING}:
        return True
    if not turn.fleet.is_curable(incident.service) or turn.now_ms >= incident.opened_ms + ECHOES_FOR_MS:
        return False
    service = turn.state.services.live.get(incident.service)
    return row.rank == 0 or service is None or not service.alive_since(incident.broke_at_ms)


def absorb(turn: Turn, incident: Incident) -> None:
    """Merge what dependents reported before their dependency spoke, unless it is acted on already.

    What only echoed while a dependent's own action was being verified does not count against that action.
    """
    if not turn.fleet.is_depended_on(incident.service) or not turn.fleet.is_curable(incident.service):
        return
    for other in list(turn.state.incidents.by_id.values()):
        if other.group != incident.group or incident.service not in turn.fleet.dependencies(other.service):
            continue
        if other.attempt is not None and other.attempt.failed_by_echo:
            other.attempt.failed_at_ms, other.attempt.failed_by_echo = 0, False
        if other.status not in {OPEN, PLANNING} or other.attempts or not is_echo(turn, other):
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
    """Return how long a possible echo waits: until each dependency has been looked at once, and the policy's wait."""
    return max(turn.policy.grouping_wait_ms, _speaks_within_ms(turn, service, looks=1))


def speaks_until_ms(turn: Turn, incident: Incident) -> int:
    """Return until when (``now_ms``) a dependency in doubt may still speak for an incident that may be its echo.

    In doubt is one whose last probe failed, but not often enough in a row to count; 0 when there is none.
    """
    if incident.attempts or not is_echo(turn, incident):
        return 0
    live = turn.state.services.live
    in_doubt = [name for name in turn.fleet.dependencies(incident.service) if name in live and not live[name].probe_ok]
    if not in_doubt:
        return 0
    return incident.opened_ms + _speaks_within_ms(turn, incident.service, looks=turn.policy.probe_failures)


def _speaks_within_ms(turn: Turn, service: str, looks: int) -> int:
    """Return within which time all dependencies have been looked at so many times since they broke."""
    specs = map(turn.fleet.spec, turn.fleet.dependencies(service))
    probes = (probe for spec in specs if spec is not None for probe in spec.probes if probe.kind in LIVENESS_KINDS)
    return min(max((_look_ms(probe, looks) for probe in probes), default=0), SPEAKS_WITHIN_MAX_MS)


def _look_ms(probe: ProbeSpec, looks: int) -> int:
    """Return how long so many looks take: a pause before the first, and a look that hangs delays the next one."""
    pause_ms = min(probe.every_ms, POOL_LOOKS_EVERY_MS)
    return pause_ms + (looks - 1) * max(pause_ms, probe.timeout_ms) + probe.timeout_ms
