"""What the web is asked, and how soon it answers."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from streams.telemetry.registry import REGISTRY, SECONDS

_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")

_answers = Counter(
    "logmend_web_answers", "Answers of pages and API, by class of status.", ["status"], registry=REGISTRY
)
_seconds = Histogram(
    "logmend_web_answer_seconds", "A request taken to the head of its answer.", buckets=SECONDS, registry=REGISTRY
)
for _class in _CLASSES:
    _answers.labels(_class)


def web_answered(status: int, seconds: float) -> None:
    """Count an answer of the web by its HTTP status; its head was sent so long after the request was taken."""
    _answers.labels(f"{status // 100}xx").inc()
    _seconds.observe(seconds)
