"""What is remembered to see trouble coming: by service its outlook, and for all the learner, onsets and ties.

An outlook lives as long as the service is followed (``vitals.py``). What takes room has limits of its own; a service
that comes when they are reached goes without until another one leaves.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from streams.core.anomaly import Detector
from streams.core.forecast import Trend
from streams.core.jointly import Group
from streams.core.prediction import FailurePredictor
from streams.core.together import Onsets

TRENDS_MAX: Final = 1_500
"""Series that are forecast: 9 KB each in memory."""
GROUPS_MAX: Final = 500
"""Services whose metrics are judged jointly: 20 KB each with all twelve."""
DETECTORS_MAX: Final = 2_000
"""Series that are judged by themselves: 5 KB each."""
TIES_MAX: Final = 1_000
"""Pairs of services that are known to be tied; the one found first is forgotten first, and may be found again."""
ANOMALIES_PER_HOUR_MAX: Final = 500
"""Anomalies that are said to begin in one hour of ``now_ms``; what is abnormal beyond that is not recorded."""


LEARNT_PER_SECOND_MAX: Final = 25
"""Examples that are learnt in one second of ``now_ms``: as many as 250 services make, 0.3 ms each."""


class Abnormal(Struct, array_like=True):
    """An anomaly that goes on: the decision that said so, since when, its largest surprise, calm minutes since."""

    id: str
    at_ms: int
    peak: float
    calm: int = 0


class Expected(Struct, array_like=True):
    """An exhaustion that is expected: the decision that said so, when, and the minutes since it looked so last."""

    id: str
    at_ms: int
    calm: int = 0


class Series(Struct, array_like=True):
    """A metric that is forecast. ``said_at_ms`` is the event time of the forecast that was recorded last."""

    trend: Trend = field(default_factory=Trend)
    said_at_ms: int = 0
    expected: Expected | None = None


class Outlook(Struct):
    """What is ahead of one service. Times of event; 0 = never."""

    looked_at_ms: int = 0
    """When its vector was made last ..."""
    said_at_ms: int = 0
    """... and when a prediction of it was recorded last."""
    alarmed: bool = False
    """The last prediction was at or above ``policy.prediction_alarm``."""
    failed_at_ms: int = 0
    series: dict[str, Series] = {}
    metrics: tuple[str, ...] = ()
    """The metrics that ``group`` holds, in its order."""
    group: Group | None = None
    detectors: dict[str, Detector] = {}
    abnormal: dict[str, Abnormal] = {}
    """Anomalies that go on, by what is abnormal."""


class Outlooks(Struct):
    """Of all services."""

    by_service: dict[str, Outlook] = {}
    trends: int = 0
    groups: int = 0
    detectors: int = 0
    """How many there are of each, in all outlooks."""
    predictor: FailurePredictor = field(default_factory=FailurePredictor)
    onsets: Onsets = field(default_factory=lambda: Onsets(0))
    tied: dict[str, list[str]] = {}
    """The services that each service is tied to, both ways ..."""
    ties: list[tuple[str, str]] = []
    """... and the pairs, in the order in which they were found."""
    second: int = 0
    learnt: int = 0
    """Examples learnt in the second ``second`` of ``now_ms``."""
    hour: int = 0
    anomalies_said: int = 0
    """Anomalies recorded in the hour ``hour`` of ``now_ms``."""

    def of(self, service: str) -> Outlook:
        """Return a service's outlook, made if need be."""
        found = self.by_service.get(service)
        if found is None:
            found = self.by_service[service] = Outlook()
        return found

    def forget(self, service: str) -> Outlook | None:
        """Let go of a service that is followed no longer; its onsets and ties stay."""
        self.predictor.forget(service)
        gone = self.by_service.pop(service, None)
        if gone is not None:
            self.trends -= len(gone.series)
            self.groups -= gone.group is not None
            self.detectors -= len(gone.detectors)
        return gone

    def tie(self, first: str, second: str) -> bool:
        """Remember a pair that is tied; False when it is known already."""
        if second in self.tied.get(first, ()):
            return False
        if len(self.ties) >= TIES_MAX:
            self._untie(*self.ties.pop(0))
        self.ties.append((first, second))
        self.tied.setdefault(first, []).append(second)
        self.tied.setdefault(second, []).append(first)
        return True

    def _untie(self, first: str, second: str) -> None:
        for one, other in ((first, second), (second, first)):
            self.tied[one].remove(other)
            if not self.tied[one]:
                del self.tied[one]

    def may_learn(self, now_ms: int, most: int) -> int:
        """Return how many examples may be learnt now, up to ``most``, and count them."""
        second = now_ms // 1_000
        if second != self.second:
            self.second, self.learnt = second, 0
        count = min(most, LEARNT_PER_SECOND_MAX - self.learnt, len(self.predictor.ripe))
        self.learnt += count
        return count

    def may_say_anomaly(self, now_ms: int) -> bool:
        """Count an anomaly that is to be recorded; False when this hour has had enough."""
        hour = now_ms // 3_600_000
        if hour != self.hour:
            self.hour, self.anomalies_said = hour, 0
        self.anomalies_said += 1
        return self.anomalies_said <= ANOMALIES_PER_HOUR_MAX
