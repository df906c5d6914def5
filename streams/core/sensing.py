"""From symptoms to incidents: what belongs together, what leads, and what came back."""

from __future__ import annotations

from msgspec import Struct

from streams.core.bursts import raised
from streams.core.echoes import absorb, may_echo, of_dependency, wait_ms
from streams.core.events import SEVERITIES, Coordinate, Detection, Message, ProbeReported, Slice
from streams.core.foreseeing import opened, worsened
from streams.core.incidents import (
    ACTING,
    INCIDENTS_MAX,
    NEVER_MS,
    OPEN,
    STRANGERS_MAX,
    VERIFYING,
    Incident,
    add_causes,
    add_symptom,
    severer,
)
from streams.core.phases import first as first_phase
from streams.core.state import Draft, Turn
from streams.core.strategy import PatternRow

CAUSE_RANK = 2
FULL_SAID_EVERY_MS = 3_600_000


class Symptom(Struct, frozen=True, kw_only=True):
    """A pattern seen on a service: in log lines, or by probes that failed in a row. ``at_ms`` is the latest time."""

    service: str
    host: str
    pattern: str
    category: str
    severity: str
    confidence: float
    count: int
    at_ms: int
    causes: tuple[Coordinate, ...]
    probed: bool
    burst: str = ""
    """How many lines came in how short a time, when that raised the severity."""
    trace: str = ""
    """W3C traceparent of a line, if one came with it."""


def of_detection(turn: Turn, detection: Detection, source: str, partition: int) -> Symptom:
    """Return a detection as a symptom; its slice's tallies are counted already."""
    row = turn.catalogue.pattern(detection.pattern)
    lines = turn.state.services.burst_lines(detection.service, row.id)
    severity = raised(row, detection.severity, lines)
    burst = f"{lines} lines of {row.id} within {turn.policy.burst_window_ms // 1000} s"
    return Symptom(
        service=detection.service,
        host=detection.host,
        pattern=detection.pattern,
        category=detection.category,
        severity=severity,
        burst="" if severity == detection.severity else burst,
        confidence=detection.confidence,
        count=detection.count,
        at_ms=turn.seen_ms(detection.at_last_ms),
        causes=tuple(
            Coordinate(topic=source, partition=partition, offset=line.offset, index=line.index)
            for line in detection.lines
        ),
        probed=False,
        trace=detection.trace,
    )


def sense(turn: Turn, symptom: Symptom) -> None:
    """Give a symptom to its incident, or open one.

    Old evidence (an import, a backlog) is in the facts and counts in every statistic, but opens nothing; nor does a
    severity that nobody knows.
    """
    if not symptom.pattern or symptom.severity not in SEVERITIES[1:]:
        return
    if turn.append_ms - symptom.at_ms > turn.policy.old_evidence_ms:
        return
    row = turn.catalogue.pattern(symptom.pattern)
    incident = of_dependency(turn, symptom.service, row) or turn.state.incidents.find(symptom.service, row.group)
    if incident is not None:
        _join(turn, incident, symptom, row)
    elif _has_room(turn, symptom):
        absorb(turn, _open(turn, symptom, row))


def _has_room(turn: Turn, symptom: Symptom) -> bool:
    """Tell whether an incident may be opened. Anybody can make up the name of a service: strangers have a limit."""
    incidents = turn.state.incidents
    if turn.fleet.spec(symptom.service) is not None:
        return len(incidents.by_id) < INCIDENTS_MAX
    if incidents.strangers < STRANGERS_MAX:
        return True
    if turn.now_ms >= incidents.full_said_ms + FULL_SAID_EVERY_MS:
        incidents.full_said_ms = turn.now_ms
        reason = f"{STRANGERS_MAX} incidents of services that are not in the inventory are open; no more are opened"
        turn.write(Draft(kind="withheld", reason=reason, service=symptom.service, pattern=symptom.pattern))
    return False


def _open(turn: Turn, symptom: Symptom, row: PatternRow) -> Incident:
    not_before_ms = turn.now_ms
    if may_echo(turn, symptom.service, symptom.pattern):
        not_before_ms += wait_ms(turn, symptom.service)
    elif symptom.probed:
        not_before_ms += turn.policy.grouping_wait_ms
    incident = Incident(
        id=turn.next_id(),
        service=symptom.service,
        group=row.group,
        host=symptom.host,
        pattern=symptom.pattern,
        category=symptom.category,
        severity=symptom.severity,
        confidence=symptom.confidence,
        rank=row.rank,
        status=OPEN,
        last_at_ms=symptom.at_ms,
        last_now_ms=turn.now_ms,
        opened_ms=turn.now_ms,
        broke_at_ms=symptom.at_ms,
        due_ms=not_before_ms,
        not_before_ms=not_before_ms,
        count=0,
        causes=symptom.causes,
        symptoms={},
        stranger=turn.fleet.spec(symptom.service) is None,
        phase=first_phase(turn),
        trace=symptom.trace,
    )
    add_symptom(incident, symptom.service, symptom.pattern, symptom.count)
    turn.state.incidents.add(incident)
    turn.write(turn.about(incident, "incident_opened", symptom.burst))
    opened(turn, incident)
    return incident


def _join(turn: Turn, incident: Incident, symptom: Symptom, row: PatternRow) -> None:
    first = add_symptom(incident, symptom.service, symptom.pattern, symptom.count)
    own = symptom.service == incident.service
    incident.last_at_ms = max(incident.last_at_ms, symptom.at_ms)
    if own:
        incident.last_now_ms = turn.now_ms
    add_causes(incident, symptom.causes)
    incident.trace = incident.trace or symptom.trace
    if own and _leads(turn, incident, symptom, row):
        incident.pattern, incident.category, incident.rank = symptom.pattern, symptom.category, row.rank
        incident.confidence = symptom.confidence
        incident.causes = symptom.causes
    if first and own and not may_echo(turn, incident.service, symptom.pattern):
        incident.not_before_ms = min(incident.not_before_ms, turn.now_ms)
    if first:
        draft = turn.about(incident, "symptom_joined", f"{symptom.service} {symptom.pattern}")
        draft.causes = symptom.causes
        turn.write(draft)
    _worsen(turn, incident, symptom)
    _came_back(turn, incident, symptom, row, new=first and own)
    if incident.status == OPEN:
        if "fresh_evidence" in incident.withheld:
            incident.not_before_ms, incident.withheld = turn.now_ms, ""
        if incident.not_before_ms < NEVER_MS:
            turn.state.incidents.wake(incident, max(turn.now_ms, incident.not_before_ms))


def _worsen(turn: Turn, incident: Incident, symptom: Symptom) -> None:
    """Raise the incident's severity to that of a symptom, and say why."""
    severity = severer(incident.severity, symptom.severity)
    if severity == incident.severity:
        return
    incident.severity = severity
    draft = turn.about(incident, "severity_raised", symptom.burst or f"{symptom.service} {symptom.pattern}")
    draft.causes = symptom.causes
    turn.write(draft)
    worsened(turn, incident)


def _leads(turn: Turn, incident: Incident, symptom: Symptom, row: PatternRow) -> bool:
    """Tell whether a symptom says more of the cause than the one that leads so far."""
    if row.rank != incident.rank:
        return row.rank > incident.rank
    if may_echo(turn, incident.service, incident.pattern) and not may_echo(turn, incident.service, symptom.pattern):
        return True
    return row.rank == CAUSE_RANK and incident.attempts > 0 and symptom.pattern != incident.pattern


def _came_back(turn: Turn, incident: Incident, symptom: Symptom, row: PatternRow, *, new: bool) -> None:
    """Note that an action did not help: a new cause at once, a known symptom once the verification has begun.

    What may be the echo of a dependency waits for that dependency to speak.
    """
    attempt = incident.attempt
    if symptom.service != incident.service and row.rank > 0:
        return  # a dependent has causes of its own; what lasts will open an incident of its own
    if attempt is None or incident.status not in {ACTING, VERIFYING} or attempt.failed_at_ms:
        return
    new_cause = new and row.rank == CAUSE_RANK and symptom.at_ms >= attempt.issued_at_ms
    window_ms = attempt.finished_at_ms + turn.policy.verify_after_ms
    if not new_cause and not (attempt.finished_at_ms and symptom.at_ms > window_ms):
        return
    attempt.failed_at_ms = symptom.at_ms
    attempt.failed_by_echo = may_echo(turn, symptom.service, symptom.pattern)
    if incident.status == VERIFYING:
        wait = turn.policy.grouping_wait_ms if attempt.failed_by_echo else 0
        turn.state.incidents.wake(incident, turn.now_ms + wait)


def hear_lines(turn: Turn, fact: Slice) -> None:
    """Take the signs of life and the detections of a slice into account.

    Metrics keep a service among the live ones. They say nothing of its lines, and come minutes apart: a verification
    must not wait for their event time, so they are no source that the service is heard in.
    """
    source = f"{fact.source}/{fact.partition}"
    turn.state.watermarks.hear(source, fact.at_max_ms, turn.state.clock)
    for tally in fact.tallies:
        service = turn.state.services.touch(tally.service)
        service.heard_in(source)
        if tally.severity == "info" and not tally.pattern:
            service.normal_at_ms = max(service.normal_at_ms, turn.seen_ms(tally.at_ms))
        elif tally.pattern and turn.catalogue.pattern(tally.pattern).burst_lines:
            service.count(tally.pattern, tally.count, turn.seen_ms(tally.at_ms), turn.policy.burst_window_ms)
    for name in dict.fromkeys(sample.service for sample in fact.samples):
        turn.state.services.touch(name)
    while (evicted := turn.state.services.evict()) is not None:
        turn.write(Draft(kind="service_evicted", reason="longest silent", service=evicted))
    for detection in fact.detections:
        sense(turn, of_detection(turn, detection, fact.source, fact.partition))


def hear_probe(turn: Turn, probe: ProbeReported, message: Message, fact: Slice) -> None:
    """Take a probe into account; enough failures in a row are a symptom."""
    row = turn.catalogue.probe(probe.kind)
    if row is None:
        return
    source, at_ms = f"{fact.source}/{fact.partition}", turn.seen_ms(probe.at_ms)
    turn.state.watermarks.hear(source, at_ms, turn.state.clock)
    service = turn.state.services.touch(probe.service)
    service.heard_in(source)
    if service.probed(probe, at_ms) < turn.policy.probe_failures:
        return
    where = Coordinate(topic=fact.source, partition=fact.partition, offset=message.offset, index=0)
    sense(
        turn,
        Symptom(
            service=probe.service,
            host=probe.host,
            pattern=row.pattern,
            category=row.category,
            severity=row.severity,
            confidence=1.0,
            count=1,
            at_ms=at_ms,
            causes=(where,),
            probed=True,
        ),
    )
