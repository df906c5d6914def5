"""Anomalies in the fold: each minute of a followed service is compared with that service's own past.

With two metrics or more they are judged jointly, a single one by itself; the number of error lines is a series of its
own. All are measured by how rare such an episode was in their own past, so one threshold (``policy.anomaly_surprise``)
is the same rate of alarms for each.
"""

from __future__ import annotations

import math
from typing import Final

from streams.core.anomaly import Detector
from streams.core.events import HEALTH_METRICS
from streams.core.features import SPANS
from streams.core.jointly import Group
from streams.core.num import stored
from streams.core.outlooks import DETECTORS_MAX, GROUPS_MAX, Abnormal, Outlook
from streams.core.state import Draft, Turn
from streams.core.vitals import Vital

METRICS: Final = "metrics"
ERROR_LINES: Final = "error_lines"
CALM_MINUTES: Final = 5
"""An anomaly ends when for so many minutes on end nothing was abnormal."""
ERROR_LINES_LEAST: Final = 10
"""Fewer error lines a minute are taken for this many: the first error of a quiet day is no anomaly."""
JOINTLY: Final = 2.0
"""What the rarity of a row is multiplied by, so that one threshold serves both ways of judging. At 3, a series of noise
is then abnormal 0.7 times a day, a row of noise 0.4, and rows of three servers 0.0 to 1.3 times a day without cause."""
JUDGED_JOINTLY: Final = "now judged with other metrics"


def look(turn: Turn, service: str, vital: Vital, outlook: Outlook, at_ms: int) -> None:
    """Judge the minute of a service that ended at ``at_ms``."""
    known = tuple(metric for metric in HEALTH_METRICS if metric in vital.tracks)
    if len(known) >= 2:
        _jointly(turn, service, vital, outlook, known, at_ms)
    elif known:
        value = vital.value(known[0])
        if value is not None:
            _alone(turn, service, outlook, known[0], value, at_ms)
    if vital.errors or ERROR_LINES in outlook.detectors:
        _alone(turn, service, outlook, ERROR_LINES, float(max(vital.errors, ERROR_LINES_LEAST)), at_ms)


def _alone(turn: Turn, service: str, outlook: Outlook, what: str, value: float, at_ms: int) -> None:
    detector = outlook.detectors.get(what)
    if detector is None:
        if turn.state.foresight.detectors >= DETECTORS_MAX:
            return
        turn.state.foresight.detectors += 1
        detector = outlook.detectors[what] = Detector()
    _judge(turn, service, outlook, what, detector.see(at_ms, value).surprise, what, at_ms)


def _jointly(turn: Turn, service: str, vital: Vital, outlook: Outlook, known: tuple[str, ...], at_ms: int) -> None:
    """Judge a row of metrics. One that is reported for the first time joins those that are judged already."""
    group = outlook.group
    if group is None:
        if turn.state.foresight.groups >= GROUPS_MAX:
            return
        turn.state.foresight.groups += 1
        group = outlook.group = Group()
        _no_more_alone(turn, service, outlook, at_ms)
    new = [metric for metric in known if metric not in outlook.metrics]
    if new:
        outlook.metrics = (*outlook.metrics, *new)
        group.widen(len(new))
    values = [math.nan if (value := vital.value(metric)) is None else value for metric in outlook.metrics]
    surprise = JOINTLY * group.see(values).rarity
    _judge(turn, service, outlook, METRICS, surprise, _leading(vital, outlook, at_ms), at_ms)


def _no_more_alone(turn: Turn, service: str, outlook: Outlook, at_ms: int) -> None:
    for what in [name for name in outlook.detectors if name != ERROR_LINES]:
        del outlook.detectors[what]
        turn.state.foresight.detectors -= 1
        over(turn, service, outlook, what, JUDGED_JOINTLY, at_ms)


def _leading(vital: Vital, outlook: Outlook, at_ms: int) -> str:
    """Return the metric that is furthest from its usual minutes."""
    return max(outlook.metrics, key=lambda metric: abs(_apart(vital, metric, at_ms)))


def _apart(vital: Vital, metric: str, at_ms: int) -> float:
    track = vital.tracks.get(metric)
    return track.features(at_ms - 1, SPANS[metric])[3] if track is not None else 0.0


def _judge(turn: Turn, service: str, outlook: Outlook, what: str, surprise: float, leading: str, at_ms: int) -> None:
    """Say once that something is abnormal, and that it is over after five minutes on end in which it was not."""
    abnormal = outlook.abnormal.get(what)
    if surprise < turn.policy.anomaly_surprise:
        if abnormal is not None:
            abnormal.calm += 1
            if abnormal.calm >= CALM_MINUTES:
                over(turn, service, outlook, what, what, at_ms)
    elif abnormal is not None:
        abnormal.calm, abnormal.peak = 0, stored(max(abnormal.peak, surprise))
    elif turn.append_ms - at_ms <= turn.policy.old_evidence_ms and turn.state.foresight.may_say_anomaly(turn.now_ms):
        reason = what if leading == what else f"{what}: {leading}"
        draft = Draft(kind="anomaly_began", service=service, reason=reason, at_ms=at_ms)
        draft.figures = {"surprise": surprise}
        outlook.abnormal[what] = Abnormal(turn.write(draft).id, at_ms, stored(surprise))


def over(turn: Turn, service: str, outlook: Outlook, what: str, reason: str, at_ms: int) -> None:
    """Say that an anomaly is over, if it goes on."""
    abnormal = outlook.abnormal.pop(what, None)
    if abnormal is not None:
        draft = Draft(kind="anomaly_ended", service=service, reason=reason, at_ms=at_ms, refers_to=abnormal.id)
        draft.figures = {"surprise": abnormal.peak, "since_ms": at_ms - abnormal.at_ms}
        turn.write(draft)
