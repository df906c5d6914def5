"""Which services get into trouble together: each new incident is compared with those that began just before."""

from __future__ import annotations

from streams.core.incidents import Incident
from streams.core.state import Draft, Turn

LEADS, WITH = "leads", "with"
"""First word of the reason of ``tie_found``; the second service follows."""


def trouble_began(turn: Turn, incident: Incident) -> None:
    """Remember that trouble of a service began, and say once of each service that it is tied to.

    An echo that joins its dependency's incident begins none: what is declared needs no finding.
    """
    foresight, at_ms = turn.state.foresight, incident.broke_at_ms
    if not foresight.onsets.times:
        foresight.onsets.since_ms = at_ms
    met = foresight.onsets.add(incident.service, at_ms)
    pairs = [(incident.service, other) for other in met]
    for tie in foresight.onsets.ties(at_ms, turn.policy.tie_surprise, pairs):
        if not foresight.tie(tie.first, tie.second):
            continue
        draft = Draft(
            kind="tie_found",
            service=tie.first,
            reason=f"{LEADS if tie.leads else WITH} {tie.second}",
            refers_to=incident.id,
            at_ms=at_ms,
            count=tie.meetings,
        )
        draft.figures = {
            "meetings": tie.meetings,
            "expected": tie.expected,
            "surprise": tie.surprise,
            "lag_ms": tie.lag_ms,
        }
        turn.write(draft)


def in_trouble(turn: Turn, service: str) -> int:
    """Return how many of the services that a service is tied to have an open incident."""
    incidents = turn.state.incidents
    return sum(bool(incidents.of_service(other)) for other in turn.state.foresight.tied.get(service, ()))
