"""How good predictions were: counts and sums from which a query makes Brier score, precision, recall and lead time.

With p = ``logmend_predictions_total`` and increases over the time asked for: the Brier score is the squared error over
the sum of p, precision is p{alarm, failed} over p{alarm}, recall is p{alarm, failed} over p{failed}.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from streams.telemetry.registry import REGISTRY

LEAD_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
"""Up to the horizon."""

_predictions = Counter(
    "logmend_predictions", "Predicted failures whose outcome is known.", ["alarm", "failed"], registry=REGISTRY
)
_squared_error = Counter(
    "logmend_prediction_squared_error", "Sum of their (probability - outcome) squared.", registry=REGISTRY
)
_foretold = Counter(
    "logmend_failures_foretold", "Failures within the horizon of a prediction.", ["warned"], registry=REGISTRY
)
_lead = Histogram(
    "logmend_prediction_lead_seconds", "First alarm to its failure.", buckets=LEAD_SECONDS, registry=REGISTRY
)
for _first in ("true", "false"):
    _foretold.labels(_first)
    for _second in ("true", "false"):
        _predictions.labels(_first, _second)


def prediction_known(probability: float, *, alarm: bool, failed: bool) -> None:
    """Count a prediction of which it is known now whether the service failed within its horizon."""
    _predictions.labels(str(alarm).lower(), str(failed).lower()).inc()
    _squared_error.inc((probability - failed) ** 2)


def failure_foretold(lead_seconds: float | None) -> None:
    """Count a failure of which something was predicted: so long before it came the first alarm; None: none came."""
    _foretold.labels(str(lead_seconds is not None).lower()).inc()
    if lead_seconds is not None:
        _lead.observe(lead_seconds)
