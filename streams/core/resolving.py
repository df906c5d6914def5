"""What people do about an escalation, and whether it helped (SPEC E1, and L3 for phase 4).

acknowledged, assigned and noted are said and nothing more. A resolution is held against what happens next, as an action
of our own is: it helped when the symptom stays away and there is positive evidence, it did not when the symptom comes
back, and then a person is needed again. When it was an action of the catalogue, that is learnt for the pattern that was
escalated. What is a false alarm or is left as it is, is held against nothing.
"""

from __future__ import annotations

from typing import Final

from streams.core.escalations import ACKNOWLEDGED, JUDGED, PENDING, RESOLVED, Escalation
from streams.core.events import Coordinate
from streams.core.incidents import Incident
from streams.core.learning import Where
from streams.core.people import refuse, short
from streams.core.requests import METHODS, STEPS, EscalationAnswered
from streams.core.state import Draft, Turn
from streams.core.teaching import learn_action

LOOK_EVERY_MS: Final = 1_000
LEFT: Final = frozenset({"false_alarm", "wont_fix"})
"""Ways to resolve after which the symptom may well go on."""


def answer(turn: Turn, said: EscalationAnswered, where: Coordinate) -> None:
    """Take a person's step on an escalation, or say why not."""
    found = turn.state.escalations.known.get(said.escalation_id)
    if found is None:
        refuse(turn, where, "no such escalation is known")
        return
    if why_not := _why_not(turn, said, found):
        refuse(turn, where, why_not, refers_to=said.escalation_id, service=found.service)
        return
    draft = _drafted(said, found)
    draft.refers_to, draft.causes = said.escalation_id, (where,)
    if said.step == "resolved":
        _resolve(turn, said, found, draft)
    else:
        if said.step != "noted" and found.state == PENDING:
            found.state = ACKNOWLEDGED
        turn.write(draft)


def _why_not(turn: Turn, said: EscalationAnswered, found: Escalation) -> str:
    if said.step not in STEPS:
        return f"a step is one of {', '.join(STEPS)}"
    if said.step != "noted" and found.state in {RESOLVED, JUDGED}:
        return "it is resolved already"
    if said.step == "assigned" and not said.assignee:
        return "nobody is named whose it is to be"
    if said.step == "resolved" and said.method not in METHODS:
        row = turn.catalogue.action(said.method)
        if row is None or row.service_type != found.service_type:
            return f"a method is one of {', '.join(METHODS)}, or an action for the service"
    return ""


def _drafted(said: EscalationAnswered, found: Escalation) -> Draft:
    match said.step:
        case "resolved":
            return _about(found, "escalation_resolved", said.method)
        case "assigned":
            return _about(found, "escalation_assigned", short(said.assignee))
        case "noted":
            return _about(found, "escalation_noted", short(said.reason))
        case _:
            return _about(found, "escalation_acknowledged", f"by {short(said.author)}")


def _about(found: Escalation, kind: str, reason: str) -> Draft:
    return Draft(
        kind=kind,
        reason=reason,
        incident=found.incident,
        service=found.service,
        host=found.host,
        pattern=found.pattern,
        category=found.category,
        severity=found.severity,
    )


def _resolve(turn: Turn, said: EscalationAnswered, found: Escalation, draft: Draft) -> None:
    row = turn.catalogue.action(said.method)
    draft.strategy = row.strategy if row is not None else ""
    found.state, found.method = RESOLVED, said.method
    found.resolved_ms, found.resolved_at_ms = turn.now_ms, turn.append_ms
    found.resolved_in = turn.write(draft).id
    incident = turn.state.incidents.by_id.get(found.incident)
    if said.method in LEFT:
        found.state = JUDGED
    elif incident is not None and incident.escalation == said.escalation_id:
        turn.state.incidents.wake(incident, turn.now_ms + LOOK_EVERY_MS)
    elif found.cleared:
        _judge(turn, found, success=True)


def judged(turn: Turn, incident: Incident) -> str:
    """Look whether what a person did about an escalated incident helped.

    Return ``"helped"``, ``"failed"``, or ``"waits"`` while that is open; ``""`` when nobody did anything.
    """
    found = turn.state.escalations.waiting(incident.escalation)
    if found is None:
        return ""
    policy = turn.policy
    last_ms, last_at_ms = (since + policy.verify_after_ms for since in (found.resolved_ms, found.resolved_at_ms))
    if incident.last_now_ms > last_ms and incident.last_at_ms > last_at_ms:
        _judge(turn, found, success=False)
        return "failed"
    if is_proven(turn, incident, found.resolved_at_ms, found.resolved_ms):
        _judge(turn, found, success=True)
        return "helped"
    return "waits"


def is_proven(turn: Turn, incident: Incident, at_ms: int, now_ms: int) -> bool:
    """Tell whether the window after something done at ``at_ms`` (``now_ms``) has passed, with positive evidence."""
    policy, service = turn.policy, turn.state.services.live.get(incident.service)
    window_ms = policy.verify_after_ms + policy.stay_away_ms
    passed_ms = turn.state.watermarks.passed_ms(
        service.sources if service else (), turn.state.clock, policy.lateness_ms, policy.source_silent_ms
    )
    passed = passed_ms >= at_ms + window_ms and turn.now_ms >= now_ms + window_ms
    return passed and service is not None and service.alive_since(at_ms)


def _judge(turn: Turn, found: Escalation, *, success: bool) -> None:
    """Say whether a resolution helped, and learn it when it was an action."""
    found.state = JUDGED
    draft = (
        _about(found, "resolution_verified", "the symptom stayed away after it")
        if success
        else _about(found, "resolution_failed", "the symptom came back after it")
    )
    draft.refers_to = found.resolved_in
    row = turn.catalogue.action(found.method)
    if row is not None:
        where = Where(pattern=found.pattern, category=found.category, service_type=found.service_type)
        draft.strategy = row.strategy
        changed = _about(found, "world_changed", "")
        changed.strategy, changed.refers_to = row.strategy, found.resolved_in
        draft.figures = learn_action(turn, where, row.id, changed, success=success)
    turn.write(draft)
