"""What advisors and models are asked, and what they say."""

from __future__ import annotations

import logging

from prometheus_client import Counter, Histogram

from streams.telemetry.registry import REGISTRY, SECONDS
from streams.telemetry.saying import say

_opinions = Counter(
    "logmend_opinions", "Opinions given, abstentions included.", ["advisor", "source", "code"], registry=REGISTRY
)
_answers = Counter("logmend_answers", "Answers of the decision service.", ["decision", "source"], registry=REGISTRY)
_model_requests = Counter(
    "logmend_model_requests", "Requests to a model, by how they ended.", ["provider", "code"], registry=REGISTRY
)
_model_cost = Counter(
    "logmend_model_cost_usd", "Dollars that models cost, or may have cost.", ["provider"], registry=REGISTRY
)
_opinion_seconds = Histogram(
    "logmend_opinion_seconds", "An advisor asked to its opinion.", ["source"], buckets=SECONDS, registry=REGISTRY
)


def opinion_given(advisor: str, source: str, code: str, seconds: float) -> None:
    """Count an advisor's opinion: ``source`` and ``code`` are those of ``core.advice``; it took so many seconds."""
    _opinions.labels(advisor, source, code).inc()
    _opinion_seconds.labels(source).observe(seconds)


def model_asked(provider: str, code: str, cost_microusd: int) -> None:
    """Count a request to a model: ``code`` is "" for an answer; the cost is in millionths of a dollar."""
    _model_requests.labels(provider, "")  # so that the first answer is an increase
    _model_requests.labels(provider, code).inc()
    _model_cost.labels(provider).inc(cost_microusd / 1_000_000)


def answered(decision: str, source: str) -> None:
    """Count an answer of the decision service; ``source``: model, rules or cache."""
    _answers.labels(decision, source).inc()


def provider_left_alone(provider: str, why: str) -> None:
    """Say that a model's provider is down, or wants to be left alone."""
    say(logging.WARNING, "provider_left_alone", provider=provider, why=why)
