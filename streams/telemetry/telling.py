"""What people are told."""

from __future__ import annotations

import logging

from prometheus_client import Counter, Gauge

from streams.telemetry.registry import REGISTRY
from streams.telemetry.saying import say

_notices = Counter(
    "logmend_notices", "Attempts to tell people, by how they ended.", ["channel", "outcome"], registry=REGISTRY
)
_notices_waiting = Gauge(
    "logmend_notices_waiting", "Messages that wait to be delivered.", ["channel"], registry=REGISTRY
)
for _channel in ("mail", "webhook", "github"):
    for _outcome in ("told", "failed", "given_up"):
        _notices.labels(_channel, _outcome)  # so that the first one that is given up is an increase


def notice_sent(channel: str, outcome: str) -> None:
    """Count an attempt to tell people: ``channel`` is mail, webhook or github, ``outcome`` told or failed."""
    _notices.labels(channel, outcome).inc()


def notices_waiting(channel: str, count: int) -> None:
    """Set how many messages wait for receivers of a kind."""
    _notices_waiting.labels(channel).set(count)


def notice_given_up(channel: str, message: str, tries: int, problem: str) -> None:
    """Alarm: a message could not be delivered and is not tried any more."""
    _notices.labels(channel, "given_up").inc()
    say(logging.ERROR, "notice_given_up", channel=channel, message=message, tries=tries, problem=problem[:500])
