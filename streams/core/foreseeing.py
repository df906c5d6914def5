"""What is ahead of a followed service: called by its vitals with each slice and each of its minutes.

``heard`` predicts whether it fails within 30 s and learns from what became of that; ``minute`` forecasts its metrics
and looks for what is unlike its past; ``failed`` is told of every failure. Of old evidence (an import, a backlog) all
of it learns, and nothing is said: what has passed can't be foretold.
"""

from __future__ import annotations

from typing import Final

from streams.core.anomalies import look, over
from streams.core.events import SEVERITIES
from streams.core.features import Situation, of_service, spans_of
from streams.core.forecasting import averted, look_ahead
from streams.core.incidents import Incident
from streams.core.outlooks import Outlook
from streams.core.prediction import Foresight
from streams.core.state import Draft, Turn
from streams.core.ties import in_trouble, trouble_began
from streams.core.vitals import MINUTE_MS, Vital

FORESIGHT: Final = Foresight(at_once=False)
LEARNT_AT_ONCE: Final = 2
"""Examples that are learnt with a vector of a service that works: an error is acted on first, and learnt from later."""
FAILING: Final = frozenset(SEVERITIES[2:])
"""An open incident this severe is a failure of its service."""
UNKNOWN: Final = "no longer followed"


def heard(turn: Turn, service: str, vital: Vital, at_ms: int) -> None:
    """Predict a failure of a service that said something at event time ``at_ms``, at most every ten seconds of it.

    Of a service that is broken nothing is predicted: it has failed already. Of one that nothing is measured of neither.
    """
    foresight, at_ms = turn.state.foresight, turn.seen_ms(at_ms)
    if not turn.policy.prediction:
        foresight.predictor.forget(service)
        return
    if not vital.tracks:
        return
    outlook = foresight.of(service)
    if at_ms < outlook.looked_at_ms + FORESIGHT.every_ms:
        return
    outlook.looked_at_ms = at_ms
    foresight.predictor.pass_to(service, at_ms - turn.policy.lateness_ms, FORESIGHT)
    if not _broken(turn, service, vital):
        foresight.predictor.digest(foresight.may_learn(turn.now_ms, LEARNT_AT_ONCE))
        spec = turn.fleet.spec(service)
        spans = spans_of(spec.queue_limit if spec is not None else 0)
        vector = of_service(vital.tracks, _situation(turn, service, vital, outlook, at_ms), at_ms, spans)
        foresight.predictor.watch(service, at_ms, vector, FORESIGHT)
        if turn.append_ms - at_ms <= turn.policy.old_evidence_ms:
            _predict(turn, service, outlook, vector, at_ms)


def _broken(turn: Turn, service: str, vital: Vital) -> bool:
    if vital.status == "failed":
        return True
    return any(one.severity in FAILING for one in turn.state.incidents.of_service(service))


def _situation(turn: Turn, service: str, vital: Vital, outlook: Outlook, at_ms: int) -> Situation:
    return Situation(
        health_score=vital.score,
        minutes_since_failure=(at_ms - outlook.failed_at_ms) / MINUTE_MS if outlook.failed_at_ms else -1.0,
        open_incidents=len(turn.state.incidents.of_service(service)),
        correlated_in_trouble=in_trouble(turn, service),
    )


def _predict(turn: Turn, service: str, outlook: Outlook, vector: tuple[float, ...], at_ms: int) -> None:
    """Record what is expected: once within each horizon, and at once when it becomes an alarm or ceases to be one."""
    found = turn.state.foresight.predictor.predict(vector, FORESIGHT, turn.catalogue.reliefs)
    if not found.valid:
        return
    alarmed = found.probability >= turn.policy.prediction_alarm
    if alarmed == outlook.alarmed and at_ms < outlook.said_at_ms + FORESIGHT.horizon_ms:
        return
    outlook.alarmed, outlook.said_at_ms = alarmed, at_ms
    draft = Draft(kind="predicted", service=service, reason=found.leading, strategy=found.strategy, at_ms=at_ms)
    draft.confidence = found.confidence
    draft.figures = {
        "probability": found.probability,
        "horizon_ms": found.horizon_ms,
        "alarm": turn.policy.prediction_alarm,
    }
    turn.write(draft)


def minute(turn: Turn, service: str, vital: Vital, at_ms: int) -> None:
    """Look at the minute ``vital.minute`` of a service, whose last millisecond is ``at_ms``; its counts still stand."""
    outlook, over_ms = turn.state.foresight.of(service), at_ms + 1
    if turn.policy.prediction:
        look_ahead(turn, service, vital, outlook, over_ms)
    look(turn, service, vital, outlook, over_ms)


def opened(turn: Turn, incident: Incident) -> None:
    """Take an incident into account that was just opened."""
    trouble_began(turn, incident)
    worsened(turn, incident)


def worsened(turn: Turn, incident: Incident) -> None:
    """Take into account how severe an incident is now: from error on its service has failed."""
    if incident.severity in FAILING:
        failed(turn, incident.service, incident.last_at_ms)


def failed(turn: Turn, service: str, at_ms: int) -> None:
    """Learn that a service failed at event time ``at_ms``; what is told twice is learnt once."""
    foresight = turn.state.foresight
    if turn.policy.prediction:
        foresight.predictor.failed(service, at_ms, FORESIGHT)
    else:
        foresight.predictor.forget(service)
    outlook = foresight.by_service.get(service)
    if outlook is not None:
        outlook.failed_at_ms, outlook.alarmed = max(outlook.failed_at_ms, at_ms), False


def forget(turn: Turn, service: str) -> None:
    """Let go of a service that is followed no longer; what was said to go on is said to be over."""
    gone = turn.state.foresight.forget(service)
    if gone is None:
        return
    for series in gone.series.values():
        averted(turn, service, series, UNKNOWN, turn.append_ms)
    for what in list(gone.abnormal):
        over(turn, service, gone, what, UNKNOWN, turn.append_ms)
