"""What is expected of services, as decisions tell: the newest forecast of each metric, exhaustions, predictions."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from streams.core.events import Decision
from streams.web.bounded import put
from streams.web.open_incidents import figure
from streams.web.states import Exhaustion, Forecast, Prediction

FORECASTS_MAX: Final = 5_000
EXHAUSTIONS_MAX: Final = 2_000
PREDICTIONS_MAX: Final = 5_000
NO_LIMIT: Final = float("-inf")
KINDS: Final = frozenset({"forecast", "predicted", "exhaustion_expected", "exhaustion_came", "exhaustion_averted"})


class Ahead(Struct):
    """The newest of each service and metric; the one that was told longest ago goes first."""

    forecasts: dict[str, Forecast] = field(default_factory=dict)
    exhaustions: dict[str, Exhaustion] = field(default_factory=dict)
    predictions: dict[str, Prediction] = field(default_factory=dict)

    def take(self, decision: Decision) -> bool:
        """Take a decision into account; False when it tells nothing of what is ahead."""
        key = f"{decision.service} {decision.reason}"
        match decision.kind:
            case "forecast":
                put(self.forecasts, key, _forecast(decision), FORECASTS_MAX)
            case "predicted":
                put(self.predictions, decision.service, _prediction(decision), PREDICTIONS_MAX)
            case "exhaustion_expected":
                put(self.exhaustions, key, _exhaustion(decision), EXHAUSTIONS_MAX)
            case "exhaustion_came" | "exhaustion_averted":
                self.exhaustions.pop(key, None)
            case _:
                return False
        return True

    def still(self, now_ms: int) -> tuple[list[Forecast], list[Prediction]]:
        """Return the forecasts and predictions whose time has not passed."""
        return (
            [one for one in self.forecasts.values() if one.for_ms > now_ms],
            [one for one in self.predictions.values() if one.at_ms + one.horizon_ms > now_ms],
        )


def _forecast(decision: Decision) -> Forecast:
    limit = figure(decision, "limit", NO_LIMIT)
    return Forecast(
        id=decision.id,
        service=decision.service,
        metric=decision.reason,
        level=figure(decision, "level"),
        value=figure(decision, "value"),
        low=figure(decision, "low"),
        high=figure(decision, "high"),
        slope=figure(decision, "slope"),
        limit=None if limit == NO_LIMIT else limit,
        advice=decision.strategy,
        at_ms=decision.at_ms,
        for_ms=decision.at_ms + round(figure(decision, "ahead_ms")),
    )


def _exhaustion(decision: Decision) -> Exhaustion:
    latest_ms = round(figure(decision, "latest_ms", -1))
    return Exhaustion(
        id=decision.id,
        service=decision.service,
        metric=decision.reason,
        level=figure(decision, "level"),
        limit=figure(decision, "limit"),
        said_ms=decision.append_ms,
        earliest_ms=decision.at_ms + round(figure(decision, "earliest_ms")),
        expected_ms=decision.at_ms + round(figure(decision, "expected_ms")),
        latest_ms=None if latest_ms < 0 else decision.at_ms + latest_ms,
    )


def _prediction(decision: Decision) -> Prediction:
    probability = figure(decision, "probability")
    return Prediction(
        id=decision.id,
        service=decision.service,
        probability=probability,
        alarm=probability >= figure(decision, "alarm", 1.0),
        strategy=decision.strategy,
        reason=decision.reason,
        at_ms=decision.at_ms,
        horizon_ms=round(figure(decision, "horizon_ms")),
    )
